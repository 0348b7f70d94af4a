//! How much one client may ask: token buckets in a table of bounded size. Pure; who asks, and when, comes in.
//!
//! A client is an address, of IPv6 the network of 64 bits that one machine can move in. This machine's own requests
//! are not counted: whoever sits on it has other means. Failed authentications are counted apart and strictly, on
//! this machine too: a secret must not be found by trying.
//!
//! A bucket that is full again is forgotten. When the table is full all the same, clients without a bucket share one,
//! so that a crowd of made-up addresses costs no memory and keeps out nobody who was known before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nightshift_wire::Moment;

/// The most clients with a bucket of their own.
const CLIENTS: usize = 20_000;

/// What a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens in a full bucket: how many may be taken at once.
    pub burst: f64,
    /// Tokens that come back in a second.
    pub per_second: f64,
}

impl Rate {
    /// For requests of any kind: an office of thousands of workers behind one address comes back at once after a
    /// restart, and each of them asks a few things.
    pub const REQUESTS: Rate = Rate { burst: 50_000.0, per_second: 5_000.0 };
    /// For authentications that fail.
    pub const FAILURES: Rate = Rate { burst: 20.0, per_second: 0.2 };
}

/// Tokens of one client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Moment,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Moment) -> Bucket {
        Bucket { tokens: rate.burst, at: now }
    }

    fn fill(&mut self, rate: Rate, now: Moment) {
        // A clock gone back fills nothing, and takes nothing away.
        let passed = now.saturating_sub(self.at).max(0) as f64 / 1000.0;
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.burst);
        self.at = now;
    }

    /// Takes a token; without one, the seconds until there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Moment) -> Result<(), Wait> {
        self.look(rate, now)?;
        self.tokens -= 1.0;
        Ok(())
    }

    fn look(&mut self, rate: Rate, now: Moment) -> Result<(), Wait> {
        self.fill(rate, now);
        if self.tokens >= 1.0 {
            return Ok(());
        }
        Err(Wait { seconds: ((1.0 - self.tokens) / rate.per_second).ceil().max(1.0) as u64 })
    }
}

/// A client that asked too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// After so many seconds it may ask again.
    pub(crate) seconds: u64,
}

/// The buckets of all clients, for one kind of thing.
#[derive(Debug)]
struct Table {
    rate: Rate,
    clients: HashMap<IpAddr, Bucket>,
    others: Option<Bucket>,
    /// No search for full buckets before this moment.
    sweep_at: Moment,
}

impl Table {
    fn new(rate: Rate) -> Table {
        Table { rate, clients: HashMap::new(), others: None, sweep_at: Moment::MIN }
    }

    fn bucket(&mut self, client: IpAddr, now: Moment) -> &mut Bucket {
        const SWEEP_EVERY_MS: Moment = 1_000;
        let rate = self.rate;
        if self.clients.len() >= CLIENTS && now >= self.sweep_at && !self.clients.contains_key(&client) {
            self.sweep_at = now.saturating_add(SWEEP_EVERY_MS);
            self.clients.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.tokens < rate.burst
            });
        }
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(&client) {
            return self.others.get_or_insert(Bucket::full(rate, now));
        }
        self.clients.entry(client).or_insert(Bucket::full(rate, now))
    }
}

/// What clients may still ask.
#[derive(Debug)]
pub(crate) struct Rates {
    requests: Mutex<Table>,
    failures: Mutex<Table>,
}

impl Rates {
    pub(crate) fn new(requests: Rate, failures: Rate) -> Rates {
        Rates { requests: Mutex::new(Table::new(requests)), failures: Mutex::new(Table::new(failures)) }
    }

    /// Counts a request.
    pub(crate) fn request(&self, client: IpAddr, now: Moment) -> Result<(), Wait> {
        let client = client.to_canonical();
        if client.is_loopback() {
            return Ok(());
        }
        let mut table = locked(&self.requests);
        let rate = table.rate;
        table.bucket(network(client), now).take(rate, now)
    }

    /// Counts a token or secret that was wrong. An error says that the client tried too many. Right ones are not looked
    /// at here: whoever shares an address with somebody who tries secrets goes on working.
    pub(crate) fn authentication_failed(&self, client: IpAddr, now: Moment) -> Result<(), Wait> {
        let mut table = locked(&self.failures);
        let rate = table.rate;
        table.bucket(network(client.to_canonical()), now).take(rate, now)
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of an address that tells clients apart.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3.0, per_second: 0.5 };

    fn rates() -> Rates {
        Rates::new(RATE, RATE)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_asks_too_much_is_told_when_to_come_again_and_nobody_else_is() {
        let (rates, greedy, other) = (rates(), address("10.0.0.1"), address("10.0.0.2"));
        for _ in 0..3 {
            assert_eq!(rates.request(greedy, 0), Ok(()));
        }
        assert_eq!(rates.request(greedy, 0), Err(Wait { seconds: 2 }));
        assert_eq!(rates.request(other, 0), Ok(()));
        assert_eq!(rates.request(greedy, 2_000), Ok(()));
        assert_eq!(rates.request(greedy, 1_000), Err(Wait { seconds: 2 }), "a clock gone back gives nothing");
    }

    #[test]
    fn this_machine_is_not_counted_but_its_wrong_secrets_are() {
        let (rates, here) = (rates(), address("127.0.0.1"));
        for _ in 0..3 {
            assert_eq!(rates.authentication_failed(here, 0), Ok(()));
        }
        assert_eq!(rates.authentication_failed(here, 0), Err(Wait { seconds: 2 }));
        for _ in 0..100 {
            assert_eq!(rates.request(here, 0), Ok(()));
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let rates = rates();
        for last in 1..=3 {
            assert_eq!(rates.request(address(&format!("2001:db8::{last}")), 0), Ok(()));
        }
        assert!(rates.request(address("2001:db8::ffff:0:0:1"), 0).is_err());
        assert_eq!(rates.request(address("2001:db8:0:1::1"), 0), Ok(()));
        assert_eq!(rates.request(address("::ffff:10.0.0.1"), 0), Ok(()));
        assert!(locked(&rates.requests).clients.contains_key(&address("10.0.0.1")));
    }

    #[test]
    fn a_crowd_of_addresses_costs_no_memory_and_keeps_out_nobody_who_was_known() {
        let rates = rates();
        let known = address("192.0.2.1");
        assert_eq!(rates.request(known, 0), Ok(()));
        let crowd: Vec<IpAddr> =
            (0..2 * CLIENTS as u32).map(|number| IpAddr::V4((0x0A00_0000 + number).into())).collect();
        let refused = crowd.iter().filter(|client| rates.request(**client, 0).is_err()).count();
        assert_eq!(locked(&rates.requests).clients.len(), CLIENTS);
        assert_eq!(refused, CLIENTS + 1 - 3, "those without a bucket share one");
        assert_eq!(rates.request(known, 0), Ok(()));
        assert_eq!(rates.request(address("192.0.2.2"), 100_000), Ok(()), "full buckets are forgotten");
        assert!(locked(&rates.requests).clients.len() <= 2);
    }
}
