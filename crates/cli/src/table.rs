//! What lists look like: columns for people, JSON for programs. Both come from the same rows, so neither lacks anything.
use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::console::Console;
use crate::failure::Failure;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Output {
    #[default]
    Table,
    /// One array of objects
    Json,
}

/// Rows under named columns. Names have no blanks, so that `awk` finds its way.
#[derive(Debug)]
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub fn new(columns: &'static [&'static str]) -> Table {
        Table { columns, rows: Vec::new() }
    }

    pub fn row(&mut self, row: Vec<Value>) {
        assert_eq!(row.len(), self.columns.len(), "a cell for each column");
        self.rows.push(row);
    }

    pub fn print(&self, output: Output, console: &mut Console) -> Result<(), Failure> {
        match output {
            Output::Table => {
                for line in self.lines() {
                    console.print(&line)?;
                }
                Ok(())
            }
            Output::Json => {
                let object = |row: &Vec<Value>| {
                    let names = self.columns.iter().map(|name| name.to_lowercase());
                    Value::Object(names.zip(row.iter().cloned()).collect::<Map<_, _>>())
                };
                console.print(&Value::Array(self.rows.iter().map(object).collect()).to_string())
            }
        }
    }

    /// Columns as wide as their widest cell; numbers to the right.
    fn lines(&self) -> Vec<String> {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let width = |column: usize| {
            let widths = cells.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0).max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_number = |column: usize| {
            let mut values = self.rows.iter().map(|row| &row[column]);
            values.clone().any(Value::is_number) && values.all(|value| value.is_number() || value.is_null())
        };
        let right: Vec<bool> = (0..self.columns.len()).map(is_number).collect();
        let line = |row: &[String]| {
            let cells = row.iter().enumerate().map(|(column, cell)| match right[column] {
                true => format!("{cell:>width$}", width = widths[column]),
                false => format!("{cell:<width$}", width = widths[column]),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        std::iter::once(line(&head)).chain(cells.iter().map(|row| line(row))).collect()
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// "1 record", "2 records".
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["TOPIC", "LAG", "REPLICAS"]);
        table.row(vec![json!("a"), json!(12345), json!([1, 2])]);
        table.row(vec![json!("a-longer-name"), Value::Null, json!([])]);
        assert_eq!(
            table.lines(),
            ["TOPIC            LAG  REPLICAS", "a              12345  1,2", "a-longer-name      -"]
        );
    }
}
