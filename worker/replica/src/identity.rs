//! What tells a worker's server from every other: its number among those that copy a primary, and MySQL's UUID.
//!
//! Two copies of one machine throw each other off the primary when they keep either. The number follows from the worker's
//! identity, which a copy makes anew at its first cycle; the UUID is in a file of the data folder that the server makes
//! again when it is gone.

use std::fs;
use std::io;

use sha2::{Digest as _, Sha256};

use crate::server::Place;
use crate::swap;

/// The first number that is given: people number their own servers from below.
const FIRST: u32 = 1 << 31;

/// The `server_id` of a worker's server: always the same for the same worker.
pub fn server_id(worker: &str) -> u32 {
    let digest = Sha256::digest(worker.as_bytes());
    let number = digest.iter().take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    FIRST | number
}

/// The `server_id` of the server in a folder: another one for each time that somebody else turned out to have it.
pub(crate) fn number_of(place: &Place, worker: &str) -> u32 {
    match renewed(place) {
        0 => server_id(worker),
        times => server_id(&format!("{worker} {times}")),
    }
}

fn renewed(place: &Place) -> u32 {
    fs::read_to_string(place.renewed()).ok().and_then(|times| times.trim().parse().ok()).unwrap_or(0)
}

/// Gives the server, which must have ended, another number and another UUID.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn renew(place: &Place) -> io::Result<()> {
    forget_uuid(place)?;
    swap::replace(&place.renewed(), format!("{}\n", renewed(place).saturating_add(1)).as_bytes())
}

fn forget_uuid(place: &Place) -> io::Result<()> {
    match fs::remove_file(place.data().join("auto.cnf")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the data in a server's folder this worker's own, before the server starts; whether they were another's.
///
/// # Errors
/// When the folder cannot be read or written.
pub(crate) fn take_over(place: &Place, worker: &str) -> io::Result<bool> {
    let owner = match fs::read_to_string(place.owner()) {
        Ok(owner) => Some(owner),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if owner.as_deref().map(str::trim) == Some(worker) {
        return Ok(false);
    }
    // First the UUID goes, then the note: a power cut in between repeats the step.
    forget_uuid(place)?;
    // What another worker's plugins read by is nothing that this one's should.
    for password in [place.keeper_password(), place.reader_password()] {
        swap::remove(&password)?;
    }
    swap::replace(&place.owner(), format!("{worker}\n").as_bytes())?;
    Ok(owner.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_a_number_of_its_own_that_stays_and_is_none_that_people_give() {
        let one = server_id("0198e2b4-0000-7000-8000-000000000001");
        assert_eq!(one, server_id("0198e2b4-0000-7000-8000-000000000001"));
        assert_ne!(one, server_id("0198e2b4-0000-7000-8000-000000000002"));
        assert!(one >= FIRST);
    }

    #[test]
    fn a_number_that_somebody_else_has_too_is_exchanged_for_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(folder.path());
        let mut numbers = vec![number_of(&place, "w")];
        for _ in 0..2 {
            renew(&place).expect("writable");
            numbers.push(number_of(&place, "w"));
        }
        assert_eq!(numbers[0], server_id("w"));
        assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2]);
    }

    #[test]
    fn a_copied_data_folder_loses_the_uuid_and_the_passwords_of_the_worker_it_was_copied_from() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(folder.path());
        fs::create_dir(place.data()).expect("a folder");
        let uuid = place.data().join("auto.cnf");
        assert!(!take_over(&place, "first").expect("writable"));
        for file in [&uuid, &place.reader_password(), &place.keeper_password()] {
            fs::write(file, "x").expect("writable");
        }
        assert!(!take_over(&place, "first").expect("readable"));
        assert!(uuid.exists(), "its own stays");
        assert!(take_over(&place, "copy").expect("writable"));
        assert!(!uuid.exists() && !place.reader_password().exists() && !place.keeper_password().exists());
    }
}
