//! Writes families that are wanted and leaves the others out. Knows no metric by name.
use std::task::Poll;
use std::time::Duration;

use admin::text::{Gone, Page, Value};
use tally::{Distribution, OCTAVES};

use super::families;
use super::wanted::Wanted;

pub struct Report {
    page: Page,
    pub wanted: Wanted,
}

/// A family, and how its value follows from a row.
pub type Column<R, V> = (&'static str, fn(&R) -> V);

pub type Labels<'l> = &'l [(&'l str, &'l str)];

/// The family that is being written, by one of its names.
pub struct Samples<'r> {
    page: &'r mut Page,
    name: &'static str,
    /// Of a histogram: every so many doublings have a bound.
    octaves: u32,
}

/// Bounds of histograms: 64 µs, about; and a quarter of a minute.
const OCTAVES_FIRST: u32 = 6;
const OCTAVES_LAST: u32 = 24;
const _: () = assert!(OCTAVES_LAST < OCTAVES);

/// As Kafka's beans have them, in the writing of the JMX exporter's rules.
const QUANTILES: &[(f64, &str)] =
    &[(0.5, "0.50"), (0.75, "0.75"), (0.95, "0.95"), (0.98, "0.98"), (0.99, "0.99"), (0.999, "0.999")];

impl Report {
    pub fn new(page: Page, wanted: Wanted) -> Self {
        Self { page, wanted }
    }

    /// Writes the samples of a family, once for each of its names.
    pub async fn family(&mut self, name: &str, mut write: impl FnMut(&mut Samples<'_>)) -> Result<(), Gone> {
        let family = families::find(name);
        for name in self.wanted.names(family) {
            self.page.family(name, family.kind, family.unit, family.help);
            write(&mut Samples { page: &mut self.page, name, octaves: 1 });
            self.page.turn().await?;
        }
        Ok(())
    }

    /// A family with one sample.
    pub async fn one(&mut self, name: &str, value: impl Into<Number>) -> Result<(), Gone> {
        let value = value.into();
        self.family(name, |samples| samples.add(&[], value)).await
    }

    /// A family with a sample for each row, of which there may be any number.
    pub async fn rows<R>(
        &mut self,
        name: &str,
        rows: &[R],
        mut write: impl FnMut(&mut Samples<'_>, &R),
    ) -> Result<(), Gone> {
        if rows.is_empty() {
            return Ok(());
        }
        let family = families::find(name);
        for name in self.wanted.names(family) {
            self.page.family(name, family.kind, family.unit, family.help);
            for row in rows {
                write(&mut Samples { page: &mut self.page, name, octaves: 1 }, row);
                self.page.turn().await?;
            }
        }
        Ok(())
    }

    pub async fn end(self) -> Result<(), Gone> {
        self.page.end().await
    }
}

impl Samples<'_> {
    pub fn add(&mut self, labels: Labels<'_>, value: impl Into<Number>) {
        self.page.sample(self.name, "", labels, value.into().0);
    }

    /// A histogram in seconds.
    pub fn histogram(&mut self, labels: Labels<'_>, distribution: &Distribution) {
        let mut with_bound = labels.to_vec();
        with_bound.push(("le", ""));
        let last = with_bound.len() - 1;
        for octave in (OCTAVES_FIRST..=OCTAVES_LAST).step_by(self.octaves as usize) {
            let bound = bound(octave);
            let mut with_bound = with_bound.clone();
            with_bound[last].1 = &bound;
            self.page.sample(self.name, "_bucket", &with_bound, Value::Unsigned(distribution.count_below(octave)));
        }
        with_bound[last].1 = "+Inf";
        let count = Value::Unsigned(distribution.count());
        self.page.sample(self.name, "_bucket", &with_bound, count);
        self.page.sample(self.name, "_count", labels, count);
        self.page.sample(self.name, "_sum", labels, Value::Float(distribution.sum().as_secs_f64()));
    }

    /// A histogram with a bound for every fourfold only.
    pub fn coarse_histogram(&mut self, labels: Labels<'_>, distribution: &Distribution) {
        self.octaves = 2;
        self.histogram(labels, distribution);
        self.octaves = 1;
    }

    /// A summary in milliseconds: quantiles of what was lately, count and sum of all.
    pub fn summary_ms(&mut self, labels: Labels<'_>, all: &Distribution, lately: &Distribution) {
        let mut with_quantile = labels.to_vec();
        with_quantile.push(("quantile", ""));
        let last = with_quantile.len() - 1;
        for (share, quantile) in QUANTILES {
            with_quantile[last].1 = quantile;
            // As Kafka's beans, zero of nothing; NaN would make holes in every graph of a quiet broker.
            let value = millis(lately.quantile(*share).unwrap_or_default());
            self.page.sample(self.name, "", &with_quantile, Value::Float(value));
        }
        self.page.sample(self.name, "_count", labels, Value::Unsigned(all.count()));
        self.page.sample(self.name, "_sum", labels, Value::Float(millis(all.sum())));
    }
}

/// Lets others run: a scrape of many partitions is no reason to keep a producer waiting.
pub async fn breathe() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// In seconds, as OpenMetrics wants it: the least exponent is -4.
fn bound(octave: u32) -> String {
    match octave {
        6 => "6.4e-05".to_owned(),
        octave => (f64::from(1_u32 << octave) / 1e6).to_string(),
    }
}

/// A value of any type that a metric may have.
#[derive(Clone, Copy)]
pub struct Number(Value);

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Number(Value::Unsigned(value.into()))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number(Value::Float(value))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Number(Value::Signed(value.into()))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number(Value::Signed(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number(Value::Unsigned(value))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Number(Value::Unsigned(value as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_other_implementations_write_them() {
        let bounds: Vec<String> = (OCTAVES_FIRST..=OCTAVES_LAST).map(bound).collect();
        assert_eq!(bounds[..4], ["6.4e-05", "0.000128", "0.000256", "0.000512"]);
        assert_eq!(bounds.last().unwrap(), "16.777216");
        for (octave, bound) in (OCTAVES_FIRST..).zip(&bounds) {
            assert_eq!(bound.parse::<f64>().unwrap(), Duration::from_micros(1 << octave).as_secs_f64());
        }
    }
}
