//! The network at the job server: one way that carries one thing after another, as fast as the grid may use it.

/// How far the way is booked.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    bytes_a_ms: f64,
    /// The moment from which it is free, in milliseconds.
    free_at: f64,
}

impl Network {
    pub(crate) fn new(bits_a_second: u64) -> Network {
        Network { bytes_a_ms: bits_a_second as f64 / 8.0 / 1_000.0, free_at: 0.0 }
    }

    /// Carries bytes that want to go now; the moment at which they have arrived.
    pub(crate) fn carry(&mut self, now: u64, bytes: u64) -> u64 {
        self.free_at = self.free_at.max(now as f64) + bytes as f64 / self.bytes_a_ms;
        self.free_at.ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_the_way_is_taken_waits_its_turn() {
        let mut network = Network::new(8_000_000);
        assert_eq!(network.carry(100, 5_000), 105, "a thousand bytes a millisecond");
        assert_eq!(network.carry(101, 5_000), 110);
        assert_eq!(network.carry(500, 1_000), 501, "it was free meanwhile");
    }
}
