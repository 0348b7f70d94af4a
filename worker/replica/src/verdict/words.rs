//! Verdicts in words: what is, and the statement or step that cures it, in the words of the server's make. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Stop, Verdict, Which, Whose};
use crate::facts::{Absence, Complaint};
use crate::make::{Make, Version};
use crate::position::Gtids;

/// What cures a copying account that the primary refuses, where the job server names it.
pub(crate) const ACCOUNT: &str = "set user and password_file in [replication] of jobserver.toml as the primary knows them, or \
                                  give the account that password and the right REPLICATION SLAVE on the primary; the \
                                  worker tries again by itself within a minute";
/// What cures the worker's own server when somebody changed what the worker had set up.
const BUILD_ANEW: &str = "somebody changed the worker's own server: `nightshift-worker stop`, remove the folder `replica` in its \
                          state folder, `nightshift-worker start`, and it is built anew";
/// The longest list of transactions that is shown.
const LONGEST: usize = 200;

impl Verdict {
    /// What it is, and what cures it, in a sentence or two. `version` is the server's, where it is known.
    pub fn in_words(&self, version: Option<Version>, whose: Whose) -> String {
        let mut words = self.sentence();
        if let Some(cure) = self.cure(version, whose) {
            let _ = write!(words, "; {cure}");
        }
        words
    }

    /// What it is.
    fn sentence(&self) -> String {
        match self {
            Verdict::Away(absence) => absent(absence),
            Verdict::Rebuilding(why) => format!("the replica is being built anew: {why}"),
            Verdict::NotReplica => "the server copies no primary".to_owned(),
            Verdict::NoGtids => "the server copies files and not transactions (GTID)".to_owned(),
            Verdict::OtherPrimary { expected, found } => {
                format!("the replica copies {found}, and the data are those of {expected}")
            }
            Verdict::Diverged(extra) => {
                format!("the replica has what its primary never had: {}", short(extra))
            }
            Verdict::Broken(stop) => match stop.complaint {
                Complaint::Purged => {
                    format!("the primary no longer has what the replica needs next ({})", said(stop))
                }
                _ => format!("a change of the primary does not fit the replica's data ({})", said(stop)),
            },
            Verdict::Cloned(stop) => format!("another server has the replica's identity ({})", said(stop)),
            Verdict::Refused { account, error } => format!("the primary refuses the account {account} ({error})"),
            Verdict::NoRoom(stop) => format!("the replica's disk is full ({})", said(stop)),
            Verdict::Stopped(stop) => match stop.errno {
                0 => format!("{} stands still: somebody stopped it", thread(stop.which)),
                _ => format!("{} stands still: {}", thread(stop.which), said(stop)),
            },
            Verdict::Writable => "anybody may write to the replica: read_only is off".to_owned(),
            Verdict::SkipsErrors(setting) => {
                format!("the replica goes on where its data do not fit ({setting}), and so may lack anything")
            }
            Verdict::Delayed(seconds) => format!("the replica was told to stay {seconds} s behind its primary"),
            Verdict::Filtered { table, filter } => {
                format!("the table {table} is needed, and the replica does not copy it ({filter})")
            }
            Verdict::Connecting { address, error } => match error.is_empty() {
                true => format!("the replica is on its way to its primary at {address}"),
                false => format!("the replica does not get through to its primary at {address} ({error})"),
            },
            Verdict::Behind { by, missing } => behind(*by, missing),
            Verdict::MissingTables(tables) => {
                let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
                format!("the replica is current and has no table {}", tables.join(", "))
            }
            Verdict::Current { by } => format!("the replica is current, {:.1} s behind its primary", by.as_secs_f32()),
        }
    }

    /// What somebody can do about it, or the worker does; `None` where it passes by itself or all is well.
    pub fn cure(&self, version: Option<Version>, whose: Whose) -> Option<String> {
        let by_worker = match whose {
            Whose::Workers => self.done_by_the_worker(),
            Whose::Machines => None,
        };
        by_worker.map(str::to_owned).or_else(|| self.done_by_a_person(version))
    }

    /// What the worker does about its own server, or has people do elsewhere; `None` where that is the same for every
    /// server. No statement to run there is among it: whoever ran it would be in the worker's way.
    fn done_by_the_worker(&self) -> Option<&'static str> {
        Some(match self {
            Verdict::Away(Absence::Unreachable(_)) => "the worker starts it again by itself",
            Verdict::Away(Absence::Silent(..)) => "the worker starts it again by itself when that goes on",
            Verdict::Away(Absence::Credentials(_) | Absence::MayNotLook(_))
            | Verdict::SkipsErrors(_)
            | Verdict::Delayed(_)
            | Verdict::Filtered { .. } => BUILD_ANEW,
            Verdict::NotReplica | Verdict::NoGtids => {
                "nothing is to be done there: the worker builds it anew by itself, as soon as the job server permits it"
            }
            Verdict::OtherPrimary { .. } => {
                "the worker builds it anew by itself from the primary that counts, as soon as the job server permits it"
            }
            Verdict::Diverged(_) | Verdict::Broken(_) => {
                "the worker builds it anew by itself, as soon as the job server permits it: no error is ever skipped"
            }
            Verdict::Cloned(_) => "the worker gives it an identity of its own by itself",
            Verdict::Refused { .. } => ACCOUNT,
            Verdict::Stopped(_) => {
                "the worker starts it again by itself, less and less often, and builds it anew when that does not help"
            }
            Verdict::Writable => "the worker sets read_only by itself",
            Verdict::Away(Absence::Unsupported(_) | Absence::Strange(_))
            | Verdict::Rebuilding(_)
            | Verdict::NoRoom(_)
            | Verdict::Connecting { .. }
            | Verdict::Behind { .. }
            | Verdict::MissingTables(_)
            | Verdict::Current { .. } => return None,
        })
    }

    fn done_by_a_person(&self, version: Option<Version>) -> Option<String> {
        let make = version.map(|version| version.make);
        let by_make = |mariadb: &str, mysql: &str| match make {
            Some(Make::MariaDb) => mariadb.to_owned(),
            Some(Make::MySql) => mysql.to_owned(),
            None => format!("{mysql} (MySQL), {mariadb} (MariaDB)"),
        };
        let run = |mariadb: &str, mysql: &str| Some(format!("run there: {}", by_make(mariadb, mysql)));
        let rebuild = || Some("it has to be built anew: no error is ever skipped".to_owned());
        match self {
            Verdict::Away(Absence::Unreachable(_)) => Some("start it".to_owned()),
            Verdict::Away(Absence::Silent(..)) => Some("it is restarted when that goes on".to_owned()),
            Verdict::Away(Absence::Credentials(_)) => {
                Some("set user and password under [replica] in worker.toml right".to_owned())
            }
            Verdict::Away(Absence::MayNotLook(account)) => {
                let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
                let grant = |right: &str| format!("GRANT {right} ON *.* TO '{user}'@'{host}'");
                run(&grant("SLAVE MONITOR"), &grant("REPLICATION CLIENT"))
            }
            Verdict::Away(Absence::Unsupported(_)) => Some("MariaDB 10.6 or MySQL 8.0.23 are needed".to_owned()),
            Verdict::NotReplica => run(
                "CHANGE MASTER TO MASTER_HOST='…', MASTER_USER='…', MASTER_PASSWORD='…', MASTER_USE_GTID=slave_pos; START SLAVE",
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='…', SOURCE_USER='…', SOURCE_PASSWORD='…', SOURCE_AUTO_POSITION=1; \
                 START REPLICA",
            ),
            Verdict::NoGtids => run(
                "STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID=slave_pos; START SLAVE",
                "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION=1; START REPLICA, with gtid_mode=ON on \
                 both servers",
            ),
            Verdict::OtherPrimary { .. } => {
                Some("point it at that primary, or re-pin the jobs when the primary was replaced".to_owned())
            }
            Verdict::Diverged(_) | Verdict::Broken(_) => rebuild(),
            Verdict::Cloned(_) => Some("it needs a server_id and server_uuid of its own".to_owned()),
            Verdict::Refused { .. } => Some(
                "give the account its password and the right REPLICATION SLAVE on the primary, and name both to the \
                 replica"
                    .to_owned(),
            ),
            Verdict::NoRoom(_) => Some("make room on its disk; it goes on by itself".to_owned()),
            Verdict::Stopped(_) => run("START SLAVE", "START REPLICA"),
            Verdict::Writable => run("SET GLOBAL read_only=ON", "SET PERSIST super_read_only=ON"),
            Verdict::SkipsErrors(_) => Some("take the setting out and build it anew".to_owned()),
            Verdict::Delayed(_) => run(
                "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=0; START SLAVE",
                "STOP REPLICA SQL_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_DELAY=0; START REPLICA SQL_THREAD",
            ),
            Verdict::Filtered { filter, .. } => {
                Some(format!("take {filter} out of the server's configuration, and build it anew"))
            }
            Verdict::MissingTables(_) => {
                Some("create them on the primary, or correct `tables` in plugin.toml".to_owned())
            }
            Verdict::Away(Absence::Strange(_))
            | Verdict::Rebuilding(_)
            | Verdict::Connecting { .. }
            | Verdict::Behind { .. }
            | Verdict::Current { .. } => None,
        }
    }
}

fn absent(absence: &Absence) -> String {
    match absence {
        Absence::Unreachable(why) => format!("the replica's server cannot be reached ({why})"),
        Absence::Silent(time, what) => {
            format!("the replica's server is silent: it was asked for {what} and said nothing for {} s", time.as_secs())
        }
        Absence::Credentials(why) => format!("the replica's server refuses the worker's account ({why})"),
        Absence::MayNotLook(account) => format!("the account {account} may not see how replication is doing"),
        Absence::Unsupported(version) => format!("the replica's server is {version}, which is too old"),
        Absence::Strange(why) => format!("the replica's server cannot be understood ({why})"),
    }
}

fn behind(by: Option<Duration>, missing: &Gtids) -> String {
    let mut words = match by {
        Some(by) => format!("the replica is {} s behind its primary", by.as_secs()),
        None => "how far the replica is behind its primary is not known yet".to_owned(),
    };
    if !missing.is_empty() {
        let _ = write!(words, ", with {} still to apply", short(&missing.to_string()));
    }
    words
}

fn thread(which: Which) -> &'static str {
    match which {
        Which::Receiver => "the replica's IO thread, which fetches changes,",
        Which::Applier => "the replica's SQL thread, which applies changes,",
    }
}

fn said(stop: &Stop) -> String {
    format!("error {}: {}", stop.errno, stop.error)
}

/// A list of any length, short.
fn short(list: &str) -> String {
    match list.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &list[..end]),
        None => list.to_owned(),
    }
}
