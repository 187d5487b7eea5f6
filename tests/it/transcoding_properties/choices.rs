//! Choices out of one word.
//!
//! A schema is a list of words, one for each field declared; a message is one, one word for each
//! record on its wire. To leave a word out leaves one thing out and changes no other, which is
//! all that shrinking has to do.

use std::ops::RangeInclusive;

use proptest::{collection, prelude::*};

/// A run of choices: SplitMix64, from the word that begins it.
#[derive(Clone)]
pub(crate) struct Choices(u64);

/// Words, of which shrinking leaves out some and alters none.
pub(crate) fn words(count: RangeInclusive<usize>) -> impl Strategy<Value = Vec<u64>> {
    collection::vec(any::<u64>().no_shrink(), count)
}

impl Choices {
    pub(crate) fn of(word: u64) -> Self {
        Self(word)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `count` - 1; `count` is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.word() % count as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}
