//! A row of `SHOW REPLICA STATUS` or `SHOW ALL SLAVES STATUS`, by the names of its columns, which differ. Pure.

use std::collections::BTreeMap;

use super::{Channel, Complaint, Filters, Running, Thread, primary_name};
use crate::make::Make;
use crate::position::Gtids;

/// A row's columns by name; a column that is NULL is missing.
pub(super) type Named = BTreeMap<String, String>;

/// The channel of a row; `None` for what group replication calls its channels. The error says what cannot be read.
pub(super) fn channel(make: Make, row: &Named) -> Result<Option<Channel>, String> {
    // Sources were masters, replicas slaves: MySQL has only the new words since 8.4, MariaDB only the old ones.
    let get = |names: [&str; 2]| names.iter().find_map(|name| row.get(*name)).map_or("", String::as_str);
    let both = |new: &str, old: &str| get([new, old]).to_owned();
    let name = both("Channel_Name", "Connection_name");
    if name.starts_with("group_replication_") {
        return Ok(None);
    }
    let thread = |running: [&str; 2], errno: &str, error: &str| -> Result<Thread, String> {
        let running = match get(running) {
            "Yes" => Running::Yes,
            "No" => Running::No,
            // "Connecting", and "Preparing" on its way there.
            "Connecting" | "Preparing" => Running::Connecting,
            other => return Err(format!("a thread that is neither running nor not: {running:?} is \"{other}\"")),
        };
        let (errno, error) = (get([errno; 2]).parse().unwrap_or(0), get([error; 2]).to_owned());
        let complaint = Complaint::of(errno, &error);
        Ok(Thread { running, errno, error, complaint })
    };
    let identity = match make {
        Make::MySql => both("Source_UUID", "Master_UUID"),
        // 0 before the primary is reached.
        Make::MariaDb => both("Master_Server_Id", "Source_Server_Id").trim_start_matches('0').to_owned(),
    };
    let (by_gtid, retrieved) = match make {
        Make::MySql => (get(["Auto_Position"; 2]) == "1", get(["Retrieved_Gtid_Set"; 2])),
        Make::MariaDb => (!matches!(get(["Using_Gtid"; 2]), "No" | ""), get(["Gtid_IO_Pos"; 2])),
    };
    Ok(Some(Channel {
        name,
        address: format!("{}:{}", both("Source_Host", "Master_Host"), both("Source_Port", "Master_Port")),
        user: both("Source_User", "Master_User"),
        primary: (!identity.is_empty()).then(|| primary_name(make, &identity)),
        receiver: thread(["Replica_IO_Running", "Slave_IO_Running"], "Last_IO_Errno", "Last_IO_Error")?,
        applier: thread(["Replica_SQL_Running", "Slave_SQL_Running"], "Last_SQL_Errno", "Last_SQL_Error")?,
        by_gtid,
        retrieved: Gtids::parse(make, retrieved).map_err(|error| error.to_string())?,
        filters: Filters {
            do_db: both("Replicate_Do_DB", "Replicate_Do_DB"),
            ignore_db: both("Replicate_Ignore_DB", "Replicate_Ignore_DB"),
            do_table: both("Replicate_Do_Table", "Replicate_Do_Table"),
            ignore_table: both("Replicate_Ignore_Table", "Replicate_Ignore_Table"),
            wild_do_table: both("Replicate_Wild_Do_Table", "Replicate_Wild_Do_Table"),
            wild_ignore_table: both("Replicate_Wild_Ignore_Table", "Replicate_Wild_Ignore_Table"),
        },
        delay: get(["SQL_Delay"; 2]).parse().unwrap_or(0),
        seconds_behind: get(["Seconds_Behind_Source", "Seconds_Behind_Master"]).parse().ok(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn row(columns: &[(&str, &str)]) -> Named {
        columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// MySQL 8.0 up to 8.0.21 and `SHOW SLAVE STATUS` after it.
    fn old_mysql() -> Named {
        row(&[
            ("Master_Host", "db1"),
            ("Master_Port", "3306"),
            ("Master_User", "replicator"),
            ("Master_UUID", UUID),
            ("Slave_IO_Running", "Yes"),
            ("Slave_SQL_Running", "No"),
            ("Last_SQL_Errno", "1062"),
            ("Last_SQL_Error", "Duplicate entry"),
            ("Last_IO_Errno", "0"),
            ("Last_IO_Error", ""),
            ("Retrieved_Gtid_Set", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9"),
            ("Auto_Position", "1"),
            ("Replicate_Ignore_Table", "company.people"),
            ("SQL_Delay", "0"),
            ("Seconds_Behind_Master", "3"),
            ("Channel_Name", ""),
        ])
    }

    #[test]
    fn a_row_says_the_same_under_old_names_and_new_ones() {
        let old = old_mysql();
        let renamed = |name: &String| name.replace("Master", "Source").replace("Slave", "Replica");
        let new: Named = old.iter().map(|(name, value)| (renamed(name), value.clone())).collect();
        assert_ne!(old, new);
        let channel = channel(Make::MySql, &old).expect("readable").expect("a channel");
        assert_eq!(Ok(Some(channel.clone())), super::channel(Make::MySql, &new));
        assert_eq!((channel.address.as_str(), channel.seconds_behind), ("db1:3306", Some(3)));
        assert_eq!(channel.primary, Some(format!("mysql:{UUID}")));
        assert_eq!((channel.receiver.running, channel.applier.running), (Running::Yes, Running::No));
        assert_eq!((channel.applier.errno, channel.applier.complaint), (1062, Complaint::Conflict));
        assert!(channel.by_gtid && channel.filters.ignore_table == "company.people");
    }

    #[test]
    fn a_primary_that_was_not_reached_yet_is_not_known() {
        let mut row = row(&[
            ("Connection_name", ""),
            ("Master_Host", "db1"),
            ("Master_Port", "3306"),
            ("Master_Server_Id", "0"),
            ("Slave_IO_Running", "Preparing"),
            ("Slave_SQL_Running", "Yes"),
            ("Using_Gtid", "Slave_Pos"),
            ("Gtid_IO_Pos", "0-7-3"),
        ]);
        let found = channel(Make::MariaDb, &row).expect("readable").expect("a channel");
        assert_eq!((found.primary, found.receiver.running), (None, Running::Connecting));
        row.insert("Master_Server_Id".to_owned(), "70".to_owned());
        row.insert("Using_Gtid".to_owned(), "No".to_owned());
        let found = channel(Make::MariaDb, &row).expect("readable").expect("a channel");
        assert_eq!((found.primary.as_deref(), found.by_gtid), (Some("mariadb:70"), false));
    }

    #[test]
    fn the_channels_of_group_replication_are_none() {
        let mut row = old_mysql();
        row.insert("Channel_Name".to_owned(), "group_replication_applier".to_owned());
        assert_eq!(channel(Make::MySql, &row), Ok(None));
    }

    #[test]
    fn a_thread_in_a_state_that_is_not_known_is_not_guessed_at() {
        let mut row = old_mysql();
        row.insert("Slave_IO_Running".to_owned(), "Perhaps".to_owned());
        assert!(channel(Make::MySql, &row).expect_err("unknown").contains("Perhaps"));
        row.remove("Slave_IO_Running");
        channel(Make::MySql, &row).expect_err("missing");
    }
}
