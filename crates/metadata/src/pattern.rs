//! Patterns that clients give: whether one can be compiled at all, and what it matches. The syntax is RE2's; what only Java
//! knows, such as looking ahead, is none.
use regex_automata::Anchored;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, Config};
use regex_automata::util::primitives::NonMaxUsize;

/// Compiled; a pattern that needs more matches nothing.
const COMPILED_BYTES_MAX: usize = 1 << 20;

pub fn is_pattern(text: &str) -> bool {
    regex_syntax::parse(text).is_ok()
}

/// Whether all of the text is what the pattern says, as Java's `Matcher.matches`. In time that grows with the text.
pub fn matches_whole(pattern: &str, text: &str) -> bool {
    let config = Config::new().nfa_size_limit(Some(COMPILED_BYTES_MAX));
    let compiled = Compiler::new().configure(config).build(&format!("(?:{pattern})\\z"));
    let Ok(machine) = compiled.and_then(PikeVM::new_from_nfa) else { return false };
    let input = regex_automata::Input::new(text).anchored(Anchored::Yes);
    let mut slots: [Option<NonMaxUsize>; 0] = [];
    machine.search_slots(&mut machine.create_cache(), &input, &mut slots).is_some()
}

#[cfg(test)]
mod tests {
    use super::matches_whole;

    #[test]
    fn a_pattern_matches_all_of_a_text_or_none() {
        let cases = [
            ("app", "app", true),
            ("app", "apps", false),
            ("a|apps", "apps", true),
            ("", "", true),
            (".*", "any thing", true),
            ("[", "[", false),
            ("(?:a{1000}){1000}", "a", false),
        ];
        for (pattern, text, wanted) in cases {
            assert_eq!(matches_whole(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
