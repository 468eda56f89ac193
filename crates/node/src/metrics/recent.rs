//! What was a few minutes ago, so that quantiles and shares tell of now and not of the whole life: readings of the same
//! counters, one a minute, the oldest dropped.
use std::collections::VecDeque;

/// So that what is compared with is four to five steps old.
const READINGS_MAX: usize = 5;

#[derive(Debug)]
pub struct Recent<T> {
    readings: VecDeque<T>,
}

impl<T> Recent<T> {
    /// `first` is how it was at the start.
    pub fn new(first: T) -> Self {
        Self { readings: VecDeque::from([first]) }
    }

    pub fn push(&mut self, reading: T) {
        if self.readings.len() == READINGS_MAX {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
    }

    pub fn oldest(&self) -> &T {
        self.readings.front().expect("there is one from the beginning")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_five_is_compared_with() {
        let mut recent = Recent::new(0);
        assert_eq!(*recent.oldest(), 0);
        (1..5).for_each(|minute| recent.push(minute));
        assert_eq!(*recent.oldest(), 0);
        recent.push(5);
        assert_eq!(*recent.oldest(), 1);
    }
}
