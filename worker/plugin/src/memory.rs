//! Memory: what plugins may take, half of the machine's, so that a runaway query ends before the machine does; and what
//! this process takes.

use std::fs;

/// What is given where the machine does not say how much it has.
const UNKNOWN_MACHINE: u64 = 1 << 30;

/// Bytes that all plugins of a process may take together.
pub(crate) fn for_plugins() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    machine.map_or(UNKNOWN_MACHINE, |bytes| bytes / 2)
}

/// Bytes that this process has in use now; nothing where nobody can say.
pub(crate) fn in_use() -> u64 {
    own("VmRSS:")
}

/// Bytes that this process had in use at most.
pub(crate) fn peak() -> u64 {
    own("VmHWM:")
}

fn own(what: &str) -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| line(&text, what)).unwrap_or(0)
}

/// The machine's memory in bytes, from the text of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    line(meminfo, "MemTotal:")
}

/// The bytes behind a name, in a text of the kernel's.
fn line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(total("MemTotal:        2048 kB\nMemFree:  1 kB\n"), Some(2 << 20));
        for text in ["", "MemFree: 1 kB\n", "MemTotal: much\n", "MemTotal: 99999999999999999999 kB\n"] {
            assert_eq!(total(text), None, "{text:?}");
        }
    }
}
