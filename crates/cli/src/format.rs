//! How records look: the `%` verbs that kcat and rpk share, and one JSON object per record.
use record::Record;
use serde_json::{Value, json};

/// A parsed `--format`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Template(Vec<Piece>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    Headers,
    Key,
    KeySize,
    Literal(Vec<u8>),
    Offset,
    Partition,
    Timestamp,
    Topic,
    Value,
    ValueSize,
}

impl Format {
    /// Made for clap: what is wrong is said in one sentence.
    pub fn parse(text: &str) -> Result<Format, String> {
        if text == "json" {
            return Ok(Format::Json);
        }
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '%' => match letters.next() {
                    Some('%') => {
                        literal.push(b'%');
                        continue;
                    }
                    Some('h') => Piece::Headers,
                    Some('k') => Piece::Key,
                    Some('K') => Piece::KeySize,
                    Some('o') => Piece::Offset,
                    Some('p') => Piece::Partition,
                    Some('d' | 'T') => Piece::Timestamp,
                    Some('t') => Piece::Topic,
                    Some('v' | 's') => Piece::Value,
                    Some('V' | 'S') => Piece::ValueSize,
                    other => {
                        let verb = other.map_or("%".to_owned(), |letter| format!("%{letter}"));
                        return Err(format!(
                            "{verb} means nothing; there are %t %p %o %k %v %h %T (time), %K %V (sizes), %%, or `json`"
                        ));
                    }
                },
                '\\' => {
                    escape(&mut letters, &mut literal)?;
                    continue;
                }
                other => {
                    literal.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Format::Template(pieces))
    }

    /// Appends one record to `out`.
    pub fn put(&self, topic: &str, partition: i32, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Format::Json => {
                let object = object(topic, partition, record);
                out.extend_from_slice(object.to_string().as_bytes());
                out.push(b'\n');
            }
            Format::Template(pieces) => {
                for piece in pieces {
                    put_piece(piece, topic, partition, record, out);
                }
            }
        }
    }
}

fn put_piece(piece: &Piece, topic: &str, partition: i32, record: &Record<'_>, out: &mut Vec<u8>) {
    let size = |bytes: Option<&[u8]>| bytes.map_or("-1".to_owned(), |bytes| bytes.len().to_string());
    match piece {
        Piece::Headers => {
            for (index, (name, value)) in record.headers.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(value.unwrap_or_default());
            }
        }
        Piece::Key => out.extend_from_slice(record.key.unwrap_or_default()),
        Piece::KeySize => out.extend_from_slice(size(record.key).as_bytes()),
        Piece::Literal(bytes) => out.extend_from_slice(bytes),
        Piece::Offset => out.extend_from_slice(record.offset.0.to_string().as_bytes()),
        Piece::Partition => out.extend_from_slice(partition.to_string().as_bytes()),
        Piece::Timestamp => out.extend_from_slice(record.timestamp.0.to_string().as_bytes()),
        Piece::Topic => out.extend_from_slice(topic.as_bytes()),
        Piece::Value => out.extend_from_slice(record.value.unwrap_or_default()),
        Piece::ValueSize => out.extend_from_slice(size(record.value).as_bytes()),
    }
}

/// Text as text; bytes that are none as base64, under a name that says so. `ottla produce --format json` reads it.
fn object(topic: &str, partition: i32, record: &Record<'_>) -> Value {
    let mut object = json!({
        "topic": topic,
        "partition": partition,
        "offset": record.offset.0,
        "timestamp": record.timestamp.0,
    });
    put_bytes(&mut object, "key", record.key);
    put_bytes(&mut object, "value", record.value);
    if !record.headers.is_empty() {
        let header = |(name, value): (&[u8], Option<&[u8]>)| {
            let mut header = json!({ "name": String::from_utf8_lossy(name) });
            put_bytes(&mut header, "value", value);
            header
        };
        object["headers"] = record.headers.iter().map(header).collect();
    }
    object
}

fn put_bytes(object: &mut Value, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (str::from_utf8(bytes), bytes)) {
        None => object[name] = Value::Null,
        Some((Ok(text), _)) => object[name] = json!(text),
        Some((Err(_), bytes)) => object[format!("{name}_base64")] = json!(base64(bytes)),
    }
}

/// What follows a backslash: `\n`, `\t`, `\r`, `\0`, `\\`, `\xNN`.
fn escape(letters: &mut std::str::Chars<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(match letters.next() {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = letters.by_ref().take(2).collect();
            let byte = (digits.len() == 2).then(|| u8::from_str_radix(&digits, 16).ok()).flatten();
            byte.ok_or_else(|| format!("\\x{digits} is no byte such as \\x1f"))?
        }
        Some(other) => return Err(format!("\\{other} means nothing; there are \\n \\t \\r \\0 \\\\ and \\xNN")),
        None => return Err("a backslash at the end means nothing".to_owned()),
    });
    Ok(())
}

/// A separator on the command line, with its escapes. Not empty.
pub fn separator(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => escape(&mut letters, &mut out)?,
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if out.is_empty() { Err("a separator is at least one character".to_owned()) } else { Ok(out) }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, padded.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let sextet = bits >> (18 - 6 * index) & 63;
            text.push(if index <= chunk.len() { ALPHABET[sextet as usize].into() } else { '=' });
        }
    }
    text
}

/// The counterpart of [`base64`]. `None` if it is none.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - bare.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for letter in bare.bytes() {
        let sextet = ALPHABET.iter().position(|other| *other == letter)? as u32;
        (bits, count) = (bits << 6 | sextet, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use record::{BatchBuilder, BatchView, Compression, Records, Timestamp};

    use super::*;

    fn formatted(format: &str, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append_with_headers(Timestamp(1234), key, value, &[(b"a", Some(b"1")), (b"b", None)]);
        let batch = builder.build();
        let batch = BatchView::parse(&batch).unwrap();
        let record = Records::new(&batch, batch.body()).unwrap().next().unwrap().unwrap();
        let mut out = Vec::new();
        Format::parse(format).unwrap().put("t", 3, &record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn verbs_are_those_of_kcat_and_rpk() {
        let record = |format| formatted(format, Some(b"k"), Some(b"value"));
        assert_eq!(record("%t/%p@%o %k=%v %T [%h] %K,%S%%\\n\\x41"), "t/3@0 k=value 1234 [a=1,b=] 1,5%\nA");
        assert_eq!(formatted("%k|%K|%s|%V", None, None), "|-1||-1");
    }

    #[test]
    fn json_loses_nothing() {
        assert_eq!(
            formatted("json", None, Some(b"\xff\"")),
            "{\"headers\":[{\"name\":\"a\",\"value\":\"1\"},{\"name\":\"b\",\"value\":null}],\"key\":null,\"offset\":0,\
             \"partition\":3,\"timestamp\":1234,\"topic\":\"t\",\"value_base64\":\"/yI=\"}\n"
        );
    }

    #[test]
    fn what_means_nothing_is_said() {
        for format in ["%x", "%", "\\q", "\\", "\\x1", "\\xzz"] {
            assert!(
                Format::parse(format).unwrap_err().contains("means nothing") || format.starts_with("\\x"),
                "{format}"
            );
        }
        assert!(separator("").is_err());
        assert_eq!(separator("\\t:"), Ok(b"\t:".to_vec()));
    }

    #[test]
    fn base64_is_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Z", "Zg=", "Z===", "Zg!=", "===="] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }
}
