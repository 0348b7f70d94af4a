//! The accounts of a worker's own server, and what it does before it answers so that there are no others.
//!
//! The keeper may do everything, and is this crate; the reader may read what is copied, fill temporary tables in a schema of
//! their own and ask how replication is doing. Both come in by the socket, with passwords that nobody chose.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::place::Place;
use super::settings::{Copied, Mode};
use crate::make::Make;
use crate::sql::{fill, name, statements, table, text};
use crate::swap;

/// The account that looks, heals and fills.
pub const KEEPER: &str = "nightshift_keeper";
/// The account that plugins read by.
pub const READER: &str = "nightshift_reader";
/// The schema of temporary tables.
pub(crate) const SCRATCH: &str = "nightshift_scratch";

/// The password in a file, made when there is none.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn password(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(password) if !password.trim().is_empty() => return Ok(password.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    swap::replace(path, format!("{password}\n").as_bytes())?;
    Ok(password)
}

/// What the server does before it answers, one statement a line.
///
/// # Errors
/// When a password cannot be read or made.
pub(crate) fn init(place: &Place, make: Make, mode: Mode, copied: &Copied) -> io::Result<String> {
    let keeper = text(&password(&place.keeper_password())?);
    let reader = text(&password(&place.reader_password())?);
    Ok(init_with(make, mode, copied, &keeper, &reader))
}

fn init_with(make: Make, mode: Mode, copied: &Copied, keeper: &str, reader: &str) -> String {
    let (building, following) = match make {
        Make::MariaDb => (include_str!("mariadb/building.sql"), include_str!("mariadb/following.sql")),
        Make::MySql => (include_str!("mysql/building.sql"), include_str!("mysql/following.sql")),
    };
    let mut all = statements(&fill(building, &[("keeper", keeper)]));
    if mode == Mode::Following {
        all.extend(statements(&fill(following, &[("reader", reader)])));
        let of_schema =
            |schema: &String| statements(&fill(include_str!("read_schema.sql"), &[("schema", &name(schema))]));
        all.extend(copied.schemas.iter().flat_map(of_schema));
        let of_heartbeat =
            |heartbeat: &String| statements(&fill(include_str!("read_heartbeat.sql"), &[("table", &table(heartbeat))]));
        all.extend(copied.heartbeat.iter().flat_map(of_heartbeat));
    }
    all.iter().map(|statement| format!("{statement};\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let first = password(&file).expect("made");
        assert_eq!(password(&file).expect("read"), first);
        assert!(first.len() == 48 && first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nobody_but_the_keeper_gets_at_a_server_that_is_filled() {
        let copied = Copied { schemas: vec!["company".into()], ..Copied::default() };
        for make in [Make::MariaDb, Make::MySql] {
            let building = init_with(make, Mode::Building, &copied, "'k'", "'r'");
            assert!(
                building.contains("DROP USER IF EXISTS nightshift_reader") && !building.contains("'r'"),
                "{building}"
            );
            let following = init_with(make, Mode::Following, &copied, "'k'", "'r'");
            assert!(following.contains("CREATE USER nightshift_reader@localhost IDENTIFIED BY 'r'"), "{following}");
            assert!(following.contains("GRANT SELECT, SHOW VIEW ON `company`.*"), "{following}");
            assert!(following.lines().all(|line| line.ends_with(';')), "{following}");
        }
    }
}
