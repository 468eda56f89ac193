//! An error as Kafka answers it: a code, and sometimes a text.

use protocol::ErrorCode;

/// Kafka's `ApiError`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}
