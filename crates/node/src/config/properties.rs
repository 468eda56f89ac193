//! The format of `server.properties`, as `java.util.Properties` reads it, with the line of each entry. UTF-8 is read as
//! such (Java would take it for Latin-1); bytes that are no UTF-8 are Latin-1.

/// One `key=value` and the line it begins in, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub name: String,
    pub value: String,
    pub line: usize,
}

/// An escape that Java does not read either.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BadEscape {
    pub line: usize,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // What Windows' editors put in front of UTF-8.
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut entries = Vec::new();
    for (line, logical) in logical_lines(&text) {
        let (name, value) = split(&logical);
        let unescape = |text| unescape(text).ok_or(BadEscape { line });
        entries.push(Entry { name: unescape(name)?, value: unescape(value)?, line });
    }
    Ok(entries)
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\x0c')
}

/// Lines that say something, with what an odd number of backslashes at the end joins to them.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut natural = text.split('\n').enumerate();
    while let Some((index, line)) = natural.next() {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue; // A comment is not continued.
        }
        let mut logical = line.to_owned();
        while logical.len() % 2 != logical.trim_end_matches('\\').len() % 2 {
            logical.pop();
            let Some((_, next)) = natural.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        if !logical.is_empty() {
            lines.push((index + 1, logical));
        }
    }
    lines
}

/// The key ends at the first `=`, `:` or blank that no backslash protects; blanks around one `=` or `:` are no value.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter: char| {
        let ends = !escaped && (is_blank(letter) || matches!(letter, '=' | ':'));
        escaped = !escaped && letter == '\\';
        ends
    });
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len()); // As Java's chars: an escape may be half of a pair.
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let meant = match letter {
            '\\' => match letters.next()? {
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = letters.by_ref().take(4).collect();
                    let four = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| four)?);
                    continue;
                }
                other => other,
            },
            other => other,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected entries are what `java.util.Properties` of Java 17 makes of the same bytes.
    #[test]
    fn a_file_is_read_as_java_reads_it() {
        let file =
            b"# a comment \\\n! C:\\users is no escape here\n\na=1\nb : 2\nc 3\n  d\t=\t4  \ne\nf=\\\n   5,\\\n   6\n\
            g\\ h\\==\\tx\\u00e9\\uD83D\\uDE00\ni==j\nk=a\\\\\nl=\xc3\xa9\r\nm=7\rn=8\\";
        let entries: Vec<(usize, String, String)> =
            parse(file).unwrap().into_iter().map(|entry| (entry.line, entry.name, entry.value)).collect();
        let expected = [
            (4, "a", "1"),
            (5, "b", "2"),
            (6, "c", "3"),
            (7, "d", "4  "),
            (8, "e", ""),
            (9, "f", "5,6"),
            (12, "g h=", "\tx\u{e9}\u{1f600}"),
            (13, "i", "=j"),
            (14, "k", "a\\"),
            (15, "l", "\u{e9}"), // Java: two letters of Latin-1.
            (16, "m", "7"),
            (17, "n", "8"),
        ];
        assert_eq!(entries, expected.map(|(line, name, value)| (line, name.to_owned(), value.to_owned())));
    }

    #[test]
    fn latin_1_and_bad_escapes_are_told_apart() {
        assert_eq!(parse(b"a=\xe9").unwrap()[0].value, "\u{e9}");
        assert_eq!(parse(b"\n\na=\\u12"), Err(BadEscape { line: 3 }));
        assert_eq!(parse(b"a=\\u+123"), Err(BadEscape { line: 1 }));
        assert_eq!(parse(b"\xef\xbb\xbfa=1").unwrap()[0].name, "a");
    }
}
