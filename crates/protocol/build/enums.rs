//! The enums over all messages: API keys, kinds of message, error codes.

use std::fmt::Write as _;

use crate::code::{camel_case, snake_case};
use crate::facts::MessageFacts;

pub fn api_keys(messages: &[MessageFacts]) -> String {
    let mut apis: Vec<(i16, &str, &MessageFacts)> = Vec::new();
    for message in messages.iter().filter(|message| message.kind == "request") {
        let name = message.name.strip_suffix("Request").expect("requests are named so");
        apis.push((message.key.expect("requests have a key"), name, message));
    }
    apis.sort_by_key(|(key, ..)| *key);
    let mut out = "/// An API, by the number that requests name it with.\n\
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ApiKey {\n"
        .to_owned();
    apis.iter().for_each(|(key, name, _)| writeln!(out, "{name} = {key},").unwrap());
    out.push_str("}\nimpl ApiKey {\n/// All, by their number.\npub const ALL: &'static [Self] = &[\n");
    apis.iter().for_each(|(_, name, _)| writeln!(out, "Self::{name},").unwrap());
    out.push_str("];\npub fn from_code(code: i16) -> Option<Self> {\nOption::Some(match code {\n");
    apis.iter().for_each(|(key, name, _)| writeln!(out, "{key} => Self::{name},").unwrap());
    out.push_str("_ => return Option::None,\n})\n}\npub fn facts(self) -> &'static ApiFacts {\nmatch self {\n");
    for (_, name, request) in &apis {
        let flexible_from = match request.flexible.low {
            _ if request.flexible.is_empty() => i16::MAX,
            low if low == request.versions.low => i16::MIN,
            low => low,
        };
        let listens = |listener: &str| request.listeners.iter().any(|name| name == listener);
        writeln!(
            out,
            "Self::{name} => &ApiFacts {{ name: \"{name}\", versions: {}..={}, flexible_from: {flexible_from}, \
            latest_version_unstable: {}, listeners: Listeners {{ broker: {}, controller: {} }} }},",
            request.versions.low,
            request.versions.high,
            request.unstable,
            listens("broker"),
            listens("controller"),
        )
        .unwrap();
    }
    out.push_str("}\n}\n}\n");
    out
}

pub fn message_kinds(messages: &[MessageFacts]) -> String {
    let mut out = "mod kind {\nuse crate::{DecodeError, EncodeError, Message, View};\n\
        /// Every message, for what does not care which one it is: tests, fuzzing, tools.\n\
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub enum MessageKind {\n"
        .to_owned();
    messages.iter().for_each(|message| writeln!(out, "{},", message.name).unwrap());
    out.push_str("}\nimpl MessageKind {\npub const ALL: &'static [Self] = &[\n");
    messages.iter().for_each(|message| writeln!(out, "Self::{},", message.name).unwrap());
    out.push_str("];\n");
    let per_message = |out: &mut String, head: &str, body: &str| {
        writeln!(out, "{head} {{ match self {{").unwrap();
        for message in messages {
            let path = format!("crate::{}::{}", snake_case(&message.name), message.name);
            writeln!(out, "Self::{} => {},", message.name, body.replace("MESSAGE", &path)).unwrap();
        }
        out.push_str("} }\n");
    };
    per_message(&mut out, "pub fn name(self) -> &'static str", "MESSAGE::NAME");
    per_message(&mut out, "pub fn versions(self) -> std::ops::RangeInclusive<i16>", "MESSAGE::VERSIONS");
    per_message(&mut out, "pub fn is_flexible(self, version: i16) -> bool", "MESSAGE::is_flexible(version)");
    per_message(
        &mut out,
        "/// Validates as a server would, and says what follows the message.\n\
        pub fn check(self, version: i16, bytes: &[u8]) -> Result<&[u8], DecodeError>",
        "check::<MESSAGE>(version, bytes)",
    );
    per_message(
        &mut out,
        "/// Decodes to the owned shape and encodes that again, at the same version or another.\n\
        pub fn reencode(self, from: i16, to: i16, bytes: &[u8]) -> Result<Result<Vec<u8>, EncodeError>, DecodeError>",
        "reencode::<MESSAGE>(from, to, bytes)",
    );
    per_message(
        &mut out,
        "/// The error codes of a response, see [`Message::each_error_code`].\n\
        pub fn error_codes(self, version: i16, bytes: &[u8]) -> Result<Vec<i16>, DecodeError>",
        "error_codes::<MESSAGE>(version, bytes)",
    );
    out.push_str(
        "}\nfn check<M: Message>(version: i16, bytes: &[u8]) -> Result<&[u8], DecodeError> {\n\
        Ok(M::View::decode_prefix(version, bytes)?.1)\n}\n\
        fn error_codes<M: Message>(version: i16, bytes: &[u8]) -> Result<Vec<i16>, DecodeError> {\n\
        let message = M::decode(version, bytes)?;\nlet mut codes = Vec::new();\n\
        message.each_error_code(version, &mut |code| codes.push(code));\nOk(codes)\n}\n\
        fn reencode<M: Message>(from: i16, to: i16, bytes: &[u8]) -> Result<Result<Vec<u8>, EncodeError>, DecodeError> {\n\
        let message = M::decode(from, bytes)?;\nlet mut out = Vec::new();\nOk(message.encode(to, &mut out).map(|()| out))\n}\n}\n",
    );
    out
}

pub fn error_codes(text: &str) -> String {
    let errors: Vec<Vec<&str>> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect()).collect();
    let mut out = "/// What an `error_code` field says.\n\
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ErrorCode {\n"
        .to_owned();
    errors.iter().for_each(|error| writeln!(out, "{} = {},", camel_case(error[1]), error[0]).unwrap());
    out.push_str("}\nimpl ErrorCode {\n/// All, by their number.\npub const ALL: &'static [Self] = &[\n");
    errors.iter().for_each(|error| writeln!(out, "Self::{},", camel_case(error[1])).unwrap());
    out.push_str("];\npub fn from_code(code: i16) -> Option<Self> {\nOption::Some(match code {\n");
    errors.iter().for_each(|error| writeln!(out, "{} => Self::{},", error[0], camel_case(error[1])).unwrap());
    out.push_str(
        "_ => return Option::None,\n})\n}\n/// Kafka's name.\npub fn name(self) -> &'static str {\nmatch self {\n",
    );
    errors.iter().for_each(|error| writeln!(out, "Self::{} => \"{}\",", camel_case(error[1]), error[1]).unwrap());
    out.push_str("}\n}\n/// Whether Kafka's clients try again.\npub fn is_retriable(self) -> bool {\n");
    out.push_str(&matches(&errors, "retriable"));
    out.push_str(
        "}\n/// Whether Kafka's clients fetch their metadata anew.\npub fn is_invalid_metadata(self) -> bool {\n",
    );
    out.push_str(&matches(&errors, "metadata"));
    out.push_str("}\n}\n");
    out
}

fn matches(errors: &[Vec<&str>], word: &str) -> String {
    let with: Vec<String> = errors
        .iter()
        .filter(|error| error.contains(&word))
        .map(|error| format!("Self::{}", camel_case(error[1])))
        .collect();
    format!("matches!(self, {})\n", with.join(" | "))
}
