//! Reads the schema facts that `cargo xtask schema` writes. A broken file stops the build with its line.
//!
//! A line that begins with the kind of a message begins that message:
//! `request FetchRequest versions=4-18 flexible=12+ key=1 listeners=broker,controller [unstable]`.
//! Its fields follow, indented by two spaces, and fields of a struct by two more:
//! `Name type versions [nullable=V] [tag=N@V] [default=D] [flexible=none] [ignorable] [map-key]`.
//! `struct Name versions` at the depth of a message's fields begins a struct that several fields share.

use std::path::Path;

/// An inclusive range; empty when `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

#[derive(Debug)]
pub struct MessageFacts {
    pub kind: String,
    pub name: String,
    pub versions: Versions,
    pub flexible: Versions,
    pub key: Option<i16>,
    pub listeners: Vec<String>,
    pub unstable: bool,
    /// The message itself first, then every struct inside it.
    pub structs: Vec<StructFacts>,
}

#[derive(Debug)]
pub struct StructFacts {
    pub name: String,
    /// The versions in which it can occur.
    pub versions: Versions,
    pub fields: Vec<FieldFacts>,
}

#[derive(Clone, Debug)]
pub struct FieldFacts {
    pub name: String,
    pub kind: FieldKind,
    pub versions: Versions,
    pub nullable: Versions,
    pub tag: Option<u32>,
    pub tagged: Versions,
    pub default: Option<String>,
    /// Written as in versions that are not flexible, always.
    pub never_flexible: bool,
    pub ignorable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<FieldKind>),
}

impl Versions {
    pub const NONE: Self = Self { low: 0, high: -1 };

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub fn contains(self, version: i16) -> bool {
        (self.low..=self.high).contains(&version)
    }

    pub fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("version {text:?}"));
        if text == "none" {
            Self::NONE
        } else if let Some(low) = text.strip_suffix('+') {
            Self { low: number(low), high: i16::MAX }
        } else if let Some((low, high)) = text.split_once('-') {
            Self { low: number(low), high: number(high) }
        } else {
            Self { low: number(text), high: number(text) }
        }
    }
}

impl FieldKind {
    fn parse(text: &str) -> Self {
        match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            _ if text.starts_with("[]") => Self::Array(Box::new(Self::parse(&text[2..]))),
            _ if text.starts_with(|first: char| first.is_ascii_uppercase()) => Self::Struct(text.into()),
            _ => panic!("field type {text:?}"),
        }
    }

    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

/// All messages of all files of a folder but the error codes, by file name.
pub fn read_folder(folder: &Path) -> Vec<MessageFacts> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("schema folder").map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| !path.ends_with("error_codes.txt"));
    paths.sort();
    let mut messages = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("schema file");
        let lines: Vec<Line<'_>> = text.lines().filter(|line| !line.is_empty()).map(Line::new).collect();
        let mut rest = &lines[..];
        while !rest.is_empty() {
            messages.push(message(&mut rest));
        }
    }
    messages
}

struct Line<'t> {
    depth: usize,
    words: Vec<&'t str>,
}

impl<'t> Line<'t> {
    fn new(text: &'t str) -> Self {
        Self { depth: (text.len() - text.trim_start().len()) / 2, words: text.split_whitespace().collect() }
    }

    fn value(&self, name: &str) -> Option<&'t str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

fn message(rest: &mut &[Line<'_>]) -> MessageFacts {
    let (line, tail) = rest.split_first().expect("a message");
    assert_eq!(line.depth, 0, "a message begins at the margin: {:?}", line.words);
    *rest = tail;
    let versions = Versions::parse(line.value("versions").expect("versions="));
    let mut message = MessageFacts {
        kind: line.words[0].into(),
        name: line.words[1].into(),
        versions,
        flexible: Versions::parse(line.value("flexible").expect("flexible=")).and(versions),
        key: line.value("key").map(|key| key.parse().expect("key")),
        listeners: line.value("listeners").map_or(Vec::new(), |names| names.split(',').map(str::to_owned).collect()),
        unstable: line.has("unstable"),
        structs: Vec::new(),
    };
    let fields = struct_fields(rest, 1, versions, &mut message.structs);
    message.structs.insert(0, StructFacts { name: message.name.clone(), versions, fields });
    while let Some((line, tail)) = rest.split_first()
        && line.depth == 1
    {
        assert_eq!(line.words[0], "struct", "{:?}", line.words);
        *rest = tail;
        let versions = Versions::parse(line.words[2]).and(versions);
        let fields = struct_fields(rest, 2, versions, &mut message.structs);
        message.structs.push(StructFacts { name: line.words[1].into(), versions, fields });
    }
    message
}

/// The fields of a struct that can occur in `parent` versions; the structs inside it are added to `structs`.
fn struct_fields(
    rest: &mut &[Line<'_>],
    depth: usize,
    parent: Versions,
    structs: &mut Vec<StructFacts>,
) -> Vec<FieldFacts> {
    let mut fields = Vec::new();
    while let Some((line, tail)) = rest.split_first()
        && line.depth == depth
        && line.words[0] != "struct"
    {
        *rest = tail;
        let field = field(line, parent);
        let inner = struct_fields(rest, depth + 1, field.versions, structs);
        if !inner.is_empty() {
            let name = field.kind.struct_name().expect("only structs have fields").to_owned();
            assert!(structs.iter().all(|known| known.name != name), "struct {name} twice in one message");
            structs.push(StructFacts { name, versions: field.versions, fields: inner });
        }
        fields.push(field);
    }
    fields
}

fn field(line: &Line<'_>, parent: Versions) -> FieldFacts {
    let versions = Versions::parse(line.words[2]).and(parent);
    let (tag, tagged) = match line.value("tag").map(|tag| tag.split_once('@').expect("tag=N@V")) {
        Some((tag, tagged)) => (Some(tag.parse().expect("tag")), Versions::parse(tagged).and(versions)),
        None => (None, Versions::NONE),
    };
    FieldFacts {
        name: line.words[0].into(),
        kind: FieldKind::parse(line.words[1]),
        versions,
        nullable: line.value("nullable").map_or(Versions::NONE, Versions::parse).and(versions),
        tag,
        tagged,
        default: line.value("default").map(str::to_owned),
        never_flexible: line.value("flexible").is_some_and(|flexible| flexible == "none"),
        ignorable: line.has("ignorable"),
    }
}
