//! The list of job servers: which addresses are taken, and in which order they are asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Url;

use crate::ClientError;

/// The servers in the order of the list, and which of them answered last.
#[derive(Debug)]
pub(crate) struct Servers {
    urls: Vec<Url>,
    last_good: AtomicUsize,
}

impl Servers {
    pub(crate) fn parse(addresses: impl IntoIterator<Item = String>) -> Result<Servers, ClientError> {
        let urls = addresses.into_iter().map(|address| parse_one(&address)).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ClientError::NoServer);
        }
        Ok(Servers { urls, last_good: AtomicUsize::new(0) })
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

    /// All addresses, for an error message.
    pub(crate) fn names(&self) -> String {
        self.urls.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// An address as people write it: without the slash at its end.
pub(crate) fn name(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

const NO_SCHEME: &str = "it does not begin with http://";

fn parse_one(address: &str) -> Result<Url, ClientError> {
    let refuse = |reason: &str| ClientError::Address { address: address.to_owned(), reason: reason.to_owned() };
    if !address.contains("://") {
        return Err(refuse(NO_SCHEME));
    }
    let mut url = Url::parse(address).map_err(|error| refuse(&error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(refuse("https is not spoken yet")),
        _ => return Err(refuse(NO_SCHEME)),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has more behind its path"));
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
        Servers::parse(addresses.iter().map(|address| (*address).to_owned()))
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
    fn an_address_that_cannot_be_a_job_server_is_refused_by_name() {
        for (address, reason) in [
            ("10.0.0.5:7070", "it does not begin with http://"),
            ("localhost:7070", "it does not begin with http://"),
            ("ftp://a", "it does not begin with http://"),
            ("https://a", "https"),
            ("http://", "host"),
        ] {
            let error = servers(&[address]).expect_err(address).to_string();
            assert!(error.contains(address) && error.contains(reason), "{error}");
        }
        assert!(matches!(servers(&[]), Err(ClientError::NoServer)));
    }
}
