//! The project's own tools: `cargo xtask SUBCOMMAND`. One module per subcommand.

mod schema;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let subcommand = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let outcome = match subcommand.as_str() {
        "schema" => schema::run(&arguments),
        other => Err(format!("unknown subcommand {other:?}; there are: schema").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
