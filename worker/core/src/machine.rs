//! What this machine is called, has and has left: name, memory and disk, read from the kernel.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;

/// Memory and disk, in bytes. What the kernel does not say is unknown, which fulfils no requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Machine {
    /// Memory that programs can have without swapping.
    pub memory_free: Option<u64>,
    /// Memory in all.
    pub memory_total: Option<u64>,
    /// Disk that this user can have, where the state folder is.
    pub disk_free: Option<u64>,
    /// The size of that disk.
    pub disk_total: Option<u64>,
}

impl Machine {
    /// As it is offered to the job server: all of its memory, and the disk that is left, in whole hundreds of megabytes. A
    /// job server writes down what is another than at the claim before, and every job takes a little disk.
    pub fn offered(&self) -> nightshift_wire::Machine {
        const STEP: u64 = 100;
        let megabytes = |bytes: Option<u64>| bytes.unwrap_or(0) / 1_000_000;
        let disk_mb = megabytes(self.disk_free) / STEP * STEP;
        nightshift_wire::Machine { memory_mb: megabytes(self.memory_total), disk_mb }
    }
}

/// What the machine has now; `folder` stands on the disk that counts.
pub fn read(folder: &Path) -> Machine {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let disk = statvfs(folder).ok();
    let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
    Machine {
        memory_free: kilobytes(&memory, "MemAvailable"),
        memory_total: kilobytes(&memory, "MemTotal"),
        disk_free: disk.as_ref().map(|disk| bytes(disk.f_bavail, disk.f_frsize)),
        disk_total: disk.as_ref().map(|disk| bytes(disk.f_blocks, disk.f_frsize)),
    }
}

/// The machine's name, as people and stops call it; empty when the kernel does not say.
pub(crate) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// A line of `/proc/meminfo`, such as `MemTotal:  16303428 kB`, in bytes.
fn kilobytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_disk_of_this_machine_are_known() {
        let machine = read(Path::new("/"));
        assert!(machine.memory_free <= machine.memory_total && machine.memory_free.is_some(), "{machine:?}");
        assert!(machine.disk_free <= machine.disk_total && machine.disk_total.is_some(), "{machine:?}");
    }

    #[test]
    fn a_little_disk_more_or_less_is_not_told() {
        let machine = |disk_free: u64| Machine { disk_free: Some(disk_free), ..Machine::default() }.offered();
        assert_eq!(machine(7_299_999_999).disk_mb, 7_200);
        assert_eq!(machine(7_200_000_000), machine(7_299_999_999));
        assert_eq!(machine(99_999_999).disk_mb, 0, "never more than there is");
    }

    #[test]
    fn what_the_kernel_does_not_say_is_unknown() {
        assert_eq!(kilobytes("MemTotal:  16 kB\n", "MemTotal"), Some(16 * 1024));
        for (text, name) in [("", "MemTotal"), ("MemTotal: many kB", "MemTotal"), ("MemTotalX: 1 kB", "MemTotal")] {
            assert_eq!(kilobytes(text, name), None, "{text}");
        }
        assert_eq!(read(Path::new("/does/not/exist")).disk_free, None);
    }
}
