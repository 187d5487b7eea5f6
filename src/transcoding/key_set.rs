//! Which keys a map has had: for duplicates, whatever the keys and however many.
//!
//! Keys are not kept, only where they stand and their hashes: whoever asks compares the few that
//! have the same hash there. That is 8 bytes for each, and a table of 5 to 10 more once there are
//! many.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The entries of one map, by key.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// What stands for each entry, as it was given.
    entries: Vec<u32>,
    /// Of each entry's key.
    hashes: Vec<u32>,
    /// Indexes into `entries`, plus one; 0 is free. Empty while `entries` are few.
    table: Vec<u32>,
    /// At random, because the keys are a stranger's: nobody can have them collide, and have each
    /// compared with each.
    seed: RandomState,
}

/// Up to this many hashes are compared one by one.
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
        let mut hasher = self.seed.build_hasher();
        hasher.write(key);
        let hash = hasher.finish() as u32;
        if self.entries.len() < FEW {
            for (place, &other) in self.hashes.iter().enumerate() {
                if other == hash && is_key_of(self.entries[place]) {
                    return Some(Place(place));
                }
            }
            self.entries.push(entry);
            self.hashes.push(hash);
            return None;
        }
        // At most four fifths full, so that probes are short.
        if 5 * (self.entries.len() + 1) > 4 * self.table.len() {
            self.grow();
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

    fn grow(&mut self) {
        let size = (2 * self.table.len()).max(4 * FEW);
        self.table.clear();
        self.table.resize(size, 0);
        for (place, &hash) in self.hashes.iter().enumerate() {
            let mut slot = hash as usize & (size - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = place as u32 + 1;
        }
    }
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
    fn keys_alike_at_both_ends_are_not_compared_with_each_other() {
        let keys: Vec<_> = (0..1_000).map(|n| format!("12345678-{n:04}-12345678")).collect();
        let (mut set, compared) = (KeySet::default(), std::cell::Cell::new(0));
        for (index, key) in keys.iter().enumerate() {
            let found = set.insert(index as u32, key.as_bytes(), |other| {
                compared.set(compared.get() + 1);
                keys[other as usize] == *key
            });
            assert_eq!(found, None);
        }
        // Of 32 bits, some may be the same by chance.
        assert!(compared.get() < 10, "{}", compared.get());
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
