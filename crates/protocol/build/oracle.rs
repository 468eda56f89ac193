//! Code for the tests, one piece per struct: random values that a version can hold, and the JSON that Kafka's own
//! converters make of a message. Each file is included by `tests/oracle/`, where the traits are.

use std::fmt::Write as _;

use crate::code::{snake_case, when};
use crate::facts::{FieldFacts, FieldKind, MessageFacts, StructFacts};

pub fn random(messages: &[MessageFacts]) -> String {
    let mut out = per_struct(messages, "Random", |out, part| {
        writeln!(out, "fn random(rng: &mut Rng, version: i16) -> Self {{ Self {{").unwrap();
        for field in fields(part) {
            writeln!(out, "{}: {},", field.rust_name(), random_field(field, part)).unwrap();
        }
        let known: Vec<String> = fields(part).filter_map(|field| Some(field.tag?.to_string() + ", ")).collect();
        writeln!(out, "unknown_tagged_fields: rng.unknown_tags(&[{}]),\n}} }}", known.concat()).unwrap();
    });
    out.push_str("pub fn random_message(kind: MessageKind, rng: &mut Rng, version: i16) -> Vec<u8> { match kind {\n");
    for message in messages {
        let path = format!("protocol::{}::{}", snake_case(&message.name), message.name);
        writeln!(out, "MessageKind::{} => encoded::<{path}>(rng, version),", message.name).unwrap();
    }
    out.push_str("} }\n");
    out
}

pub fn json(messages: &[MessageFacts]) -> String {
    let mut out = per_struct(messages, "ToJson", |out, part| {
        out.push_str("fn to_json(&self, version: i16) -> Value { let mut object = Map::new();\n");
        for field in fields(part) {
            let put = json_field(field);
            let put_if_set = format!("if {} {{ {put} }}\n", field.is_set());
            out.push_str(&when(field.in_place(), part.versions, "version").perform(&put, ""));
            out.push_str(&when(field.tagged, part.versions, "version").perform(&put_if_set, ""));
        }
        out.push_str("Value::Object(object) }\n");
    });
    out.push_str("pub fn json_of_message(kind: MessageKind, version: i16, bytes: &[u8]) -> Value { match kind {\n");
    for message in messages {
        let path = format!("protocol::{}::{}", snake_case(&message.name), message.name);
        writeln!(out, "MessageKind::{} => decoded::<{path}>(version, bytes),", message.name).unwrap();
    }
    out.push_str("} }\n");
    out
}

fn per_struct(messages: &[MessageFacts], name: &str, body: impl Fn(&mut String, &StructFacts)) -> String {
    let mut out = String::new();
    for message in messages {
        let module = snake_case(&message.name);
        writeln!(out, "#[allow(unused_variables, unused_mut, clippy::all)]\nmod {module} {{ use super::*; use protocol::{module}::*;").unwrap();
        for part in &message.structs {
            writeln!(out, "impl {name} for {} {{", part.name).unwrap();
            body(&mut out, part);
            out.push_str("}\n");
        }
        out.push_str("}\n");
    }
    out
}

fn fields(part: &StructFacts) -> impl Iterator<Item = &FieldFacts> {
    part.fields.iter().filter(|field| !field.versions.is_empty())
}

fn random_field(field: &FieldFacts, part: &StructFacts) -> String {
    let plain = "Random::random(rng, version)";
    let value = if field.is_option() {
        let nullable = when(field.nullable, field.versions.and(part.versions), "version");
        nullable.choose("rng.nullable(version)", &format!("Some({plain})"))
    } else {
        plain.to_owned()
    };
    let default = field.owned_default();
    let in_place = when(field.in_place(), part.versions, "version");
    let tagged = when(field.tagged, part.versions, "version");
    let set_or_not = format!("if rng.one_in(2) {{ {value} }} else {{ {default} }}");
    in_place.choose(&value, &tagged.choose(&set_or_not, &default))
}

fn json_field(field: &FieldFacts) -> String {
    let name = field.rust_name();
    // Kafka's names in JSON begin with a small letter, whatever follows.
    let mut json_name = field.name.clone();
    json_name[..1].make_ascii_lowercase();
    match (&field.kind, field.is_option()) {
        (FieldKind::Records, _) => {
            format!("put_records(&mut object, \"{json_name}\", &self.{name});\n")
        }
        _ => format!("object.insert(\"{json_name}\".into(), self.{name}.to_json(version));\n"),
    }
}
