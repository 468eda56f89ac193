//! Where to begin and where to stop: the grammar of `--offset`, as rpk has it, with kcat's words.

/// One side of a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Point {
    /// Before the first record that there is now.
    Start,
    /// Behind the last record that there is now.
    End,
    /// `+N`: N behind the start.
    FromStart(i64),
    /// `-N`: N before the end.
    FromEnd(i64),
    Offset(i64),
    /// Milliseconds since the epoch: the first record of that time or later.
    Time(i64),
    /// Milliseconds before now, likewise.
    Ago(i64),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    pub start: Point,
    /// `None`: go on for ever.
    pub end: Option<Point>,
}

impl Range {
    /// Made for clap: what is wrong is said in one sentence.
    pub fn parse(text: &str) -> Result<Range, String> {
        if let Some(start) = point(text) {
            return Ok(Range { start, end: None });
        }
        // Times have colons of their own, so each colon may be the one between.
        for (at, _) in text.match_indices(':') {
            let (left, right) = (&text[..at], &text[at + 1..]);
            let right = if left.starts_with('@') && !right.starts_with('@') && point(right).is_none() {
                format!("@{right}") // `@t1:t2`
            } else {
                right.to_owned()
            };
            let start = if left.is_empty() { Some(Point::Start) } else { point(left) };
            if let (Some(start), Some(end)) = (start, point(&right)) {
                return Ok(Range { start, end: Some(end) });
            }
        }
        Err(format!(
            "`{text}` is no offset: write start, end, 42, +10 (behind the start), -10 (before the end), @-1h, \
             @2026-11-26T10:00:00Z, @1790000000000, or two of them with : between, such as -10:end"
        ))
    }
}

impl Point {
    /// Made for clap.
    pub fn parse(text: &str) -> Result<Point, String> {
        point(text).ok_or_else(|| {
            format!(
                "`{text}` is no offset: write start, end, 42, +10 (behind the start), -10 (before the end), @-1h, \
                 @2026-11-26T10:00:00Z or @1790000000000"
            )
        })
    }
}

fn point(text: &str) -> Option<Point> {
    match text {
        "start" | "beginning" | "earliest" => return Some(Point::Start),
        "end" | "latest" => return Some(Point::End),
        _ => {}
    }
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0 && !text.starts_with('+'));
    match text.as_bytes().first()? {
        b'+' => number(&text[1..]).map(Point::FromStart),
        b'-' => number(&text[1..]).map(Point::FromEnd),
        b'@' => time(&text[1..]),
        _ => number(text).map(Point::Offset),
    }
}

fn time(text: &str) -> Option<Point> {
    if let Some(ago) = text.strip_prefix('-') {
        let span = crate::connect::duration(ago).ok()?;
        return Some(Point::Ago(i64::try_from(span.as_millis()).ok()?));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Ten digits are seconds until the year 2286, thirteen are milliseconds since 2001.
        let number: i64 = text.parse().ok()?;
        return Some(Point::Time(if text.len() <= 10 { number * 1000 } else { number }));
    }
    rfc3339_ms(text).map(Point::Time)
}

/// `2026-11-26`, `2026-11-26T10:00Z`, `2026-11-26T10:00:00.5Z`, `...+01:00`. A date is its first moment in UTC.
fn rfc3339_ms(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, zone_minutes) = match time.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let [hours, minutes] = numbers(&time[at + 1..], ':', [2, 2])?;
            let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
            (&time[..at], sign * (hours * 60 + minutes))
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2]).or_else(|| {
        let [hour, minute] = numbers(clock, ':', [2, 2])?;
        Some([hour, minute, 0])
    })?;
    let is_right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !is_right || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - zone_minutes;
    Some((minutes * 60 + second) * 1000 + millis)
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days in the proleptic Gregorian calendar: years begin in March, so that the leap day is their last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_rpk_and_the_words_of_kcat() {
        use Point::{Ago, End, FromEnd, FromStart, Offset, Start, Time};
        let open = |start| Ok(Range { start, end: None });
        let closed = |start, end| Ok(Range { start, end: Some(end) });
        for (text, range) in [
            ("start", open(Start)),
            ("beginning", open(Start)),
            ("end", open(End)),
            ("42", open(Offset(42))),
            ("+10", open(FromStart(10))),
            ("-10", open(FromEnd(10))),
            ("-10:end", closed(FromEnd(10), End)),
            (":end", closed(Start, End)),
            (":7", closed(Start, Offset(7))),
            ("3:7", closed(Offset(3), Offset(7))),
            ("@1790000000", open(Time(1_790_000_000_000))),
            ("@1790000000000", open(Time(1_790_000_000_000))),
            ("@-1h", open(Ago(3_600_000))),
            ("@-2h:-1h", closed(Ago(7_200_000), Ago(3_600_000))),
            ("@-1h:end", closed(Ago(3_600_000), End)),
            ("@1970-01-02", open(Time(86_400_000))),
            ("@1970-01-01T00:00:01Z:@1970-01-01T00:01Z", closed(Time(1000), Time(60_000))),
            ("@1970-01-01T00:00:01Z:1970-01-01T00:01Z", closed(Time(1000), Time(60_000))),
            ("@2000-02-29T12:30:15.25+01:00", open(Time(951_823_815_250))),
        ] {
            assert_eq!(Range::parse(text), range, "{text}");
        }
        for text in ["", "x", "--1", "1:", "@", "@x", "@2026-13-01", "@2026-01-01T25:00Z", "+", "-1h", "1:2:3", "++1"] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }
}
