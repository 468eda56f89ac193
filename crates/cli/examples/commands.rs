//! The commands without the broker: `cargo run -p cli --example commands -- topic list`.
use clap::Parser;

#[derive(Parser)]
#[command(name = "ottla")]
struct Arguments {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = env::real::Runtime::new(2).expect("threads");
    let code = runtime.block_on(async {
        let env = env::real::env();
        let console = cli::Console::standard(&env).expect("signals");
        cli::run(arguments.command, env, console).await
    });
    env::process::exit(code);
}
