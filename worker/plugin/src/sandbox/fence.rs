//! The kernel's rules about files (landlock): what a program may read, run and write, and nothing else.
//!
//! As much of it as the kernel knows. Where it knows more than files, a program may also signal nobody outside, reach no
//! socket that has a name (one that has a file: from version 9 on), and no TCP port but the replica's.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use nightshift_contract::shown::{SETTINGS, SYSTEM};

use super::cell::{Cell, Network};

/// The newest rules that are asked for.
const NEWEST: ABI = ABI::V9;

/// What of /proc says something about the machine and nothing about other processes.
const OF_THE_MACHINE: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/proc/uptime",
    "/proc/version",
];
/// Devices that every program may use.
const DEVICES: [&str; 5] = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];
const OF_THE_HARDWARE: &str = "/sys/devices/system/cpu";

/// Puts up the fence around this process; the version of the rules that the kernel keeps, 0 for none.
///
/// # Errors
/// When the kernel knows such rules and refuses these.
pub(super) fn put_up(cell: &Cell) -> Result<u8, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    let ruleset = match cell.network {
        Network::All => ruleset,
        _ => ruleset.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?,
    };
    let mut fence = ruleset.create()?;
    let reading = AccessFs::from_read(NEWEST);
    let writing = AccessFs::from_all(NEWEST)
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev | AccessFs::ResolveUnix);
    let own = cell.readable.iter().map(|shown| &shown.at);
    for path in SYSTEM.map(PathBuf::from).iter().chain(&settings()).chain(own) {
        fence = allow(fence, path, reading)?;
    }
    let looks = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in OF_THE_MACHINE.iter().chain([&OF_THE_HARDWARE]).map(Path::new) {
        fence = allow(fence, path, looks)?;
    }
    for path in DEVICES.map(Path::new) {
        fence = allow(fence, path, looks | AccessFs::WriteFile)?;
    }
    // In namespaces of its own a program sees no other's processes; outside, /proc/self is this process's folder, for good.
    fence = allow(fence, Path::new(if cell.is_inside { "/proc" } else { "/proc/self" }), looks | AccessFs::WriteFile)?;
    for path in scratch(cell) {
        fence = allow(fence, &path, writing)?;
    }
    match &cell.network {
        Network::None | Network::All => {}
        Network::Socket(path) => fence = allow(fence, path, looks | AccessFs::WriteFile | AccessFs::ResolveUnix)?,
        Network::Port(port) => fence = fence.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?,
    }
    let status = fence.restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi as u8,
        (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => 0,
    })
}

/// The files and folders of /etc that programs may read on this machine.
pub(super) fn settings() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/etc").map(|entries| entries.flatten().map(|entry| entry.path()));
    let is_needed = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        SETTINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    entries.map(|paths| paths.filter(is_needed).collect()).unwrap_or_default()
}

/// Where the program may write.
fn scratch(cell: &Cell) -> Vec<PathBuf> {
    match cell.is_inside {
        true => vec!["/tmp".into(), "/dev/shm".into()],
        false => vec![cell.scratch.clone()],
    }
}

/// Allows something below `path`; a path that is not there allows nothing.
fn allow(
    fence: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(there) = PathFd::new(path) else { return Ok(fence) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    fence.add_rule(PathBeneath::new(there, access))
}
