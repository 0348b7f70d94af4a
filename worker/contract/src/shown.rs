//! What of the machine every plugin's program may read, whatever locks it in. Nothing that is the worker's own may lie there: the
//! launcher refuses such a configuration, the sandbox shows these and no others.

use std::path::Path;

/// Folders of the system, read and run by programs.
pub const SYSTEM: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
];

/// What of /etc programs need, by the beginnings of names; the rest of it is nobody's business, the worker's own files least
/// of all.
pub const SETTINGS: [&str; 32] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "debian_version",
    "dotnet",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "java",
    "ld.so.",
    "locale.alias",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "odbc",
    "os-release",
    "passwd",
    "perl",
    "php",
    "pki",
    "profile",
    "protocols",
    "python3",
    "resolv.conf",
    "rpc",
    "services",
    "ssl",
    "timezone",
];

/// Whether programs may read what is at `path`, as far as its name says: where links lead is not looked at.
pub fn is_shown(path: &Path) -> bool {
    let first_of_etc = path.strip_prefix("/etc").ok().and_then(|below| below.components().next());
    let is_setting = first_of_etc.is_some_and(|name| {
        let name = name.as_os_str().to_string_lossy();
        SETTINGS.iter().any(|beginning| name.starts_with(beginning))
    });
    is_setting || SYSTEM.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_folders_and_some_of_etc_are_shown_and_nothing_that_is_only_called_alike() {
        for shown in
            ["/opt/nightshift", "/usr/local/var/nightshift", "/opt", "/etc/ssl/worker.key", "/etc/passwd-of-mine"]
        {
            assert!(is_shown(Path::new(shown)), "{shown}");
        }
        for hidden in ["/var/lib/nightshift", "/optional/x", "/etc/nightshift/password", "/srv/opt/x", "/etc"] {
            assert!(!is_shown(Path::new(hidden)), "{hidden}");
        }
    }
}
