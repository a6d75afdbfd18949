//! Entropy that a seed decides.

use crate::Dice;
use kernel::port::Entropy;
use std::sync::Mutex;

/// Bits that look unpredictable and are the same for the same seed.
pub struct SeededEntropy(Mutex<Dice>);

impl SeededEntropy {
    /// From this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Dice::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn bits(&self) -> u128 {
        let mut dice = self.0.lock().expect("no panic before");
        u128::from(dice.bits()) << 64 | u128::from(dice.bits())
    }
}
