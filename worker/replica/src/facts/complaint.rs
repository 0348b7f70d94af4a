//! What the error of a replication thread means, by its number and, where servers use one number for many things, by its
//! words. Pure.

/// What is the matter with a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Complaint {
    /// Nothing.
    Nothing,
    /// It does not get through to the primary, or was cut off.
    Network,
    /// The primary refuses the account.
    Credentials,
    /// The primary no longer has what comes next.
    Purged,
    /// It has what the primary never had.
    Diverged,
    /// Another server uses the same `server_id` or `server_uuid`.
    SameIdentity,
    /// A change does not fit what is there.
    Conflict,
    /// The disk is full.
    NoRoom,
    /// It lost to another transaction, or was interrupted: trying again helps.
    Temporary,
    /// What it had fetched cannot be read; it can be fetched again.
    RelayLog,
    /// Something else: a person has to look.
    Other,
}

const NETWORK: [u32; 18] =
    [1040, 1042, 1043, 1053, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 2002, 2003, 2005, 2006, 2013];
const CREDENTIALS: [u32; 6] = [1044, 1045, 1227, 1698, 2061, 3118];
/// Full disks: the server's own numbers, and those of what it stands on.
const NO_ROOM: [u32; 6] = [3, 20, 28, 1021, 1026, 1114];
const TEMPORARY: [u32; 8] = [1205, 1213, 1317, 1927, 1969, 3024, 3101, 1614];
const RELAY_LOG: [u32; 4] = [1594, 1595, 13121, 13122];
/// A change that does not fit: a row or a table that is there or is not, a column that is another, a transaction that comes
/// again.
const CONFLICT: [u32; 26] = [
    1007, 1008, 1032, 1049, 1050, 1051, 1054, 1060, 1061, 1062, 1068, 1091, 1146, 1176, 1265, 1292, 1366, 1396, 1406,
    1451, 1452, 1535, 1586, 1677, 1756, 1950,
];
/// The dump thread's numbers: everything that the primary does not send for is behind one of them.
const PRIMARY_SAYS: [u32; 4] = [1236, 1593, 13114, 13117];
/// A command that the primary refused; its own number stands behind, as `(Errno: 1045)`.
const COMMAND_FAILED: [u32; 2] = [1597, 13120];

impl Complaint {
    /// Reads a thread's last error.
    pub fn of(errno: u32, words: &str) -> Complaint {
        let says = |part: &str| words.to_ascii_lowercase().contains(part);
        match errno {
            0 => Complaint::Nothing,
            _ if PRIMARY_SAYS.contains(&errno) => {
                let same = ["same server_uuid", "same server_id", "equal mysql server", "server ids; these ids"];
                let diverged = ["has diverged", "more gtids than", "contains gtids with higher sequence numbers"];
                let purged = [
                    "purged",
                    "could not find first log",
                    "could not find gtid state",
                    "not in the master's binlog",
                    "not in the primary's binlog",
                ];
                if same.iter().any(|part| says(part)) {
                    Complaint::SameIdentity
                } else if diverged.iter().any(|part| says(part)) {
                    Complaint::Diverged
                } else if purged.iter().any(|part| says(part)) {
                    Complaint::Purged
                } else {
                    Complaint::Other
                }
            }
            _ if COMMAND_FAILED.contains(&errno) => {
                let behind = words.rsplit_once("(Errno: ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
                behind
                    .filter(|behind| !COMMAND_FAILED.contains(behind))
                    .map_or(Complaint::Other, |behind| Complaint::of(behind, words))
            }
            _ if NETWORK.contains(&errno) => Complaint::Network,
            _ if CREDENTIALS.contains(&errno) => Complaint::Credentials,
            _ if NO_ROOM.contains(&errno) => Complaint::NoRoom,
            // Storage engines hand the system's own number on.
            1030 if says("error 28") => Complaint::NoRoom,
            _ if TEMPORARY.contains(&errno) => Complaint::Temporary,
            _ if RELAY_LOG.contains(&errno) => Complaint::RelayLog,
            _ if CONFLICT.contains(&errno) => Complaint::Conflict,
            _ => Complaint::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_means_the_same_on_every_server_that_has_it() {
        for (errno, words, means) in [
            (0, "", Complaint::Nothing),
            (2003, "error reconnecting to master 'replicator@127.0.0.1:1'", Complaint::Network),
            (1045, "Access denied for user 'replicator'@'127.0.0.1'", Complaint::Credentials),
            (
                13120,
                "Source command COM_REGISTER_REPLICA failed: Access denied for user 'copier'@'127.0.0.1' (Errno: 1045)",
                Complaint::Credentials,
            ),
            (13120, "Source command COM_REGISTER_REPLICA failed: (Errno: 13120)", Complaint::Other),
            (2061, "Authentication plugin 'caching_sha2_password' reported error: …", Complaint::Credentials),
            (
                1236,
                "Got fatal error 1236 from master when reading data from binary log: 'Could not find GTID state requested by \
                 slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.'",
                Complaint::Purged,
            ),
            (
                13114,
                "Got fatal error 1236 from source when reading data from binary log: 'Cannot replicate because the source \
                 purged required binary logs. Replicate the missing transactions from elsewhere'",
                Complaint::Purged,
            ),
            (
                1236,
                "Got fatal error 1236 from master when reading data from binary log: 'Error: connecting slave requested to \
                 start from GTID 0-2-5, which is not in the master's binlog. Since the master's binlog contains GTIDs with \
                 higher sequence numbers, it probably means that the slave has diverged due to executing extra erroneous \
                 transactions'",
                Complaint::Diverged,
            ),
            (13114, "Replica has more GTIDs than the source has, using the source's SERVER_UUID.", Complaint::Diverged),
            (
                1236,
                "Got fatal error 1236 from master when reading data from binary log: 'A slave with the same \
                 server_uuid/server_id as this slave has connected to the master'",
                Complaint::SameIdentity,
            ),
            (
                13117,
                "Fatal error: The replica I/O thread stops because source and replica have equal MySQL server UUIDs",
                Complaint::SameIdentity,
            ),
            (
                1593,
                "Fatal error: The slave I/O thread stops because master and slave have equal MySQL server ids; \
                    these ids must be different",
                Complaint::SameIdentity,
            ),
            (1062, "Duplicate entry '1' for key 'PRIMARY'", Complaint::Conflict),
            (1032, "Can't find record in 't'", Complaint::Conflict),
            (
                1950,
                "An attempt was made to binlog GTID 0-1-5 which would create an out-of-order sequence",
                Complaint::Conflict,
            ),
            (1146, "Table 'company.t' doesn't exist", Complaint::Conflict),
            (1021, "Disk full (…); waiting for someone to free some space", Complaint::NoRoom),
            (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB", Complaint::NoRoom),
            (1205, "Lock wait timeout exceeded", Complaint::Temporary),
            (1594, "Relay log read failure", Complaint::RelayLog),
            (1236, "Got fatal error 1236 from master: 'event too big'", Complaint::Other),
            (1399, "XAER_RMFAIL", Complaint::Other),
        ] {
            assert_eq!(Complaint::of(errno, words), means, "{errno} {words}");
        }
    }
}
