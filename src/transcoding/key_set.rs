//! Which keys a map has had: for duplicates, whatever the keys and however many.
//!
//! Keys are not kept, only where they stand (4 bytes each, and a table of at most 8 bytes more
//! once there are many): whoever asks reads them there again.

use std::hash::{BuildHasher, Hash, RandomState};

/// The entries of one map, by key.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// What stands for each entry, as it was given.
    entries: Vec<u32>,
    /// Indexes into `entries`, plus one; 0 is free. Empty while `entries` are few.
    table: Vec<u32>,
    /// Seeded at random: the keys are a stranger's.
    hasher: RandomState,
}

/// Up to this many are compared one by one.
const FEW: usize = 8;

impl KeySet {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.table.clear();
    }

    /// Adds an entry; `key_at` tells the key of any entry given so far. Where the key is there
    /// already, answers the place of its entry, and leaves it to `replace` or not.
    pub(super) fn insert<K: Hash + Eq>(
        &mut self,
        entry: u32,
        key_at: impl Fn(u32) -> K,
    ) -> Option<Place> {
        let key = key_at(entry);
        if self.entries.len() < FEW {
            let found = self.entries.iter().position(|&other| key_at(other) == key);
            if found.is_none() {
                self.entries.push(entry);
            }
            return found.map(Place);
        }
        // At most two thirds full, so that probes are short.
        if 3 * (self.entries.len() + 1) > 2 * self.table.len() {
            self.grow(&key_at);
        }
        let slot = self.probe(&key, &key_at);
        match self.table[slot] {
            0 => {
                self.entries.push(entry);
                self.table[slot] = self.entries.len() as u32;
                None
            }
            taken => Some(Place(taken as usize - 1)),
        }
    }

    /// Lets `entry` stand for the key at `place`.
    pub(super) fn replace(&mut self, place: Place, entry: u32) {
        self.entries[place.0] = entry;
    }

    /// The entries, one for each key, in the order in which the keys came.
    pub(super) fn entries(&self) -> &[u32] {
        &self.entries
    }

    fn grow<K: Hash + Eq>(&mut self, key_at: &impl Fn(u32) -> K) {
        let size = (2 * self.entries.len()).next_power_of_two();
        self.table.clear();
        self.table.resize(size, 0);
        for index in 0..self.entries.len() {
            let slot = self.probe(&key_at(self.entries[index]), key_at);
            self.table[slot] = index as u32 + 1;
        }
    }

    /// The slot of `key`, or the free one it belongs in.
    fn probe<K: Hash + Eq>(&self, key: &K, key_at: &impl Fn(u32) -> K) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = self.hasher.hash_one(key) as usize & mask;
        loop {
            match self.table[slot] {
                0 => return slot,
                taken if key_at(self.entries[taken as usize - 1]) == *key => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

/// Where a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_among_few_and_many() {
        for count in [0, 1, FEW, FEW + 1, 1_000] {
            let keys: Vec<_> = (0..count).map(|n| n.to_string()).chain(["x".into()]).collect();
            let mut set = KeySet::default();
            for index in 0..keys.len() as u32 {
                assert_eq!(set.insert(index, |at| &keys[at as usize]), None);
            }
            for index in 0..keys.len() as u32 {
                let place = set.insert(index, |at| &keys[at as usize]);
                assert_eq!(place, Some(Place(index as usize)));
            }
            assert_eq!(set.entries().len(), keys.len());
            set.clear();
            assert_eq!(set.insert(0, |_| "x"), None);
        }
    }

    #[test]
    fn the_last_can_stand_for_a_key() {
        let keys = ["a", "b", "a"];
        let mut set = KeySet::default();
        for index in 0..3 {
            if let Some(place) = set.insert(index, |at| keys[at as usize]) {
                set.replace(place, index);
            }
        }
        assert_eq!(set.entries(), [2, 1]);
    }
}
