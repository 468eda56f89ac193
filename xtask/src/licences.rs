//! Every crate that the binary or its tests are built from has a licence that a user may live with: permissive ones only.
use std::fmt::Write as _;
use std::path::Path;

use crate::cargo_metadata;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub fn run(root: &Path) -> Result<String, String> {
    let metadata = cargo_metadata(root, &["--locked"])?;
    let mut findings = String::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for package in packages {
        let name =
            format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        match package["license"].as_str() {
            Some(licence) if allowed(licence) => {}
            Some(licence) => {
                let _ = writeln!(
                    findings,
                    "{name}: licence `{licence}` is not among the permissive ones; replace the crate"
                );
            }
            None => {
                let _ = writeln!(findings, "{name}: names no licence; replace the crate");
            }
        }
    }
    if findings.is_empty() { Ok(format!("{} crates, permissive all", packages.len())) } else { Err(findings) }
}

/// An SPDX expression holds if one side of an OR, or both sides of an AND, are allowed.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some((left, right)) = split_outside_brackets(expression, " AND ") {
        return allowed(left) && allowed(right);
    }
    if let Some((left, right)) = split_outside_brackets(expression, " OR ") {
        return allowed(left) || allowed(right);
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => allowed(inner),
        None => ALLOWED.contains(&expression),
    }
}

fn split_outside_brackets<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && text[at..].starts_with(separator) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn spdx_expressions_are_read_as_written() {
        assert!(allowed("MIT"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("GPL-2.0 OR MIT"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        assert!(!allowed("GPL-3.0-only"));
        assert!(!allowed("MIT AND GPL-2.0"));
        assert!(!allowed("(MIT OR Apache-2.0) AND LGPL-3.0"));
    }
}
