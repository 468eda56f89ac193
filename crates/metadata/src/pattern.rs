//! Patterns that clients give: whether one can be compiled at all. The syntax is RE2's; what only Java knows, such as looking
//! ahead, is none.

pub fn is_pattern(text: &str) -> bool {
    regex_syntax::parse(text).is_ok()
}
