//! The JSON that Kafka's generated `*JsonConverter` classes make of a message: names and values, not only bytes.

use bytes::Bytes;
use protocol::{Message, MessageKind, Records, Uuid};
use serde_json::{Map, Value};

pub trait ToJson {
    fn to_json(&self, version: i16) -> Value;
}

fn decoded<M: Message + ToJson>(version: i16, bytes: &[u8]) -> Value {
    M::decode(version, bytes).unwrap_or_else(|error| panic!("{} v{version}: {error}", M::NAME)).to_json(version)
}

macro_rules! plain_json {
    ($($type:ty)*) => { $(
        impl ToJson for $type {
            fn to_json(&self, _version: i16) -> Value {
                Value::from(self.clone())
            }
        }
    )* };
}

plain_json! { bool i8 i16 u16 i32 u32 i64 f64 String }

impl ToJson for Uuid {
    fn to_json(&self, _version: i16) -> Value {
        Value::from(self.to_string())
    }
}

impl ToJson for Bytes {
    fn to_json(&self, _version: i16) -> Value {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in self.chunks(3) {
            let bits = (0..3).fold(0u32, |bits, index| bits << 8 | u32::from(*chunk.get(index).unwrap_or(&0)));
            for index in 0..4 {
                let letter = char::from(ALPHABET[(bits >> (18 - 6 * index)) as usize & 63]);
                text.push(if index <= chunk.len() { letter } else { '=' });
            }
        }
        Value::from(text)
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, version: i16) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.to_json(version))
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self, version: i16) -> Value {
        self.iter().map(|element| element.to_json(version)).collect()
    }
}

trait MaybeRecords {
    fn size_bytes(&self) -> Option<usize>;
}

impl MaybeRecords for Records {
    fn size_bytes(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl MaybeRecords for Option<Records> {
    fn size_bytes(&self) -> Option<usize> {
        self.as_ref().map(Records::len)
    }
}

/// Kafka's converters leave the records out and say how many bytes they are.
fn put_records(object: &mut Map<String, Value>, name: &str, records: &impl MaybeRecords) {
    match records.size_bytes() {
        Some(size) => object.insert(format!("{name}SizeInBytes"), Value::from(size)),
        None => object.insert(name.to_owned(), Value::Null),
    };
}

include!(concat!(env!("OUT_DIR"), "/oracle_json.rs"));
