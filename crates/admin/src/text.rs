//! The two text formats that Prometheus reads: its own (0.0.4) and OpenMetrics 1.0. Written in pieces, so that a scrape of
//! any size needs a bounded buffer. Knows no metric; the order of families and samples is the caller's.
use std::fmt::{self, Write as _};

use bytes::Bytes;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    OpenMetrics,
    Prometheus,
}

/// What a family's samples are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

#[derive(Clone, Copy, Debug)]
pub enum Value {
    Float(f64),
    Signed(i64),
    Unsigned(u64),
}

/// Nobody reads any more.
#[derive(Debug)]
pub struct Gone;

/// What is being written to one scraper.
pub struct Page {
    format: Format,
    text: String,
    pieces: mpsc::Sender<Bytes>,
}

/// From this size on a piece is sent.
const PIECE_BYTES: usize = 32 * 1024;
/// What a family's counter ends with, in OpenMetrics by rule.
const TOTAL: &str = "_total";

impl Format {
    /// What the `Accept` of a request likes best of what there is. Who says nothing gets what people read.
    pub fn accepted(accept: &str) -> Format {
        let quality = |format: Format| {
            let of_format = accept.split(',').filter(|range| format.is_named_by(range.split(';').next().unwrap_or("")));
            of_format.map(quality_of).fold(0.0, f64::max)
        };
        match quality(Format::OpenMetrics) > quality(Format::Prometheus) {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    fn is_named_by(self, media_type: &str) -> bool {
        let name = match self {
            Format::OpenMetrics => "application/openmetrics-text",
            Format::Prometheus => "text/plain",
        };
        media_type.trim().eq_ignore_ascii_case(name)
    }
}

fn quality_of(range: &str) -> f64 {
    let parameters = range.split(';').skip(1);
    let quality = parameters.filter_map(|parameter| parameter.trim().strip_prefix("q=")).next();
    quality.map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0))
}

impl Page {
    pub(crate) fn new(format: Format) -> (Page, mpsc::Receiver<Bytes>) {
        let (pieces, receiver) = mpsc::channel(1);
        (Page { format, text: String::with_capacity(PIECE_BYTES + PIECE_BYTES / 4), pieces }, receiver)
    }

    /// Begins a family. `name` is that of its samples, a counter's `_total` included.
    pub fn family(&mut self, name: &str, kind: Kind, unit: Option<&str>, help: &str) {
        let (name, kind) = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => match name.strip_suffix(TOTAL) {
                Some(name) => (name, "counter"),
                // The names of others are not ours to change, and OpenMetrics has no counter without `_total`.
                None => (name, "unknown"),
            },
            (_, Kind::Counter) => (name, "counter"),
            (_, Kind::Gauge) => (name, "gauge"),
            (_, Kind::Histogram) => (name, "histogram"),
            (_, Kind::Summary) => (name, "summary"),
        };
        let help = Escaped { text: help, quotes: self.format == Format::OpenMetrics };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    /// One line: the name with its suffix (`_bucket`, `_count`, `_sum` or nothing), labels in the order given.
    pub fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: Value) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"{}\"", Escaped { text, quotes: true });
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// Sends what there is once it is worth it. To be called often: also the moment in which others may run.
    pub async fn turn(&mut self) -> Result<(), Gone> {
        match self.text.len() {
            PIECE_BYTES.. => self.send().await,
            _ => Ok(()),
        }
    }

    /// Nothing comes after this.
    pub async fn end(mut self) -> Result<(), Gone> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Gone> {
        let piece = Bytes::copy_from_slice(self.text.as_bytes());
        self.text.clear();
        self.pieces.send(piece).await.map_err(|_| Gone)
    }
}

/// As it may stand in a HELP line or between the quotes of a label.
struct Escaped<'t> {
    text: &'t str,
    quotes: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_special = |letter: char| matches!(letter, '\\' | '\n') || (self.quotes && letter == '"');
        if !self.text.contains(is_special) {
            return f.write_str(self.text);
        }
        self.text.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' if self.quotes => f.write_str("\\\""),
            letter => f.write_char(letter),
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Float(value) if value.is_nan() => f.write_str("NaN"),
            Value::Float(value) if value.is_infinite() => f.write_str(if *value > 0.0 { "+Inf" } else { "-Inf" }),
            Value::Float(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            Value::Unsigned(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_liked_best() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(prometheus_3), Format::OpenMetrics);
        for plain in ["", "*/*", "text/plain", "application/openmetrics-text;q=0", "text/html,*/*;q=0.8"] {
            assert_eq!(Format::accepted(plain), Format::Prometheus, "{plain}");
        }
        let rather_plain = "application/openmetrics-text; q=0.5, text/plain; q=0.7";
        assert_eq!(Format::accepted(rather_plain), Format::Prometheus);
        assert_eq!(Format::accepted("Application/OpenMetrics-Text"), Format::OpenMetrics);
    }

    fn written(format: Format) -> String {
        let (mut page, _) = Page::new(format);
        page.family("a_total", Kind::Counter, None, "Back\\slash, \"quotes\"\nand a line");
        page.sample("a_total", "", &[], Value::Unsigned(7));
        page.family("oldpersec", Kind::Counter, None, "A counter of others");
        page.sample("oldpersec", "", &[("topic", "a\"b\\c\nd")], Value::Signed(-1));
        page.family("b_seconds", Kind::Histogram, Some("seconds"), "Times");
        page.sample("b_seconds", "_bucket", &[("x", "y"), ("le", "+Inf")], Value::Float(0.25));
        page.text
    }

    #[test]
    fn prometheus_reads_it() {
        let expected = r#"# HELP a_total Back\\slash, "quotes"\nand a line
# TYPE a_total counter
a_total 7
# HELP oldpersec A counter of others
# TYPE oldpersec counter
oldpersec{topic="a\"b\\c\nd"} -1
# HELP b_seconds Times
# TYPE b_seconds histogram
b_seconds_bucket{x="y",le="+Inf"} 0.25
"#;
        assert_eq!(written(Format::Prometheus), expected);
    }

    #[test]
    fn openmetrics_has_its_own_rules() {
        let expected = r#"# HELP a Back\\slash, \"quotes\"\nand a line
# TYPE a counter
a_total 7
# HELP oldpersec A counter of others
# TYPE oldpersec unknown
oldpersec{topic="a\"b\\c\nd"} -1
# HELP b_seconds Times
# TYPE b_seconds histogram
# UNIT b_seconds seconds
b_seconds_bucket{x="y",le="+Inf"} 0.25
"#;
        assert_eq!(written(Format::OpenMetrics), expected);
    }
}
