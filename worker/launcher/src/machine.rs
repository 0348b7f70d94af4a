//! What tells this machine, and this state folder, from every copy of it; and what people call it.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// A hash of everything that changes when a machine or its state folder is copied: the machine's id, its network
/// cards' addresses and the state folder's place. Only interfaces with a device behind them count: bridges and tunnels
/// get a new address at every start.
///
/// # Errors
/// When the state folder cannot be found.
pub fn fingerprint(state_dir: &Path) -> io::Result<String> {
    let mut parts = vec![state_dir.canonicalize()?.to_string_lossy().into_owned()];
    parts.push(read("/etc/machine-id"));
    parts.extend(network_cards(Path::new("/sys/class/net")));
    Ok(hash(&parts))
}

/// The machine's host name; empty when it has none.
pub fn host() -> String {
    read("/proc/sys/kernel/hostname")
}

fn network_cards(interfaces: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(interfaces) else { return Vec::new() };
    let mut addresses: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|interface| interface.join("device").exists())
        .map(|interface| read(interface.join("address")))
        .collect();
    addresses.sort();
    addresses
}

fn hash(parts: &[String]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_stays_the_same_until_the_folder_is_copied() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        fs::create_dir(&here).expect("a folder");
        fs::create_dir(&there).expect("a folder");
        let first = fingerprint(&here).expect("it is there");
        assert_eq!(fingerprint(&here).expect("it is there"), first);
        assert_eq!(fingerprint(&folder.path().join("./here")).expect("it is there"), first);
        assert_ne!(fingerprint(&there).expect("it is there"), first);
    }

    #[test]
    fn only_network_cards_with_a_device_count_in_any_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, address, device) in
            [("eth1", "02:02\n", true), ("docker0", "06:06\n", false), ("eth0", "01:01\n", true)]
        {
            let interface = folder.path().join(name);
            fs::create_dir_all(if device { interface.join("device") } else { interface.clone() }).expect("a folder");
            fs::write(interface.join("address"), address).expect("a file");
        }
        assert_eq!(network_cards(folder.path()), ["01:01", "02:02"]);
        assert_eq!(network_cards(Path::new("/nonexistent")), Vec::<String>::new());
    }
}
