//! The list of job servers: which addresses are taken, and in which order they are asked.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Url;

use crate::ClientError;

/// Whether a certificate authority is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinned {
    Yes,
    No,
}

/// The servers in the order of the list, and which of them answered last.
#[derive(Debug)]
pub(crate) struct Servers {
    urls: Vec<Url>,
    last_good: AtomicUsize,
    /// Which of them take compressed bodies, as far as they have shown it.
    gzip: Vec<AtomicBool>,
    /// Which of them are on this machine.
    here: Vec<bool>,
}

impl Servers {
    /// `pinned` says that a certificate authority is known, without which nobody can be believed behind `https://`.
    pub(crate) fn parse(addresses: impl IntoIterator<Item = String>, pinned: Pinned) -> Result<Servers, ClientError> {
        let urls = addresses.into_iter().map(|address| parse_one(&address, pinned)).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ClientError::NoServer);
        }
        Ok(Servers {
            gzip: urls.iter().map(|_| AtomicBool::new(false)).collect(),
            here: urls.iter().map(is_here).collect(),
            last_good: AtomicUsize::new(0),
            urls,
        })
    }

    /// Every server once, the one that answered last first.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (usize, &Url)> {
        let first = self.last_good.load(Ordering::Relaxed);
        (0..self.urls.len()).map(move |turn| {
            let index = (first + turn) % self.urls.len();
            (index, &self.urls[index])
        })
    }

    pub(crate) fn answered(&self, index: usize) {
        self.last_good.store(index, Ordering::Relaxed);
    }

    /// Notes whether a server takes compressed bodies.
    pub(crate) fn takes_gzip(&self, index: usize, takes: bool) {
        self.gzip[index].store(takes, Ordering::Relaxed);
    }

    /// Whether a server is known to take compressed bodies.
    pub(crate) fn is_known_to_take_gzip(&self, index: usize) -> bool {
        self.gzip[index].load(Ordering::Relaxed)
    }

    /// Whether a server is on this machine. What does not leave it is not compressed: that costs both sides more than it
    /// saves anybody.
    pub(crate) fn is_here(&self, index: usize) -> bool {
        self.here[index]
    }

    /// All addresses, for an error message.
    pub(crate) fn names(&self) -> String {
        self.urls.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// An address as people write it: without the slash at its end.
pub(crate) fn name(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Whether an address is one of this machine's own, by what it says.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

const NO_SCHEME: &str = "it does not begin with http:// or https://; write it like http://10.0.0.5:7070";
const NO_PIN: &str = "whoever answers there could be anybody, because no certificate authority is pinned for https; give the \
    pin that `nightshift-jobserver init` prints: `nightshift login URL --ca PIN`, or jobserver_ca in worker.toml";

fn parse_one(address: &str, pinned: Pinned) -> Result<Url, ClientError> {
    let refuse = |reason: &str| ClientError::Address { address: address.to_owned(), reason: reason.to_owned() };
    if !address.contains("://") {
        return Err(refuse(NO_SCHEME));
    }
    let mut url =
        Url::parse(address).map_err(|error| refuse(&format!("{error}; write it like http://10.0.0.5:7070")))?;
    match url.scheme() {
        "http" => {}
        "https" if pinned == Pinned::Yes => {}
        "https" => return Err(refuse(NO_PIN)),
        _ => return Err(refuse(NO_SCHEME)),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has more behind its path; leave that out"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(addresses: &[&str]) -> Result<Servers, ClientError> {
        Servers::parse(addresses.iter().map(|address| (*address).to_owned()), Pinned::No)
    }

    fn order(servers: &Servers) -> Vec<String> {
        servers.in_turn().map(|(_, url)| name(url)).collect()
    }

    #[test]
    fn the_server_that_answered_last_is_asked_first() {
        let list = servers(&["http://a:1", "http://b:2/grid", "http://c:3/"]).expect("good addresses");
        assert_eq!(order(&list), ["http://a:1", "http://b:2/grid", "http://c:3"]);
        list.answered(1);
        assert_eq!(order(&list), ["http://b:2/grid", "http://c:3", "http://a:1"]);
    }

    #[test]
    fn a_server_on_this_machine_is_known_by_its_address() {
        let list = ["http://127.0.0.1:1", "http://127.8.9.1:1/grid", "http://[::1]:1", "http://localhost:1"];
        let others = ["http://10.0.0.5:1", "http://0.0.0.0:1", "http://[fe80::1]:1", "http://localhost.example.org:1"];
        let here = |addresses: &[&str]| servers(addresses).expect("good addresses").here;
        assert_eq!((here(&list), here(&others)), (vec![true; 4], vec![false; 4]));
    }

    #[test]
    fn an_address_that_cannot_be_a_job_server_is_refused_by_name() {
        for (address, reason) in [
            ("10.0.0.5:7070", "it does not begin with http:// or https://"),
            ("localhost:7070", "it does not begin with http:// or https://"),
            ("ftp://a", "it does not begin with http:// or https://"),
            ("https://a", "`nightshift login URL --ca PIN`"),
            ("http://", "host"),
        ] {
            let error = servers(&[address]).expect_err(address).to_string();
            assert!(error.contains(address) && error.contains(reason), "{error}");
        }
        assert!(matches!(servers(&[]), Err(ClientError::NoServer)));
    }
}
