//! Networks as people write them: `10.1.0.0/16`, `fd00::/8`, or one address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{written:?} is no network: {why}; write one like 10.1.0.0/16, fd00::/8 or 10.1.2.3")]
pub struct BadNetwork {
    written: String,
    why: &'static str,
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let bad = |why| BadNetwork { written: text.to_owned(), why };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| bad("it does not begin with an address"))?;
        let all = width(first);
        let bits = match bits {
            None => all,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or(bad("so many bits it does not have"))?,
        };
        let network = Network { first, bits };
        if number(first) & !network.mask() != 0 {
            return Err(bad("behind the bits that count there are others"));
        }
        Ok(network)
    }
}

impl Network {
    /// Whether the address belongs to it. An IPv4 address that was wrapped into an IPv6 one is itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.first) && number(address) & self.mask() == number(self.first)
    }

    fn mask(&self) -> u128 {
        let all = width(self.first);
        let ones = u128::MAX >> (128 - u32::from(all));
        ones & !ones.checked_shr(u32::from(self.bits)).unwrap_or(0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().expect(network).contains(address.parse().expect(address))
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_as_it_does() {
        for (network, address) in [
            ("10.1.0.0/16", "10.1.255.3"),
            ("10.1.0.0/16", "::ffff:10.1.2.3"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("10.1.2.3", "10.1.2.3"),
            ("fd00::/8", "fdff::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(holds(network, address), "{address} is of {network}");
        }
        for (network, address) in
            [("10.1.0.0/16", "10.2.0.1"), ("10.1.2.3", "10.1.2.4"), ("0.0.0.0/0", "::1"), ("fd00::/8", "10.0.0.1")]
        {
            assert!(!holds(network, address), "{address} is not of {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for text in ["", "office", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "fd00::/129", "10.0.0.0/-1"] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.contains("write one like 10.1.0.0/16"), "{error}");
        }
        assert_eq!("10.1.0.0/16".parse::<Network>().expect("good").to_string(), "10.1.0.0/16");
    }
}
