//! Numbers that look random, and are the same in each run: for noise.

/// What a number becomes: no pattern of the numbers before remains. SplitMix64 (Steele, Lea, Flood 2014), a step of it.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of such numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    /// That of a frame: each has its own.
    pub(crate) fn of(sequence: u64) -> Self {
        Self { seed: mix(sequence), drawn: 0 }
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn bits(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed.wrapping_add(self.drawn))
    }

    /// A whole number below `end`, which is at most 2³².
    #[inline]
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (((self.bits() >> 32) * end as u64) >> 32) as usize
    }

    /// A sensor's noise: about normal, around 0, with standard deviation 1 (the sum of four uniform numbers).
    pub(crate) fn noise(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        (sum as f64 / 65536.0 - 2.0) * 3.0_f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_no_bias_deviation_1_and_is_the_same_again() {
        let draw = || {
            let mut random = Random::of(7);
            (0..100_000).map(|_| random.noise()).collect::<Vec<_>>()
        };
        let numbers = draw();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let variance = numbers.iter().map(|number| number * number).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        assert_eq!(numbers, draw());
    }

    #[test]
    fn whole_numbers_reach_every_one_below_the_end_and_no_other() {
        let mut random = Random::of(1);
        let mut counts = [0; 7];
        (0..7000).for_each(|_| counts[random.below(7)] += 1);
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
