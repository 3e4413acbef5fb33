//! Whose each request id is, looked up for every message.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Serial numbers of subscriptions by request id.
pub(super) type Ids = HashMap<String, u64, BuildHasherDefault<IdHasher>>;

/// Request ids are random already, and none but ours are ever stored: they need mixing,
/// and no protection.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_spread_over_all_bits() {
        let mut places = [0_u32; 128];
        for n in 0..12_800_u128 {
            let mut hasher = IdHasher::default();
            // The worst there is: they differ in a few digits.
            hasher.write(uuid::Uuid::from_u128(n << 64).to_string().as_bytes());
            places[(hasher.finish() >> 57) as usize] += 1;
        }
        assert!(places.iter().all(|count| (30..300).contains(count)), "{places:?}");
    }
}
