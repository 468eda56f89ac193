//! Which names a topic may have: Kafka's `Topic.validate`, with its messages.

/// One more would not fit into the name of a file (`Topic.MAX_NAME_LENGTH`).
const LENGTH_MAX: usize = 249;

/// The error is the message for the client, of INVALID_TOPIC_EXCEPTION.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fault = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        // Java counts UTF-16 units: a name that is illegal anyway gets the same message.
        _ if name.encode_utf16().count() > LENGTH_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
        }
        _ if !name.bytes().all(is_legal) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters_digits_dots_underscores_and_dashes() {
        for name in ["a", "Flights-2026_11.de", "...", &"x".repeat(249)] {
            assert_eq!(check_topic_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "a\0", "ü", "../etc", &"x".repeat(250)] {
            assert!(check_topic_name(name).unwrap_err().starts_with("Topic name is invalid: "), "{name}");
        }
    }
}
