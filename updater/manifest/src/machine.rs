//! Kinds of machines, by the names that `release.toml` gives them, and whether a file can be a program for one.

/// The kind of machine that this program was built for, such as `x86_64-unknown-linux-gnu`.
pub fn this_target() -> String {
    let environment = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{}-unknown-{}-{environment}", std::env::consts::ARCH, std::env::consts::OS)
}

/// So many bytes of a file's beginning say what kind of program it is.
pub const HEAD_BYTES: usize = 64;

/// Whether the file that begins with `head` can be a program for `target`. What is no compiled program at all but a script
/// can be one for every kind of machine. The error says what it is instead.
pub fn can_be_for(head: &[u8], target: &str) -> Result<(), String> {
    if head.starts_with(b"#!") {
        return Ok(());
    }
    if !head.starts_with(b"\x7fELF") {
        return Err("it is no Linux program".to_owned());
    }
    let (class, order, machine) = match head.get(4..20) {
        Some(&[class, order, .., low, high]) => (class, order, [low, high]),
        _ => return Err("it is cut off".to_owned()),
    };
    let machine = if order == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    let arch = target.split('-').next().unwrap_or_default();
    let known = match (machine, class) {
        (62, 2) => "x86_64",
        (3, _) => "i686",
        (183, _) => "aarch64",
        (40, _) => "arm",
        (243, 2) => "riscv64",
        (21, 2) => "powerpc64",
        (22, 2) => "s390x",
        (258, 2) => "loongarch64",
        // What is not known here may be right: the trial will tell.
        _ => return Ok(()),
    };
    let same = match known {
        "i686" => matches!(arch, "i386" | "i586" | "i686" | "x86"),
        known => arch.starts_with(known),
    };
    if same { Ok(()) } else { Err(format!("it is a program for {known}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binaries::check_target;

    fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut head = b"\x7fELF".to_vec();
        head.extend([class, order, 1]);
        head.resize(18, 0);
        head.extend(machine);
        head
    }

    #[test]
    fn this_machine_has_a_name_that_a_release_can_name() {
        assert_eq!(check_target(&this_target()), Ok(()));
    }

    #[test]
    fn a_program_for_another_machine_is_known_by_its_first_bytes() {
        let intel = elf(2, 1, [62, 0]);
        assert_eq!(can_be_for(&intel, "x86_64-unknown-linux-gnu"), Ok(()));
        let error = can_be_for(&intel, "aarch64-unknown-linux-gnu").expect_err("another machine");
        assert_eq!(error, "it is a program for x86_64");
        assert_eq!(can_be_for(&elf(2, 1, [183, 0]), "aarch64-unknown-linux-musl"), Ok(()));
        assert_eq!(can_be_for(&elf(1, 1, [40, 0]), "armv7-unknown-linux-gnueabihf"), Ok(()));
        assert_eq!(can_be_for(&elf(2, 2, [0, 22]), "s390x-unknown-linux-gnu"), Ok(()));
        assert_eq!(can_be_for(&elf(2, 1, [1, 77]), "x86_64-unknown-linux-gnu"), Ok(()), "an unknown one may be right");
    }

    #[test]
    fn a_script_is_for_every_machine_and_other_files_for_none() {
        assert_eq!(can_be_for(b"#!/bin/sh\n", "x86_64-unknown-linux-gnu"), Ok(()));
        for head in [&b""[..], b"MZ\x90", b"\x7fELF\x02"] {
            can_be_for(head, "x86_64-unknown-linux-gnu").expect_err("no program");
        }
    }
}
