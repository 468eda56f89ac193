//! The order in which Java goes through the keys of a `HashMap`: answers of Kafka name the first of several, or list them so.

/// As Java hashes a string: its UTF-16 code units.
pub fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Of a map with so many buckets. Keys of one bucket are in the order in which they came, which a stable sort keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashOrder {
    buckets: usize,
}

impl HashOrder {
    /// Of a map that grew to so many keys.
    pub fn grown(keys: usize) -> HashOrder {
        HashOrder { buckets: HashOrder::sized(keys).buckets.max(16) }
    }

    /// Of a map that was made for so many keys, and has them.
    pub fn sized(keys: usize) -> HashOrder {
        // The buckets are doubled whenever there are more keys than three for four of them.
        HashOrder { buckets: keys.saturating_mul(4).div_ceil(3).next_power_of_two() }
    }

    /// Keys come in the order of this.
    pub fn place(self, key: &str) -> usize {
        let hash = hash_code(key).cast_unsigned();
        (hash ^ hash >> 16) as usize & (self.buckets - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<'k>(order: HashOrder, keys: &[&'k str]) -> Vec<&'k str> {
        let mut keys = keys.to_vec();
        keys.sort_by_key(|key| order.place(key));
        keys
    }

    #[test]
    fn keys_come_in_the_order_of_java() {
        let names = ["alpha", "mid", "no.such", "other.thing", "zeta"];
        assert_eq!(ordered(HashOrder::grown(5), &names), ["zeta", "no.such", "alpha", "mid", "other.thing"]);
        // The same hash.
        assert_eq!(ordered(HashOrder::grown(2), &["Aa", "BB"]), ["Aa", "BB"]);
        assert_eq!(ordered(HashOrder::grown(2), &["BB", "Aa"]), ["BB", "Aa"]);
        let many: Vec<String> = (0..30).map(|number| format!("key.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ordered(HashOrder::grown(30), &many)[0], "key.17");
    }

    #[test]
    fn a_map_that_is_made_for_its_keys_has_fewer_buckets() {
        let rates = ["producer_byte_rate", "consumer_byte_rate"];
        assert_eq!(ordered(HashOrder::sized(2), &rates), ["consumer_byte_rate", "producer_byte_rate"]);
        assert_eq!(ordered(HashOrder::grown(2), &rates), rates);
    }
}
