//! Which addresses of a central repository are connected to.
//!
//! Releases are signed, so a plain connection cannot bring in foreign code; but it can hide the stop flag and new
//! releases. Beyond this machine it therefore needs an explicit `allow_plain`.

use std::net::IpAddr;

use crate::reach::Access;

/// An address that is not connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of a kind this version knows.
    #[error(
        "repository = {0:?} is not understood: write file:///folder/central.git, https://host/central.git, \
         ssh://git@host/folder/central.git or git://host/central.git"
    )]
    Unknown(String),
    /// Over https, and no authority is pinned.
    #[error(
        "repository = {0:?} needs the certificate of its authority (repository_ca in worker.toml, ca in jobserver.toml): \
         nobody else is believed"
    )]
    NoAuthority(String),
    /// Over ssh, and no host key is pinned.
    #[error(
        "repository = {0:?} needs its host keys (repository_host_keys in worker.toml, host_keys in jobserver.toml): \
         nobody else is believed"
    )]
    NoHostKey(String),
    /// Plain, and to another machine.
    #[error(
        "repository = {0:?} is a plain connection to another machine, on which the stop flag can be hidden: set \
         allow_plain = true if your network is trusted"
    )]
    Plain(String),
}

/// Judges the address of a central repository.
pub fn check_address(url: &str, allow_plain: bool) -> Result<(), AddressError> {
    let unknown = || AddressError::Unknown(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
    match scheme {
        "file" if rest.starts_with('/') => Ok(()),
        "https" | "ssh" => host(rest).map(drop).ok_or_else(unknown),
        "git" | "http" => {
            let host = host(rest).ok_or_else(unknown)?;
            match allow_plain || is_this_machine(host) {
                true => Ok(()),
                false => Err(AddressError::Plain(url.to_owned())),
            }
        }
        _ => Err(unknown()),
    }
}

/// Judges whether what the address needs is pinned.
pub fn check_pins(url: &str, access: &Access) -> Result<(), AddressError> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("https") if !access.pins_authority() => Err(AddressError::NoAuthority(url.to_owned())),
        Some("ssh") if !access.pins_host_key() => Err(AddressError::NoHostKey(url.to_owned())),
        _ => Ok(()),
    }
}

/// The host of `user@host:port/path` or `[v6]:port/path`.
fn host(rest: &str) -> Option<&str> {
    let (authority, _) = rest.split_once('/')?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    (!host.is_empty()).then_some(host)
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_this_machine_are_connected_to() {
        for url in [
            "file:///srv/central.git",
            "git://127.0.0.1:9418/x",
            "git://localhost/x",
            "git://[::1]:1/x",
            "http://127.1.2.3/x",
        ] {
            assert_eq!(check_address(url, false), Ok(()), "{url}");
        }
    }

    #[test]
    fn https_and_ssh_need_a_pin() {
        let nothing = Access::default();
        for url in ["https://central/x", "ssh://git@central:2222/x"] {
            assert_eq!(check_address(url, false), Ok(()), "{url}");
            assert!(check_pins(url, &nothing).expect_err(url).to_string().contains("nobody else is believed"), "{url}");
        }
        assert_eq!(check_pins("file:///srv/x", &nothing), Ok(()));
    }

    #[test]
    fn a_plain_connection_to_another_machine_needs_allow_plain() {
        for url in
            ["git://10.0.0.5/x", "http://central/x", "git://127.0.0.1@evil.example/x", "git://localhost.evil.example/x"]
        {
            assert_eq!(check_address(url, false), Err(AddressError::Plain(url.to_owned())));
            assert_eq!(check_address(url, true), Ok(()), "{url}");
        }
    }

    #[test]
    fn other_addresses_are_refused_with_an_example() {
        for url in [
            "/srv/central.git",
            "file://central.git",
            "ssh://git@",
            "git@host:x",
            "git://",
            "git:///x",
            "",
            "ftp://a/x",
        ] {
            assert!(check_address(url, true).expect_err(url).to_string().contains("file:///"), "{url}");
        }
    }
}
