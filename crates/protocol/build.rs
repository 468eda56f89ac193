//! Generates the messages, the API keys and the error codes from the facts in `schema/`. Needs nothing but `std`.

#[path = "build/code.rs"]
mod code;
#[path = "build/enums.rs"]
mod enums;
#[path = "build/facts.rs"]
mod facts;
#[path = "build/fields.rs"]
mod fields;
#[path = "build/messages.rs"]
mod messages;
#[path = "build/oracle.rs"]
mod oracle;

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=schema");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=build.rs");
    let schema = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("schema");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let all = facts::read_folder(&schema);
    let error_codes = std::fs::read_to_string(schema.join("error_codes.txt")).expect("error_codes.txt");
    let write = |name: &str, text: String| std::fs::write(out.join(name), text).expect("OUT_DIR can be written");
    write("api_keys.rs", enums::api_keys(&all));
    write("error_codes.rs", enums::error_codes(&error_codes));
    write("messages.rs", messages::all(&all) + &enums::message_kinds(&all));
    write("oracle_random.rs", oracle::random(&all));
    write("oracle_shapes.rs", oracle::shapes(&all));
    write("oracle_json.rs", oracle::json(&all));
}
