//! Which names this server answers to. Pure.
//!
//! A page in somebody's browser can have its own name resolve to this server's address and then count as part of it
//! (DNS rebinding); only the name in the request gives it away. So a name must be one of this server's: `localhost`,
//! the machine's own, or one of `hosts` in the configuration. An address in figures is nobody's to give away and is
//! always right: the server may be reached at many, through address translation too. A request of HTTP/1.0 may name
//! nothing: no browser sends such.

use std::net::{IpAddr, Ipv6Addr};

/// The names of this server.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These names, besides `localhost`; case and a dot at the end make no difference.
    pub fn named(names: impl IntoIterator<Item = String>) -> Hosts {
        Hosts(names.into_iter().map(|name| plain(&name)).filter(|name| !name.is_empty()).collect())
    }

    /// Whether `authority` (a name or address, perhaps with a port) is this server.
    pub(crate) fn includes(&self, authority: &str) -> bool {
        let Some(host) = host(authority) else { return false };
        let name = plain(host);
        is_address(&name) || name == "localhost" || self.0.contains(&name)
    }
}

fn plain(name: &str) -> String {
    let name = name.trim();
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

/// An authority without its port.
fn host(authority: &str) -> Option<&str> {
    let port_at = match authority.rfind(']') {
        Some(end) => authority[end..].find(':').map(|at| end + at),
        None => authority.find(':'),
    };
    match port_at {
        None => Some(authority),
        Some(at) => authority[at + 1..].bytes().all(|digit| digit.is_ascii_digit()).then(|| &authority[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_own_names_are_this_server_and_no_other_name_is() {
        let hosts = Hosts::named(["Jobs.Example.org.".to_owned(), "grid".to_owned(), String::new()]);
        for own in [
            "127.0.0.1:7070",
            "10.0.0.5",
            "[::1]:7070",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST.:80",
            "jobs.example.org:7070",
            "JOBS.example.org.",
            "grid:",
        ] {
            assert!(hosts.includes(own), "{own}");
        }
        for strange in [
            "",
            ":7070",
            "evil.example",
            "jobs.example.org.evil.example",
            "grid@evil.example",
            "10.0.0.5.evil.example",
            "localhost:x",
            "::1",
            "[evil.example]",
            "10.0.0.5:80:80",
            "127.1",
        ] {
            assert!(!hosts.includes(strange), "{strange}");
        }
    }
}
