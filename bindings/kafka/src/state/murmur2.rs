//! The hash by which Kafka's own clients choose a partition.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// murmur2 as Kafka's Java client computes it over a key.
pub(crate) fn murmur2(key: &[u8]) -> u32 {
    // The Java client takes the length as an int; a key has less than 2^31 bytes.
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition among `count` that Kafka's default partitioner gives to a key of this hash.
pub(crate) fn partition_of(hash: u32, count: u32) -> u32 {
    (hash & 0x7fff_ffff) % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_java_client() {
        // From UtilsTest of Apache Kafka's clients.
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_gives_a_partition_within_the_count() {
        // toPositive drops the sign bit: 2^31 − 973,932,308 = 1,173,551,340.
        assert_eq!(partition_of(murmur2(b"21"), 7), 1_173_551_340 % 7);
        assert_eq!(partition_of(u32::MAX, 0), 0);
    }
}
