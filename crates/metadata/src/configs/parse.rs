//! From a config's text to its value, as Kafka's `ConfigDef.parseType` and its validators do it, messages included.

use super::keys::{Key, Kind, Rule};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Double(f64),
    /// INT and LONG.
    Number(i64),
    List(Vec<String>),
    Text(String),
}

impl Value {
    /// As Kafka writes it back (`ConfigDef.convertToString`).
    pub fn text(&self) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::Double(value) => java_double(*value),
            Value::Number(value) => value.to_string(),
            Value::List(values) => values.join(","),
            Value::Text(value) => value.clone(),
        }
    }
}

impl Kind {
    /// Whether a config may have the value is for its rule to say.
    fn parse(self, text: &str) -> Option<Value> {
        let trimmed = text.trim_matches(|letter| letter <= ' '); // Java's `String.trim`.
        match self {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
            Kind::Boolean => None,
            Kind::Double => parse_java_double(trimmed).map(Value::Double),
            Kind::Int => trimmed.parse::<i32>().ok().map(|value| Value::Number(value.into())),
            Kind::Long => trimmed.parse().ok().map(Value::Number),
            Kind::List if trimmed.is_empty() => Some(Value::List(Vec::new())),
            Kind::List => Some(Value::List(split_list(trimmed))),
            Kind::String => Some(Value::Text(trimmed.to_owned())),
        }
    }

    /// What was set, as DescribeConfigs shows it.
    pub(super) fn shown(self, text: &str) -> String {
        self.parse(text).map_or_else(|| text.to_owned(), |value| value.text())
    }
}

impl Key {
    /// The error is Kafka's message.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let value = self.parse_kind(text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// The value of the table.
    pub fn default_value(&self) -> Value {
        self.parse(self.default).expect("a test parses all defaults")
    }

    fn parse_kind(&self, text: &str) -> Result<Value, String> {
        self.kind.parse(text).ok_or_else(|| match self.kind {
            Kind::Boolean => self.invalid(text, "Expected value to be either true or false"),
            _ => self.invalid(text, format_args!("Not a number of type {}", self.kind.name())),
        })
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let must = |holds: bool, rule: String| if holds { Ok(()) } else { Err(self.invalid(&value.text(), rule)) };
        let at_least = |min: i64, value: i64| must(value >= min, format!("Value must be at least {min}"));
        let no_more = |max: i64, value: i64| must(value <= max, format!("Value must be no more than {max}"));
        match (self.rule, value) {
            (Rule::AtLeast(min), Value::Number(value)) => at_least(min, *value),
            (Rule::Between(min, max), Value::Number(value)) => at_least(min, *value).and(no_more(max, *value)),
            (Rule::GzipLevel, Value::Number(value)) => {
                must((1..=9).contains(value) || *value == -1, "Value must be between 1 and 9 or equal to -1".into())
            }
            (Rule::OneOf(choices), Value::Text(value)) => {
                must(choices.contains(&&**value), format!("String must be one of: {}", choices.join(", ")))
            }
            // Comparisons with NaN are false: Kafka lets it pass.
            (Rule::Ratio, Value::Double(value)) if *value < 0.0 => must(false, "Value must be at least 0".into()),
            (Rule::Ratio, Value::Double(value)) if *value > 1.0 => must(false, "Value must be no more than 1".into()),
            (Rule::SomeOf(choices), Value::List(values)) => {
                match values.iter().find(|value| !choices.contains(&&***value)) {
                    None => Ok(()),
                    Some(other) if other.is_empty() => {
                        Err(format!("Configuration '{}' values must not be empty.", self.name))
                    }
                    Some(other) => {
                        Err(self.invalid(other, format_args!("String must be one of: {}", choices.join(", "))))
                    }
                }
            }
            (Rule::ThrottledReplicas, Value::List(values)) if !are_throttled_replicas(values) => {
                let rule = format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                );
                Err(self.invalid(&format!("[{}]", values.join(", ")), rule))
            }
            _ => Ok(()),
        }
    }

    fn invalid(&self, value: &str, rule: impl std::fmt::Display) -> String {
        format!("Invalid value {value} for configuration {}: {rule}", self.name)
    }
}

/// Java's `split("\\s*,\\s*", -1)`.
fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']).to_owned()).collect()
}

/// `ThrottledReplicaListValidator`, which looks at the elements as one text.
fn are_throttled_replicas(values: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |text: &str| text.split_once(':').is_some_and(|(left, right)| is_number(left) && is_number(right));
    match values {
        [] => true,
        [only] if only == "*" => true,
        // A comma at the end is not looked at.
        [pairs @ .., last] => pairs.iter().all(|pair| is_pair(pair)) && (is_pair(last) || last.is_empty()),
    }
}

/// `Double.parseDouble`, except hexadecimal floats, which nobody writes into a config.
fn parse_java_double(text: &str) -> Option<f64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match unsigned {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => {
            let digits = unsigned.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(unsigned);
            let is_plain = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
            is_plain.then(|| digits.parse().ok()).flatten()?
        }
    };
    Some(sign * magnitude)
}

/// `Double.toString`.
fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        format!("{value:?}")
    } else {
        let text = format!("{value:E}");
        let (digits, exponent) = text.split_once('E').expect("the format has an exponent");
        if digits.contains('.') { text } else { format!("{digits}.0E{exponent}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (value, text) in [(0.5, "0.5"), (1.0, "1.0"), (1e7, "1.0E7"), (1e-4, "1.0E-4"), (9.3e18, "9.3E18")] {
            assert_eq!(java_double(value), text);
        }
    }
}
