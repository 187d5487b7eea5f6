//! From a name in JSON to what it names: a hash table made once, at load.
//!
//! Its keys are the schema's, so a caller can pick what is looked up, but not what collides; and
//! each table has a seed of its own, so that a schema's maker cannot either.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Names, each with a number.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    /// A power of two, at most half full, so that every probe ends.
    slots: Box<[Option<Slot>]>,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Slot {
    hash: u32,
    value: u32,
    name: Box<[u8]>,
}

impl NameTable {
    /// Of two equal names, the first stays.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = (&'n str, u32)>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let mut slots = vec![None; (2 * names.len()).next_power_of_two().max(2)];
        let mask = slots.len() - 1;
        let seed = RandomState::new().build_hasher().finish();
        for (name, value) in names {
            let name: Box<[u8]> = name.as_bytes().into();
            let hash = hash(seed, &name);
            let mut at = hash as usize & mask;
            loop {
                match &slots[at] {
                    None => {
                        slots[at] = Some(Slot { hash, value, name });
                        break;
                    }
                    Some(taken) if taken.name == name => break,
                    Some(_) => at = (at + 1) & mask,
                }
            }
        }
        Self { slots: slots.into(), seed }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let hash = hash(self.seed, name);
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots.get(at)?.as_ref()?;
            if slot.hash == hash && *slot.name == *name {
                return Some(slot.value);
            }
            at = (at + 1) & mask;
        }
    }
}

fn hash(seed: u64, name: &[u8]) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(MULTIPLIER);
        mixed ^ (mixed >> 32)
    };
    let mut hash = seed ^ name.len() as u64;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<_> = (0..1_000).map(|n| "x".repeat(n % 30) + &n.to_string()).collect();
        let table = NameTable::new(names.iter().zip(0..).map(|(name, n)| (name.as_str(), n)));
        for (name, n) in names.iter().zip(0..) {
            assert_eq!(table.get(name.as_bytes()), Some(n));
        }
        assert_eq!(table.get(b"y"), None);
        assert_eq!(table.get(b""), None);
        assert_eq!(NameTable::new([]).get(b"x"), None);
        assert_eq!(NameTable::default().get(b"x"), None);
        assert_eq!(NameTable::new([("a", 1), ("a", 2)]).get(b"a"), Some(1));
    }
}
