//! What a dump says: one line for each thing, as names and values, so that people and programs read the same.
use std::fmt;

/// `| ` before it means that it lies in the one before.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub is_inner: bool,
    pub fields: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
pub enum Value {
    Flag(bool),
    Number(i128),
    Text(String),
    /// Of a record: null is not empty.
    Bytes(Option<Vec<u8>>),
}

impl Line {
    pub fn new() -> Line {
        Line::default()
    }

    pub fn inner() -> Line {
        Line { is_inner: true, fields: Vec::new() }
    }

    pub fn flag(self, name: &'static str, value: bool) -> Line {
        self.with(name, Value::Flag(value))
    }

    pub fn number(self, name: &'static str, value: impl Into<i128>) -> Line {
        self.with(name, Value::Number(value.into()))
    }

    pub fn text(self, name: &'static str, value: impl fmt::Display) -> Line {
        self.with(name, Value::Text(value.to_string()))
    }

    pub fn with(mut self, name: &'static str, value: Value) -> Line {
        self.fields.push((name, value));
        self
    }
}

/// As Kafka's tools write it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_inner {
            f.write_str("| ")?;
        }
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{name}: {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::Text(text) => f.write_str(text),
            Value::Bytes(None) => f.write_str("null"),
            Value::Bytes(Some(bytes)) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}
