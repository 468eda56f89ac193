//! Stdin as records: lines with or without a key, or JSON objects. Knows no broker.
use serde_json::Value;

use crate::failure::Failure;
use crate::format::from_base64;

/// How records stand in the input, and what all of them have in common.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub delimiter: Vec<u8>,
    pub empty_is_null: bool,
    pub headers: Vec<(String, String)>,
    pub is_json: bool,
    pub key: Option<String>,
    pub key_separator: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Input {
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub key: Option<Vec<u8>>,
    /// Which record of the input it is, from 1.
    pub number: u64,
    /// `None`: now.
    pub timestamp_ms: Option<i64>,
    pub value: Option<Vec<u8>>,
}

/// Cuts pieces of any length into records.
pub struct Reader {
    shape: Shape,
    rest: Vec<u8>,
    /// Where in `rest` a delimiter may begin that was not looked for yet.
    searched: usize,
    number: u64,
}

/// No broker takes a record like this; the input probably has no delimiters at all.
const RECORD_BYTES_MAX: usize = 128 << 20;

impl Reader {
    pub fn new(shape: Shape) -> Reader {
        Reader { shape, rest: Vec::new(), searched: 0, number: 0 }
    }

    /// Adds all records that end in what has come so far, or those before one that cannot be read.
    pub fn take(&mut self, piece: &[u8], records: &mut Vec<Input>) -> Result<(), Failure> {
        self.rest.extend_from_slice(piece);
        let mut start = 0;
        while let Some(end) = self.delimiter(start) {
            let line = self.rest[start..end].to_vec();
            records.extend(self.record(&line)?);
            start = end + self.shape.delimiter.len();
        }
        self.rest.drain(..start);
        self.searched = self.rest.len().saturating_sub(self.shape.delimiter.len() - 1);
        if self.rest.len() > RECORD_BYTES_MAX {
            return Err(Failure::new(format!("record {} is larger than {RECORD_BYTES_MAX} bytes", self.number + 1)));
        }
        Ok(())
    }

    /// What is left when the input has ended: a last record without its delimiter.
    pub fn finish(&mut self, records: &mut Vec<Input>) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            records.extend(self.record(&rest)?);
        }
        Ok(())
    }

    fn delimiter(&self, start: usize) -> Option<usize> {
        let delimiter = self.shape.delimiter.as_slice();
        let from = if start == 0 { self.searched } else { start };
        match delimiter {
            [single] => self.rest[from..].iter().position(|byte| byte == single).map(|at| from + at),
            _ => self.rest[from..].windows(delimiter.len()).position(|window| window == delimiter).map(|at| from + at),
        }
    }

    fn record(&mut self, line: &[u8]) -> Result<Option<Input>, Failure> {
        self.number += 1;
        let mut input = match self.shape.is_json {
            true if line.iter().all(u8::is_ascii_whitespace) => return Ok(None),
            true => self.json(line)?,
            false => self.line(line)?,
        };
        let common = self.shape.headers.iter().map(|(name, value)| (name.clone().into(), Some(value.clone().into())));
        input.headers.extend(common);
        input.number = self.number;
        Ok(Some(input))
    }

    fn line(&self, line: &[u8]) -> Result<Input, Failure> {
        let mut key = self.shape.key.clone().map(String::into_bytes);
        let mut value = line;
        if let Some(separator) = &self.shape.key_separator {
            let at = line.windows(separator.len()).position(|window| window == separator.as_slice());
            let at = at.ok_or_else(|| {
                let what =
                    format!("record {} has no {}", self.number, String::from_utf8_lossy(separator).escape_debug());
                Failure::new(what).remedy("every line needs the separator of --key-separator")
            })?;
            key = Some(line[..at].to_vec());
            value = &line[at + separator.len()..];
        }
        let value = if self.shape.empty_is_null && value.is_empty() { None } else { Some(value.to_vec()) };
        Ok(Input { key, value, ..Input::default() })
    }

    fn json(&self, line: &[u8]) -> Result<Input, Failure> {
        let wrong = |what: String| {
            Failure::new(format!("record {}: {what}", self.number))
                .remedy(r#"write {"key":"k","value":"v","headers":[{"name":"n","value":"x"}]}, one object per line"#)
        };
        let object: Value = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        if !object.is_object() {
            return Err(wrong("is no JSON object".to_owned()));
        }
        let mut headers = Vec::new();
        for header in object["headers"].as_array().into_iter().flatten() {
            let name = header["name"].as_str().ok_or_else(|| wrong("a header has no name".to_owned()))?;
            headers.push((name.as_bytes().to_vec(), bytes_of(header, "value").map_err(wrong)?));
        }
        let key = bytes_of(&object, "key").map_err(wrong)?;
        let key = key.or_else(|| self.shape.key.clone().map(String::into_bytes));
        let value = bytes_of(&object, "value").map_err(wrong)?;
        let value = value.filter(|value| !(self.shape.empty_is_null && value.is_empty()));
        Ok(Input { headers, key, number: 0, timestamp_ms: object["timestamp"].as_i64(), value })
    }
}

/// Text, base64, or any other JSON as it is written.
fn bytes_of(object: &Value, name: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = object[format!("{name}_base64")].as_str() {
        return from_base64(text).map(Some).ok_or_else(|| format!("{name}_base64 is no base64"));
    }
    Ok(match &object[name] {
        Value::Null => None,
        Value::String(text) => Some(text.as_bytes().to_vec()),
        other => Some(other.to_string().into_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Shape {
        Shape { delimiter: b"\n".to_vec(), ..Shape::default() }
    }

    fn read(shape: Shape, pieces: &[&str]) -> Vec<(Option<String>, Option<String>)> {
        let mut reader = Reader::new(shape);
        let mut records: Vec<Input> = Vec::new();
        for piece in pieces {
            reader.take(piece.as_bytes(), &mut records).unwrap();
        }
        reader.finish(&mut records).unwrap();
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
        records.into_iter().map(|record| (text(record.key), text(record.value))).collect()
    }

    fn some(key: &str, value: &str) -> (Option<String>, Option<String>) {
        (Some(key.to_owned()), Some(value.to_owned()))
    }

    #[test]
    fn pieces_may_end_anywhere() {
        let value = |text: &str| (None, Some(text.to_owned()));
        assert_eq!(read(lines(), &["a\nb", "c\n\n", "d"]), [value("a"), value("bc"), value(""), value("d")]);
        let shape = Shape { delimiter: b"--".to_vec(), ..Shape::default() };
        assert_eq!(read(shape, &["a-", "-b", "---", "c"]), [value("a"), value("b"), value("-c")]);
    }

    #[test]
    fn keys_stand_before_the_first_separator() {
        let shape = Shape { key_separator: Some(b":".to_vec()), empty_is_null: true, ..lines() };
        assert_eq!(
            read(shape.clone(), &["k:v:w\n:x\nd:\n"]),
            [some("k", "v:w"), some("", "x"), (Some("d".to_owned()), None)]
        );
        let mut before = Vec::new();
        let failure = Reader::new(shape).take(b"a:b\nno key\nc:d\n", &mut before).unwrap_err();
        assert_eq!((failure.what.as_str(), before.len()), ("record 2 has no :", 1));
        let shape = Shape { key: Some("all".to_owned()), ..lines() };
        assert_eq!(read(shape, &["v"]), [some("all", "v")]);
    }

    #[test]
    fn json_is_what_consume_writes() {
        let shape = Shape { is_json: true, headers: vec![("h".into(), "1".into())], ..lines() };
        let mut reader = Reader::new(shape);
        let text = concat!(
            r#"{"topic":"t","partition":1,"offset":7,"timestamp":5,"key":"k","value_base64":"/yI=","headers":[{"name":"n","value":null}]}"#,
            "\n\n",
            r#"{"value":{"nested":[1]}}"#
        );
        let mut records = Vec::new();
        reader.take(text.as_bytes(), &mut records).unwrap();
        reader.finish(&mut records).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].value.as_deref(), Some(b"\xff\"".as_slice()));
        assert_eq!(records[0].timestamp_ms, Some(5));
        assert_eq!(records[0].headers, [(b"n".to_vec(), None), (b"h".to_vec(), Some(b"1".to_vec()))]);
        assert_eq!(records[1].value.as_deref(), Some(br#"{"nested":[1]}"#.as_slice()));
        assert_eq!((records[1].key.as_deref(), records[1].number), (None, 3));
        for wrong in ["[]", "{", r#"{"value_base64":"?"}"#, r#"{"headers":[{}]}"#] {
            let shape = Shape { is_json: true, ..lines() };
            assert!(Reader::new(shape).take(format!("{wrong}\n").as_bytes(), &mut Vec::new()).is_err(), "{wrong}");
        }
    }
}
