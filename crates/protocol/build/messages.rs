//! The module of a message: for each of its structs the owned shape and the view, and what connects them.

use std::fmt::Write as _;

use crate::code::{When, snake_case, when};
use crate::facts::{FieldFacts, FieldKind, MessageFacts, StructFacts, Versions};

pub fn all(messages: &[MessageFacts]) -> String {
    messages.iter().map(module).collect()
}

fn module(message: &MessageFacts) -> String {
    let MessageFacts { name, versions: Versions { low, high }, .. } = message;
    let flexible = match when(message.flexible, message.versions, "version") {
        When::Always => "all of them flexible".into(),
        When::Never => "none of them flexible".into(),
        When::If(_) => format!("flexible from {}", message.flexible.low),
    };
    let mut out = format!("/// `{name}`: versions {low} to {high}, {flexible}.\n");
    writeln!(
        out,
        "#[allow(unused_imports, unused_mut, unused_variables, clippy::all)]\npub mod {} {{",
        snake_case(name)
    )
    .unwrap();
    out.push_str(
        "use bytes::Bytes;\nuse crate::{Array, DecodeErrorKind, Element, EncodeError, Message, Reader, Records, ",
    );
    out.push_str("TaggedField, UnknownTags, Uuid, View, Writer};\n");
    for (index, part) in message.structs.iter().enumerate() {
        let part = StructFacts {
            name: part.name.clone(),
            versions: part.versions,
            fields: part.fields.iter().filter(|field| !field.versions.is_empty()).cloned().collect(),
        };
        out.push_str(&owned(&part));
        out.push_str(&write(&part, message, index == 0));
        out.push_str(&view(&part));
        if is_struct_field(message, &part.name) {
            out.push_str(&default(&part, "View<'_>", true));
        }
        out.push_str(&read(&part));
        out.push_str(&to_owned(&part));
    }
    writeln!(out, "impl<'a> View<'a> for {name}View<'a> {{ type Owned = {name}; fn to_message(&self) -> {name} {{ self.to_owned() }} }}").unwrap();
    if message.kind == "request" {
        let api = name.strip_suffix("Request").expect("requests are named so");
        writeln!(out, "impl crate::Request for {name} {{ const KEY: crate::ApiKey = crate::ApiKey::{api};").unwrap();
        writeln!(out, "type Response = crate::{}::{api}Response; }}", snake_case(&format!("{api}Response"))).unwrap();
    }
    out.push_str("}\n");
    out
}

/// Whether the view of a struct needs a default: it is a field by itself and may be absent.
fn is_struct_field(message: &MessageFacts, name: &str) -> bool {
    let fields = message.structs.iter().flat_map(|part| &part.fields);
    fields.into_iter().any(|field| field.kind == FieldKind::Struct(name.to_owned()))
}

fn owned(part: &StructFacts) -> String {
    let rusts_defaults = part.fields.iter().all(|field| field.default_is_rusts());
    let derives = if rusts_defaults { "Clone, Debug, Default, PartialEq" } else { "Clone, Debug, PartialEq" };
    let mut out = format!("#[derive({derives})]\npub struct {} {{\n", part.name);
    for field in &part.fields {
        out.push_str(&field_doc(field.versions, part.versions, field.tag));
        writeln!(out, "pub {}: {},", field.rust_name(), field.owned_type()).unwrap();
    }
    out.push_str("pub unknown_tagged_fields: Vec<TaggedField>,\n}\n");
    if !rusts_defaults {
        out.push_str(&default(part, "", false));
    }
    out
}

fn default(part: &StructFacts, suffix: &str, of_view: bool) -> String {
    let mut out = format!("impl Default for {}{suffix} {{ fn default() -> Self {{ Self {{\n", part.name);
    for field in &part.fields {
        let default = if of_view { field.view_default() } else { field.owned_default() };
        writeln!(out, "{}: {default},", field.rust_name()).unwrap();
    }
    out.push_str("unknown_tagged_fields: Default::default(),\n} } }\n");
    out
}

fn field_doc(versions: Versions, among: Versions, tag: Option<u32>) -> String {
    let tag = tag.map_or(String::new(), |tag| format!(", tag {tag}"));
    match when(versions, among, "") {
        When::Always if tag.is_empty() => String::new(),
        _ if versions.low == versions.high => format!("/// Version {}{tag}.\n", versions.low),
        _ => format!("/// Versions {} to {}{tag}.\n", versions.low, versions.high),
    }
}

fn write(part: &StructFacts, message: &MessageFacts, is_message: bool) -> String {
    let name = &part.name;
    let mut out = if is_message {
        let flexible = match when(message.flexible, message.versions, "version") {
            When::Always => "true".into(),
            When::Never => "false".into(),
            When::If(condition) => condition,
        };
        let Versions { low, high } = message.versions;
        let throttle = match part.fields.iter().any(|field| field.rust_name() == "throttle_time_ms") {
            true => "fn set_throttle_time_ms(&mut self, ms: i32) { self.throttle_time_ms = ms; }\n",
            false => "",
        };
        format!(
            "impl Message for {name} {{ const NAME: &'static str = \"{name}\";\n\
            const VERSIONS: std::ops::RangeInclusive<i16> = {low}..={high};\n\
            type View<'a> = {name}View<'a>;\n\
            fn is_flexible(version: i16) -> bool {{ {flexible} }}\n{throttle}"
        )
    } else {
        format!("impl {name} {{\n")
    };
    out.push_str(&each_error_code(part, message));
    out.push_str("fn write(&self, w: &mut Writer<'_>) {\nlet version = w.version();\n");
    for field in &part.fields {
        let in_place = when(field.in_place(), part.versions, "version");
        let write = match &in_place {
            When::Never => String::new(),
            _ => field.write_in_place(field.in_place().and(part.versions)),
        };
        let absent =
            format!("if {} {{ w.fail(EncodeError::FieldNotInVersion(\"{}\")); }}\n", field.is_set(), field.rust_name());
        let absent = if field.ignorable { "" } else { &absent };
        let present = if field.tagged.is_empty() {
            in_place.perform(&write, absent)
        } else {
            // In the versions between, the tags below write it.
            when(field.versions, part.versions, "version").perform(&in_place.perform(&write, ""), absent)
        };
        out.push_str(&present);
    }
    let mut tagged: Vec<_> = part.fields.iter().filter(|field| !field.tagged.is_empty()).collect();
    tagged.sort_by_key(|field| field.tag);
    if tagged.is_empty() {
        out.push_str("w.unknown_tags(&self.unknown_tagged_fields);\n} }\n");
        return out;
    }
    out.push_str("if !w.flexible() { w.unknown_tags(&self.unknown_tagged_fields); return; }\n");
    out.push_str("let mut tags = w.begin_tags(&self.unknown_tagged_fields);\n");
    for field in tagged {
        let tag = field.tag.expect("tagged fields have a tag");
        let write = format!(
            "if {} {{ let at = w.begin_tag(&mut tags, {tag}); {} w.end_tag(at); }}\n",
            field.is_set(),
            field.write_tagged()
        );
        out.push_str(&when(field.tagged, part.versions, "version").perform(&write, ""));
    }
    out.push_str("w.end_tags(tags);\n} }\n");
    out
}

/// What tells the error codes of a response, for the message and for each struct that has some.
fn each_error_code(part: &StructFacts, message: &MessageFacts) -> String {
    if message.kind != "response" {
        return String::new();
    }
    let mut out = "fn each_error_code(&self, version: i16, tell: &mut impl FnMut(i16)) {\n".to_owned();
    let mut has_any = false;
    for field in part.fields.iter().filter(|field| has_error_code(field, message)) {
        has_any = true;
        let name = field.rust_name();
        let tell = match (&field.kind, field.is_option()) {
            (FieldKind::Int16, _) => format!("tell(self.{name});"),
            (FieldKind::Array(_), true) => {
                format!("for each in self.{name}.iter().flatten() {{ each.each_error_code(version, tell); }}")
            }
            (FieldKind::Array(_), false) => {
                format!("for each in &self.{name} {{ each.each_error_code(version, tell); }}")
            }
            (_, true) => format!("if let Some(each) = &self.{name} {{ each.each_error_code(version, tell); }}"),
            (_, false) => format!("self.{name}.each_error_code(version, tell);"),
        };
        let counts = match field.kind {
            FieldKind::Int16 => counts_where(&part.name),
            _ => None,
        };
        let in_its_versions = when(field.versions, part.versions, "version");
        out.push_str(&counts.map_or(in_its_versions, |counts| When::If(counts.to_owned())).perform(&tell, ""));
    }
    out.push_str("}\n");
    if has_any { out } else { String::new() }
}

/// Where Kafka's classes do not just count a code in the versions that have it. A test compares them all.
fn counts_where(part: &str) -> Option<&'static str> {
    Some(match part {
        "AddRaftVoterResponse"
        | "RemoveRaftVoterResponse"
        | "UnregisterBrokerResponse"
        | "UnregisterControllerResponse"
        | "UpdateRaftVoterResponse" => "self.error_code != 0",
        "DeleteAclsMatchingAcl" | "DescribeUserScramCredentialsResponse" | "MetadataResponse" => "false",
        "DescribeLogDirsResponse" | "ElectLeadersResponse" | "FetchResponse" => "true",
        "FindCoordinatorResponse" => "self.coordinators.is_empty()",
        _ => return None,
    })
}

fn has_error_code(field: &FieldFacts, message: &MessageFacts) -> bool {
    if let Some(name) = field.kind.struct_name() {
        let part = message.structs.iter().find(|part| part.name == name).expect("a struct of the message");
        return part.fields.iter().any(|field| has_error_code(field, message));
    }
    field.name == "ErrorCode" && field.kind == FieldKind::Int16
}

fn view(part: &StructFacts) -> String {
    let mut out = format!("#[derive(Clone, Copy, Debug)]\npub struct {}View<'a> {{\n", part.name);
    for field in &part.fields {
        out.push_str(&field_doc(field.versions, part.versions, field.tag));
        writeln!(out, "pub {}: {},", field.rust_name(), field.view_type()).unwrap();
    }
    out.push_str("pub unknown_tagged_fields: UnknownTags<'a>,\n}\n");
    out
}

fn read(part: &StructFacts) -> String {
    let name = &part.name;
    let mut out = format!("impl<'a> Element<'a> for {name}View<'a> {{\nfn read(r: &mut Reader<'a>) -> Self {{\n");
    out.push_str("let version = r.version();\n");
    for field in &part.fields {
        let mutable = if field.tagged.is_empty() { "" } else { "mut " };
        let read = field.read_in_place(part.versions);
        writeln!(out, "let {mutable}{} = {read};", field.rust_name()).unwrap(); // Without its type: it compiles faster.
    }
    let tagged: Vec<_> = part.fields.iter().filter(|field| !field.tagged.is_empty()).collect();
    if tagged.is_empty() {
        out.push_str("let unknown_tagged_fields = r.unknown_tags();\n");
    } else {
        out.push_str("let mut tags = r.tags();\nwhile let Some(tag) = r.next_tag(&mut tags) { match tag {\n");
        for field in tagged {
            let tag = field.tag.expect("tagged fields have a tag");
            let read = format!("{} = {};", field.rust_name(), field.read_tagged());
            let absent = "r.fail(DecodeErrorKind::TagNotInVersion);";
            let code = when(field.tagged, part.versions, "version").perform(&read, absent);
            writeln!(out, "{tag} => {{ {code} }}").unwrap();
        }
        out.push_str("_ => r.unknown_tag(&mut tags),\n} }\nlet unknown_tagged_fields = tags.unknown();\n");
    }
    let names: Vec<String> = part.fields.iter().map(|field| field.rust_name() + ", ").collect();
    writeln!(out, "Self {{ {}unknown_tagged_fields }}\n}} }}", names.concat()).unwrap();
    out
}

fn to_owned(part: &StructFacts) -> String {
    let name = &part.name;
    let mut out = format!("impl {name}View<'_> {{\n/// Copies what is borrowed.\n");
    writeln!(out, "pub fn to_owned(&self) -> {name} {{ {name} {{").unwrap();
    for field in &part.fields {
        writeln!(out, "{}: {},", field.rust_name(), field.to_owned()).unwrap();
    }
    let tags = part.fields.iter().filter(|field| !field.tagged.is_empty()).filter_map(|field| field.tag);
    let tags: Vec<String> = tags.map(|tag| tag.to_string()).collect();
    writeln!(out, "unknown_tagged_fields: self.unknown_tagged_fields.to_fields(&[{}]),\n}} }} }}", tags.join(", "))
        .unwrap();
    out
}
