//! How often answers had which error code, by API: the `ErrorsPerSec` of Kafka's `RequestMetrics`. A code counts once for
//! each place of an answer that has it. The memory of an API comes with its first answer; knows no name of one.
use std::sync::OnceLock;

use protocol::{ErrorCode, Message};
use tally::Counter;

pub struct ErrorCounts {
    by_api: Box<[OnceLock<Box<Counts>>]>,
}

/// In the order of the codes.
type Counts = [Counter; ErrorCode::ALL.len()];

const CODE_MIN: i16 = ErrorCode::ALL[0].code();

impl ErrorCounts {
    pub fn new(apis: usize) -> Self {
        Self { by_api: (0..apis).map(|_| OnceLock::new()).collect() }
    }

    pub fn count<M: Message>(&self, api: usize, version: i16, response: &M) {
        let Some(of_api) = self.by_api.get(api) else { return };
        let of_api = of_api.get_or_init(|| Box::new([const { Counter::new() }; ErrorCode::ALL.len()]));
        response.each_error_code(version, &mut |code| {
            let counter = usize::try_from(code - CODE_MIN).ok().and_then(|place| of_api.get(place));
            counter.expect("a code of Kafka's").add(1);
        });
    }

    /// Those that have occurred, in the order of their codes.
    pub fn read(&self, api: usize) -> Vec<(ErrorCode, u64)> {
        let Some(of_api) = self.by_api.get(api).and_then(OnceLock::get) else { return Vec::new() };
        let counts = ErrorCode::ALL.iter().zip(of_api.iter());
        counts.map(|(error, count)| (*error, count.value())).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::metadata_response::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};

    use super::*;

    #[test]
    fn each_place_of_a_code_counts() {
        let counts = ErrorCounts::new(2);
        let partition = |error: ErrorCode| MetadataResponsePartition { error_code: error.code(), ..Default::default() };
        let topic = MetadataResponseTopic {
            error_code: ErrorCode::UnknownServerError.code(),
            partitions: vec![partition(ErrorCode::None), partition(ErrorCode::LeaderNotAvailable)],
            ..Default::default()
        };
        let response = MetadataResponse { topics: vec![topic], ..Default::default() };
        counts.count(1, 12, &response);
        counts.count(1, 12, &response);
        let expected = [(ErrorCode::UnknownServerError, 2), (ErrorCode::None, 2), (ErrorCode::LeaderNotAvailable, 2)];
        assert_eq!(counts.read(1), expected);
        counts.count(2, 12, &response); // No such API: nothing happens.
        assert!(counts.read(0).is_empty() && counts.read(2).is_empty());
    }
}
