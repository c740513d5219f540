//! Everything that happens by chance, small and repeatable.

#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    pub(crate) fn is(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }

    /// Some time from the first to the second, in milliseconds.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.roll(usize::try_from(most - least + 1).unwrap())).unwrap()
    }

    /// How long a message takes: mostly little, now and then so long that others overtake it, rarely very long.
    pub(crate) fn latency(&mut self) -> i64 {
        match self.roll(64) {
            0 => self.between(100, 300),
            1..8 => self.between(5, 100),
            _ => self.between(0, 4),
        }
    }
}
