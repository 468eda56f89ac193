//! What a topic may be called (Kafka's `Topic.validate`).

use protocol::ErrorCode;

use crate::answer::ApiError;

const LENGTH_MAX: usize = 249;

pub fn check(name: &str) -> Result<(), ApiError> {
    let invalid = |text: String| Err(ApiError::new(ErrorCode::InvalidTopicException, text));
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => invalid("Topic name is invalid: the empty string is not allowed".into()),
        "." | ".." => invalid(format!("Topic name is invalid: '{name}' is not allowed")),
        // Java counts UTF-16 units; they differ only in names that are refused anyway.
        _ if name.encode_utf16().count() > LENGTH_MAX => invalid(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {LENGTH_MAX}"
        )),
        _ if !name.bytes().all(is_legal) => invalid(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        )),
        _ => Ok(()),
    }
}
