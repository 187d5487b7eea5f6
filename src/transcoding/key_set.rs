//! Which keys a map has had: for duplicates, whatever the keys and however many.
//!
//! Keys are not kept, only where they stand: whoever asks compares them there. That is 8 bytes for
//! each, and a table of 5 to 10 more once there are many.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The entries of one map, by key.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// What stands for each entry, as it was given.
    entries: Vec<u32>,
    /// Of each entry's key; kept, so that most other keys need not be looked at.
    hashes: Vec<u32>,
    /// Indexes into `entries`, plus one; 0 is free. Empty while `entries` are few.
    table: Vec<u32>,
    /// Seeded at random, because the keys are a stranger's; made when it is needed.
    seed: Option<RandomState>,
}

/// Up to this many are compared one by one.
const FEW: usize = 16;

impl KeySet {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.hashes.clear();
        self.table.clear();
    }

    /// Adds an entry with this key; `is_key_of` tells whether an entry given before has it too.
    /// Where one has, answers its place, and leaves it to [`Self::replace`] or not.
    pub(super) fn insert(
        &mut self,
        entry: u32,
        key: &[u8],
        is_key_of: impl Fn(u32) -> bool,
    ) -> Option<Place> {
        if self.entries.len() < FEW {
            let hash = quick_hash(key);
            for (place, &other) in self.hashes.iter().enumerate() {
                if other == hash && is_key_of(self.entries[place]) {
                    return Some(Place(place));
                }
            }
            self.entries.push(entry);
            self.hashes.push(hash);
            return None;
        }
        let hash = self.hash(key);
        // At most four fifths full, so that probes are short. Entries from when they were few
        // have a hash of another kind, and stay out of the table.
        let tabled = self.entries.len() - FEW;
        if 5 * (tabled + 1) > 4 * self.table.len() {
            self.grow();
        }
        let quick = quick_hash(key);
        for place in 0..FEW {
            if self.hashes[place] == quick && is_key_of(self.entries[place]) {
                return Some(Place(place));
            }
        }
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.table[slot] {
                0 => break,
                taken => {
                    let place = taken as usize - 1;
                    if self.hashes[place] == hash && is_key_of(self.entries[place]) {
                        return Some(Place(place));
                    }
                    slot = (slot + 1) & mask;
                }
            }
        }
        self.entries.push(entry);
        self.hashes.push(hash);
        self.table[slot] = self.entries.len() as u32;
        None
    }

    /// Lets `entry` stand for the key at `place`.
    pub(super) fn replace(&mut self, place: Place, entry: u32) {
        self.entries[place.0] = entry;
    }

    /// The entries, one for each key, in the order in which the keys came.
    pub(super) fn entries(&self) -> &[u32] {
        &self.entries
    }

    fn hash(&mut self, key: &[u8]) -> u32 {
        let mut hasher = self.seed.get_or_insert_with(RandomState::new).build_hasher();
        hasher.write(key);
        hasher.finish() as u32
    }

    fn grow(&mut self) {
        let size = (2 * self.table.len()).max(4 * FEW);
        self.table.clear();
        self.table.resize(size, 0);
        for place in FEW..self.entries.len() {
            let mut slot = self.hashes[place] as usize & (size - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = place as u32 + 1;
        }
    }
}

/// Enough to tell few keys apart: a stranger who finds collisions gains a few comparisons.
fn quick_hash(key: &[u8]) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (word(key), 0),
    };
    let mixed = (first ^ key.len() as u64).wrapping_mul(MULTIPLIER) ^ last;
    (mixed.wrapping_mul(MULTIPLIER) >> 32) as u32
}

/// Where a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(set: &mut KeySet, keys: &[impl AsRef<[u8]>], index: usize) -> Option<Place> {
        let key = keys[index].as_ref();
        set.insert(index as u32, key, |other| keys[other as usize].as_ref() == key)
    }

    #[test]
    fn duplicates_are_found_among_few_and_many() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 5 * FEW, 1_000] {
            let keys: Vec<_> = (0..count).map(|n| n.to_string()).chain(["x".into()]).collect();
            let mut set = KeySet::default();
            for index in 0..keys.len() {
                assert_eq!(insert(&mut set, &keys, index), None);
            }
            for index in 0..keys.len() {
                assert_eq!(insert(&mut set, &keys, index), Some(Place(index)));
            }
            assert_eq!(set.entries().len(), keys.len());
            set.clear();
            assert_eq!(insert(&mut set, &keys, 0), None);
        }
    }

    #[test]
    fn keys_that_differ_in_the_middle_are_two() {
        let keys = ["12345678-a-12345678", "12345678-b-12345678"];
        let mut set = KeySet::default();
        assert_eq!((0..2).map(|n| insert(&mut set, &keys, n)).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn the_last_can_stand_for_a_key() {
        let keys = ["a", "b", "a"];
        let mut set = KeySet::default();
        for index in 0..3 {
            if let Some(place) = insert(&mut set, &keys, index) {
                set.replace(place, index as u32);
            }
        }
        assert_eq!(set.entries(), [2, 1]);
    }
}
