//! Chance that follows from a seed: SplitMix64. The same seed gives the same figures on every machine and in every version.

/// A source of chance.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but without, 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Milliseconds from 0 up to, but without, `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        (self.share() * most as f64) as u64
    }

    /// How long until something happens that happens every `mean_ms` on average, at any instant as likely as at any other.
    pub(crate) fn until_next(&mut self, mean_ms: f64) -> u64 {
        (-(1.0 - self.share()).ln() * mean_ms) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_chances_and_another_seed_others() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(0)[0], 0xE220_A839_7B1D_CDAF, "as SplitMix64 is published");
    }

    #[test]
    fn waits_are_as_long_as_said_on_average() {
        let mut random = Random::new(7);
        let mean = (0..100_000).map(|_| random.until_next(1_000.0)).sum::<u64>() / 100_000;
        assert!((980..1_020).contains(&mean), "{mean}");
    }
}
