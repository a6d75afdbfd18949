//! The operating system's unpredictable bits.

use kernel::Refusal;
use kernel::port::Entropy;

/// The operating system's generator.
#[derive(Clone, Copy, Debug)]
pub struct OsEntropy(());

impl OsEntropy {
    /// The generator, after it answered once.
    ///
    /// # Errors
    /// When the operating system gives no bits: nothing may start without.
    pub fn new() -> Result<Self, Refusal> {
        let mut probe = [0; 16];
        getrandom::fill(&mut probe)
            .map_err(|e| Refusal::unavailable(format!("the system gives no random bits: {e}")))?;
        Ok(Self(()))
    }
}

impl Entropy for OsEntropy {
    #[allow(
        clippy::expect_used,
        reason = "the port has no way to refuse, and ids from a broken generator would repeat: \
                  stopping is the only safe answer; `OsEntropy::new` has seen it work"
    )]
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system's random bits, which worked at the start");
        u128::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_never_the_same_twice() {
        let entropy = OsEntropy::new().unwrap();
        let drawn: std::collections::BTreeSet<u128> = (0..1000).map(|_| entropy.bits()).collect();
        assert_eq!(drawn.len(), 1000);
    }
}
