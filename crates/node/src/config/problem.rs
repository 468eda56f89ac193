//! What is wrong with a configuration: said so that whoever reads it knows what to write instead.
use std::fmt;

/// One thing that is wrong. Reads as a sentence: subject, rule; remedy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The key with its value and its place.
    pub subject: String,
    /// A predicate: "must be ...".
    pub rule: String,
    pub remedy: String,
}

/// Everything that is wrong, so that nobody has to start five times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors {
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.subject, self.rule, self.remedy)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
