//! placeholder
use crate::facts::MessageFacts;
pub fn all(_: &[MessageFacts]) -> String {
    String::new()
}
