//! The filter of system calls (seccomp): what no plugin needs is refused with an error, not with death, because libraries try
//! such calls and get along without.
//!
//! Everything is allowed but: sockets (unless declared), looking into and tampering with other processes, mounts and
//! namespaces, the kernel's own doors (modules, bpf, keys, io_uring, userfaultfd, perf), and typing on terminals. Calls of
//! another architecture kill the process: a filter of numbers means nothing there.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::cell::Network;

/// Calls that are refused whatever their arguments.
const REFUSED: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    // Priorities stay as low as they were set.
    libc::SYS_ioprio_set,
    // Memory that no limit counts and that outlives its maker.
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];
/// Calls that change files by their owner's right, which landlock has no rules about: refused where the worker is the owner.
const MODES: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_utimensat,
    // Before Linux 6.2 landlock had no rule about it either.
    libc::SYS_truncate,
];
const SYS_FCHMODAT2: c_long = 452;
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;
const SYS_FILE_SETATTR: c_long = 469;
/// Ways to change a file's attributes through its device: FS_IOC_SETFLAGS (twice), FS_IOC_SETVERSION, FS_IOC_FSSETXATTR.
const ATTRIBUTES: [u64; 4] = [0x4008_6602, 0x4004_6602, 0x4008_7602, 0x401C_5820];
/// Calls that change another process's place in the queue.
const PRIORITIES: &[c_long] =
    &[libc::SYS_sched_setscheduler, libc::SYS_sched_setparam, libc::SYS_sched_setattr, libc::SYS_sched_setaffinity];
/// Namespaces that `clone` could make.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
];
/// Bits of a socket's type that kinds other than streams have: these are 1, the others 2 to 15.
const NO_STREAM: [u64; 3] = [2, 4, 8];
/// Ways to type on a terminal.
const TYPING: [u64; 2] = [0x5412, 0x541C]; // TIOCSTI, TIOCLINUX
/// Ways to have the kernel send a signal for us: F_SETOWN, F_SETSIG, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP.
const SIGNALS_BY_FILE: [u64; 3] = [8, 10, 15];
const SIGNALS_BY_DEVICE: [u64; 2] = [0x8901, 0x8902];
/// Added to a call's number it names the same call with shorter pointers, where the kernel knows such.
#[cfg(target_arch = "x86_64")]
const SHORT_POINTERS: Option<c_long> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SHORT_POINTERS: Option<c_long> = None;

/// What a program shares with its worker that other rules do not keep it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedUser {
    /// The number of the program's first process.
    pub(super) me: u32,
    /// The kernel lets it signal the worker.
    pub(super) with_signals: bool,
}

/// Filters the calls of this process and of what it becomes, which may share the worker's user; whether this architecture has filters.
///
/// # Errors
/// When the kernel refuses, which no supported one does.
pub(super) fn filter(network: &Network, shared: Option<SharedUser>) -> Result<bool, Error> {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(false) };
    let refuse = |errno: i32, rules| -> Result<BpfProgram, Error> {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), architecture)?;
        Ok(filter.try_into()?)
    };
    let refused = refuse(libc::EPERM, rules(network, shared)?)?;
    // Its flags are out of a filter's sight; libraries take clone when the kernel does not know it.
    let unknown = refuse(libc::ENOSYS, [(libc::SYS_clone3, Vec::new())].into())?;
    seccompiler::apply_filter(&unknown)?;
    seccompiler::apply_filter(&refused)?;
    Ok(true)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(network: &Network, shared: Option<SharedUser>) -> Result<Rules, Error> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let newspaces = NAMESPACES.iter().map(|flag| rule(0, SeccompCmpOp::MaskedEq(*flag as u64), *flag as u64));
    rules.insert(libc::SYS_clone, newspaces.collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_ioctl, equal(1, &TYPING)?);
    rules.insert(libc::SYS_socket, sockets(network)?);
    rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Ne, 0)?]);
    if let Some(SharedUser { me, with_signals }) = shared {
        let me = u64::from(me);
        // 0 is itself, or its own group, which nobody else is in.
        let another = |argument| {
            Ok::<_, Error>(vec![SeccompRule::new(vec![
                condition(argument, SeccompCmpOp::Ne, me)?,
                condition(argument, SeccompCmpOp::Ne, 0)?,
            ])?])
        };
        rules.extend(MODES.iter().map(|call| (*call, Vec::new())));
        rules.entry(libc::SYS_ioctl).or_default().extend(equal(1, &ATTRIBUTES)?);
        rules.insert(libc::SYS_setpriority, another(1)?);
        for call in PRIORITIES {
            rules.insert(*call, another(0)?);
        }
        if with_signals {
            rules.insert(libc::SYS_kill, another(0)?);
            for call in [libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo] {
                rules.insert(call, vec![rule(0, SeccompCmpOp::Ne, me)?]);
            }
            rules.extend([libc::SYS_tkill, libc::SYS_pidfd_send_signal].map(|call| (call, Vec::new())));
            rules.insert(libc::SYS_fcntl, equal(1, &SIGNALS_BY_FILE)?);
            rules.entry(libc::SYS_ioctl).or_default().extend(equal(1, &SIGNALS_BY_DEVICE)?);
        }
    }
    if let Some(bit) = SHORT_POINTERS {
        let again: Rules = rules.iter().map(|(call, rules)| (call | bit, rules.clone())).collect();
        rules.extend(again);
    }
    Ok(rules)
}

/// When `socket` is refused. A pair of sockets that know only each other is always allowed.
fn sockets(network: &Network) -> Result<Vec<SeccompRule>, Error> {
    let families: &[i32] = match network {
        // No rule: always.
        Network::None => return Ok(Vec::new()),
        Network::Socket(_) => &[libc::AF_UNIX],
        Network::Port(_) => &[libc::AF_INET, libc::AF_INET6],
        Network::All => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
    };
    let other = families.iter().map(|family| condition(0, SeccompCmpOp::Ne, *family as u64));
    let mut refused = vec![SeccompRule::new(other.collect::<Result<_, _>>()?)?];
    if let Network::Port(_) = network {
        // Landlock's ports are TCP's: what is none would go anywhere.
        for bit in NO_STREAM {
            refused.push(rule(1, SeccompCmpOp::MaskedEq(bit), bit)?);
        }
        let by_default = condition(2, SeccompCmpOp::Ne, 0)?;
        refused.push(SeccompRule::new(vec![by_default, condition(2, SeccompCmpOp::Ne, libc::IPPROTO_TCP as u64)?])?);
    }
    Ok(refused)
}

fn equal(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, Error> {
    values.iter().map(|value| rule(argument, SeccompCmpOp::Eq, *value)).collect()
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    Ok(SeccompRule::new(vec![condition(argument, operator, value)?])?)
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, Error> {
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?)
}
