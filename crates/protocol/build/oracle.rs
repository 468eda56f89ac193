//! Code for the tests, one piece per struct: random values that a version can hold, which of its possible shapes a
//! message shows, and the JSON that Kafka's own converters make of it. Each file is included by `tests/oracle/`, where
//! the traits are.

use std::collections::BTreeMap;
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
    per_message(
        &mut out,
        messages,
        "random_message(kind: MessageKind, rng: &mut Rng, version: i16) -> Vec<u8>",
        |path| format!("encoded::<{path}>(rng, version)"),
    );
    out
}

/// For each message what there is to be seen in which versions, and code that looks at one.
pub fn shapes(messages: &[MessageFacts]) -> String {
    let mut out = per_struct(messages, "Walk", |out, part| {
        out.push_str("fn walk(&self, seen: &mut Seen) {\n");
        for field in fields(part) {
            let (name, label) = (field.rust_name(), label(part, field));
            writeln!(out, "self.{name}.shape(\"{label}\", seen);").unwrap();
            if !field.tagged.is_empty() {
                writeln!(out, "seen.tag(\"{label}\", {});", field.is_set()).unwrap();
            }
        }
        writeln!(out, "seen.unknown_tags(\"{}\", &self.unknown_tagged_fields);\n}}", part.name).unwrap();
    });
    out.push_str("pub fn expected(kind: MessageKind) -> &'static [Expected] { match kind {\n");
    for message in messages {
        writeln!(out, "MessageKind::{} => &[", message.name).unwrap();
        for ((label, shape), versions) in expected(message) {
            let (low, high) = (versions[0], versions[versions.len() - 1]);
            assert_eq!(versions.len() as i16, high - low + 1, "{label}: versions with a gap");
            writeln!(out, "Expected {{ shape: (\"{label}\", Shape::{shape}), versions: {low}..={high} }},").unwrap();
        }
        out.push_str("],\n");
    }
    out.push_str("} }\n");
    per_message(
        &mut out,
        messages,
        "look_at(kind: MessageKind, version: i16, bytes: &[u8], seen: &mut Seen)",
        |path| format!("walk_through::<{path}>(version, bytes, seen)"),
    );
    out
}

/// Which shapes a field can have, and in which versions.
fn expected(message: &MessageFacts) -> BTreeMap<(String, &'static str), Vec<i16>> {
    let mut found = BTreeMap::new();
    for version in message.versions.low..=message.versions.high {
        expected_in(message, &message.structs[0], version, &mut found);
    }
    found
}

fn expected_in(
    message: &MessageFacts,
    part: &StructFacts,
    version: i16,
    found: &mut BTreeMap<(String, &'static str), Vec<i16>>,
) {
    let mut find = |label: String, shape| {
        let versions = found.entry((label, shape)).or_default();
        if versions.last() != Some(&version) {
            versions.push(version);
        }
    };
    let is_message = part.name == message.name;
    if message.flexible.contains(version) {
        find(part.name.clone(), "UnknownTags");
    }
    for field in fields(part).filter(|field| field.versions.contains(version)) {
        let mut shapes = match &field.kind {
            FieldKind::String | FieldKind::Bytes | FieldKind::Records | FieldKind::Array(_) => vec!["Empty", "Filled"],
            _ => vec![],
        };
        if is_message && !shapes.is_empty() {
            shapes.push("Long"); // Deeper inside, the tests' messages stay small.
        }
        if field.nullable.contains(version) {
            shapes.push("Null");
        }
        if field.tagged.contains(version) {
            shapes.extend(["TagDefault", "TagSet"]);
        }
        shapes.into_iter().for_each(|shape| find(label(part, field), shape));
    }
    for field in fields(part).filter(|field| field.versions.contains(version)) {
        if let Some(name) = field.kind.struct_name() {
            let inner = message.structs.iter().find(|part| part.name == name).expect("a struct of this message");
            expected_in(message, inner, version, found);
        }
    }
}

fn label(part: &StructFacts, field: &FieldFacts) -> String {
    format!("{}.{}", part.name, field.name)
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
    per_message(
        &mut out,
        messages,
        "json_of_message(kind: MessageKind, version: i16, bytes: &[u8]) -> Value",
        |path| format!("decoded::<{path}>(version, bytes)"),
    );
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

fn per_message(out: &mut String, messages: &[MessageFacts], head: &str, body: impl Fn(&str) -> String) {
    writeln!(out, "pub fn {head} {{ match kind {{").unwrap();
    for message in messages {
        let path = format!("protocol::{}::{}", snake_case(&message.name), message.name);
        writeln!(out, "MessageKind::{} => {},", message.name, body(&path)).unwrap();
    }
    out.push_str("} }\n");
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
