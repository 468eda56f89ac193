//! Which partition a record goes to: by key exactly as Java's clients choose, so that a key written by both is in one
//! partition; without a key, one partition until its batch is full, then another (KIP-480).
use env::Rng;

pub struct Partitioner {
    fixed: Option<i32>,
    partitions: i32,
    sticky: Option<i32>,
}

impl Partitioner {
    pub fn new(partitions: i32, fixed: Option<i32>) -> Partitioner {
        assert!(partitions > 0, "a topic has partitions");
        Partitioner { fixed, partitions, sticky: None }
    }

    pub fn choose(&mut self, key: Option<&[u8]>, rng: &dyn Rng) -> i32 {
        match (self.fixed, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => of_key(key, self.partitions),
            (None, None) => *self.sticky.get_or_insert_with(|| draw(self.partitions, rng)),
        }
    }

    /// The batch of this partition is full: records without a key go elsewhere now.
    pub fn sealed(&mut self, partition: i32, rng: &dyn Rng) {
        if self.sticky == Some(partition) {
            let other = draw((self.partitions - 1).max(1), rng);
            self.sticky = Some(if other >= partition { (other + 1) % self.partitions } else { other });
        }
    }
}

fn draw(below: i32, rng: &dyn Rng) -> i32 {
    (rng.next_u64() % below as u64) as i32
}

/// `BuiltInPartitioner.partitionForKey`.
pub fn of_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX as u32) as i32 % partitions
}

/// `Utils.murmur2`, with Kafka's seed.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut mixed = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        mixed = (mixed ^ mixed >> 24).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ mixed;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `org.apache.kafka.common.utils.Utils.murmur2` of kafka-clients 4.4.0 answers.
    #[test]
    fn keys_hash_as_in_java() {
        for (key, hash) in [
            ("", 275_646_681),
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("abc", 479_470_107),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("Kafka \u{fc}\u{f6}\u{e4} \u{1f600}", -2_020_747_653),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(of_key(b"foobar", 12), 6);
    }

    struct Ones;

    impl Rng for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    #[test]
    fn records_without_a_key_stay_until_the_batch_is_full() {
        let mut partitioner = Partitioner::new(3, None);
        let first = partitioner.choose(None, &Ones);
        assert_eq!(partitioner.choose(None, &Ones), first);
        partitioner.sealed(first, &Ones);
        assert_ne!(partitioner.choose(None, &Ones), first);
        assert_eq!(Partitioner::new(1, None).choose(None, &Ones), 0);
        assert_eq!(Partitioner::new(3, Some(2)).choose(Some(b"k"), &Ones), 2);
        let mut only = Partitioner::new(1, None);
        only.choose(None, &Ones);
        only.sealed(0, &Ones);
        assert_eq!(only.choose(None, &Ones), 0);
    }
}
