//! Names and conditions in the generated Rust.

use crate::facts::Versions;

/// `ClusterId` to `cluster_id`, `KRaftVersionFeature` to `kraft_version_feature`; keywords become raw identifiers.
pub fn field_name(name: &str) -> String {
    let snake = snake_case(name);
    match snake.as_str() {
        "type" | "match" | "as" | "in" | "ref" | "move" | "use" | "loop" | "final" | "virtual" => format!("r#{snake}"),
        _ => snake,
    }
}

pub fn snake_case(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        let begins_word = letter.is_uppercase()
            && index > 0
            && (!letters[index - 1].is_uppercase() || letters.get(index + 1).is_some_and(|next| next.is_lowercase()));
        if begins_word {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// `UNKNOWN_TOPIC_ID` to `UnknownTopicId`.
pub fn camel_case(name: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_lowercase();
    name.split('_').map(word).collect()
}

/// What the generated code asks of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    Never,
    If(String),
}

/// Whether a version that is known to be in `among` is in `versions`, as an expression over `version`.
pub fn when(versions: Versions, among: Versions, version: &str) -> When {
    let inside = versions.and(among);
    if inside.is_empty() {
        When::Never
    } else if inside == among {
        When::Always
    } else if inside.high == among.high {
        When::If(format!("{version} >= {}", inside.low))
    } else if inside.low == among.low {
        When::If(format!("{version} <= {}", inside.high))
    } else if inside.low == inside.high {
        When::If(format!("{version} == {}", inside.low))
    } else {
        When::If(format!("({}..={}).contains(&{version})", inside.low, inside.high))
    }
}

impl When {
    /// An expression that is one of two.
    pub fn choose(&self, then: &str, otherwise: &str) -> String {
        match self {
            Self::Always => then.to_owned(),
            Self::Never => otherwise.to_owned(),
            Self::If(_) if then == otherwise => then.to_owned(),
            Self::If(condition) => format!("if {condition} {{ {then} }} else {{ {otherwise} }}"),
        }
    }

    /// A statement under a condition, with one for the other case (empty if there is nothing to do).
    pub fn perform(&self, then: &str, otherwise: &str) -> String {
        match self {
            Self::Always => then.to_owned(),
            Self::Never => otherwise.to_owned(),
            Self::If(condition) if otherwise.is_empty() => format!("if {condition} {{ {then} }}\n"),
            Self::If(condition) if then.is_empty() => format!("if !({condition}) {{ {otherwise} }}\n"),
            Self::If(condition) => format!("if {condition} {{ {then} }} else {{ {otherwise} }}\n"),
        }
    }
}
