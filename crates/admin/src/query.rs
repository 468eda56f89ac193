//! The part of a URL behind the question mark, as names and values. A value may hold several, with commas between them.

/// Every value, in order, with its name.
pub fn values(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .flat_map(|pair| {
            let (name, values) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, values) = (decoded(name), decoded(values));
            let values: Vec<String> = values.split(',').map(str::to_owned).collect();
            values.into_iter().map(move |value| (name.clone(), value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let escaped = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        let all = values("dialect=strimzi%2Cexporter&&dialect=a+b&detail&x=%zz%4");
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected =
            [("dialect", "strimzi"), ("dialect", "exporter"), ("dialect", "a b"), ("detail", ""), ("x", "%zz%4")];
        assert_eq!(all, expected);
        assert_eq!(values(""), []);
    }
}
