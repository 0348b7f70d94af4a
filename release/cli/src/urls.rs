//! Addresses of repositories and job servers: what they look like and what they imply. Pure.

use std::net::IpAddr;
use std::path::Path;

/// `path` as a `file://` URL; `None` when it is not UTF-8.
pub(crate) fn file_url(path: &Path) -> Option<String> {
    let mut url = String::from("file://");
    for byte in path.to_str()?.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(url)
}

/// Where a job server at `url` has to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// `listen` of jobserver.toml.
    pub(crate) address: String,
    /// Only this machine can reach it.
    pub(crate) loopback: bool,
    /// The name or address in the URL.
    pub(crate) host: String,
    /// The port in the URL, or the usual one.
    pub(crate) port: u16,
    /// It is reached over TLS, and asks for tokens.
    pub(crate) tls: bool,
}

/// Where a job server has to listen to be found at `url`; `None` when `url` is not `http[s]://HOST[:PORT]`.
pub(crate) fn listen_for(url: &str) -> Option<Listen> {
    let tls = url.starts_with("https://");
    let rest = url.strip_prefix(if tls { "https://" } else { "http://" })?;
    let authority = rest.split('/').next()?;
    let (host, port) = host_and_port(authority, if tls { 443 } else { 80 });
    if host.is_empty() || authority.contains('@') {
        return None;
    }
    let loopback = is_loopback(host);
    let address = match (loopback, host) {
        (true, "localhost") => format!("127.0.0.1:{port}"),
        (true, _) => format!("{host}:{port}"),
        (false, _) => format!("0.0.0.0:{port}"),
    };
    Some(Listen { address, loopback, host: host.to_owned(), port, tls })
}

/// `host:port`, `[::1]:port` or a host alone.
fn host_and_port(authority: &str, default_port: u16) -> (&str, u16) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => ("", default_port),
        },
        _ => (authority, default_port),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_url_that_git_reads_back() {
        assert_eq!(file_url(Path::new("/srv/a b/100%.git")).expect("url"), "file:///srv/a%20b/100%25.git");
    }

    #[test]
    fn a_job_server_listens_where_its_url_points() {
        let listen = |url| listen_for(url).map(|listen| (listen.address, listen.loopback));
        assert_eq!(listen("http://127.0.0.1:7070"), Some(("127.0.0.1:7070".into(), true)));
        assert_eq!(listen("http://localhost:8000/"), Some(("127.0.0.1:8000".into(), true)));
        assert_eq!(listen("http://[::1]:7070"), Some(("[::1]:7070".into(), true)));
        assert_eq!(listen("http://jobs.example.org"), Some(("0.0.0.0:80".into(), false)));
        assert_eq!(listen("https://jobs.example.org"), Some(("0.0.0.0:443".into(), false)));
        assert_eq!(listen("http://host:port"), None);
        assert_eq!(listen("ftp://host"), None);
    }
}
