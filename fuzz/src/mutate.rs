//! Changes of an input that a seed makes: what a fuzzer does without coverage.
//! Enough for every test run to try what nobody wrote down; the search that is
//! led by coverage is `cargo xtask fuzz`.

use crate::Target;
use testkit::Dice;

/// Longest input that is made, in bytes.
const BYTES_MAX: usize = 16 * 1024;

/// Makes inputs out of others.
pub struct Mutator<'t> {
    dice: Dice,
    seeds: &'t [Vec<u8>],
    words: &'static [&'static str],
}

impl<'t> Mutator<'t> {
    /// The inputs of this seed.
    #[must_use]
    pub fn new(seed: u64, target: &Target, seeds: &'t [Vec<u8>]) -> Self {
        Self {
            dice: Dice::new(seed),
            seeds,
            words: target.words,
        }
    }

    /// One of the seeds, changed in one to six places.
    pub fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.dice.pick(self.seeds).cloned().unwrap_or_default();
        for _ in 0..=self.dice.roll(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (from, to) = self.range(bytes.len());
        match self.dice.roll(8) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let piece = bytes[from..to].to_vec();
                self.insert(bytes, &piece);
            }
            2 => {
                let word = self.dice.pick(self.words).copied().unwrap_or_default();
                self.insert(bytes, word.as_bytes());
            }
            3 => {
                let other = self.dice.pick(self.seeds).cloned().unwrap_or_default();
                let (from, to) = self.range(other.len());
                self.insert(bytes, &other[from..to]);
            }
            4 => bytes.truncate(from),
            5 => {
                let piece = bytes.get(from..(from + 8).min(to)).unwrap_or_default();
                let many = piece.repeat(1 << self.dice.roll(9));
                self.insert(bytes, &many);
            }
            6 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << self.dice.roll(8);
                }
            }
            _ => {
                const ODD: &[u8] = b"\0\n\r\t \"'\\{}[](),.:;-+/%&<>0129aZ\x7f\x80\xc3\xff";
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = self.dice.pick(ODD).copied().unwrap_or_default();
                }
            }
        }
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, piece: &[u8]) {
        let room = BYTES_MAX.saturating_sub(bytes.len());
        let at = self.dice.roll(bytes.len() + 1);
        bytes.splice(at..at, piece.iter().take(room).copied());
    }

    /// A range within so many bytes, short more often than long.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.dice.roll(length + 1);
        let reach = 1 << self.dice.roll(9);
        let to = from + self.dice.roll(reach + 1);
        (from, to.min(length))
    }
}
