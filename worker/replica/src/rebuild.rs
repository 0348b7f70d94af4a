//! Builds the worker's replica anew, from its primary or a replica of that which was named for it: thrown away and made again,
//! never mended.
//!
//! Whoever data come from is asked first, so that nothing is thrown away for one that cannot give. Then the steps of [`steps`], in their
//! order; for as long as the note of step one is on the disk, whatever is in the data folder is nobody's data. Where MySQL's
//! CLONE fails, a dump is tried at once. Whether a rebuild is due, and whether the grid lets this worker begin one, is
//! decided elsewhere.

mod clear_out;
mod clone;
mod donor;
mod dump;
mod position;
mod stand_in;
mod steps;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use nightshift_wire::{Replication, ReplicationTls};
use sha2::{Digest as _, Sha256};

pub use donor::{DonorError, DonorFacts, look};
pub use stand_in::NoStandIn;
use steps::way_from;
pub use steps::{Marker, Step, Unfit, Way, plan};

use crate::make::Make;
use crate::server::{Copied, ENDS_WITHIN, HowEnded, OwnServer, Place, ServerError};
use crate::sql::{fill, statements, text};
use crate::swap;

/// How long nothing may move before a rebuild is given up.
pub const STALL: Duration = Duration::from_secs(180);
/// A server that was filled has much to write when it ends.
const CLOSES_WITHIN: Duration = Duration::from_secs(300);

/// A rebuild came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The primary cannot be asked.
    #[error(transparent)]
    Donor(#[from] DonorError),
    /// Nothing can be built from it.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The worker's own server is out of order.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The note of it cannot be kept.
    #[error("noting a rebuild in {path}", path = .path.display())]
    Note {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program is missing.
    #[error("starting {program}", program = .program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The dump program failed.
    #[error("dumping the company's data with {program}: {said}", program = .program.display())]
    Dump {
        /// Which.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// The client failed.
    #[error("loading the dump with {program}: {said}", program = .program.display())]
    Load {
        /// Which.
        program: PathBuf,
        /// What the server said.
        said: String,
    },
    /// Between the two something broke.
    #[error("passing the dump on")]
    Stream(#[source] io::Error),
    /// Nothing moves.
    #[error("nothing came from the donor, or could be written here, for {within} s, after {copied} bytes", within = .within.as_secs())]
    Stalled {
        /// For so long.
        within: Duration,
        /// So much had come.
        copied: u64,
    },
    /// The dump is not whole.
    #[error("the dump ends in the middle")]
    CutOff,
    /// The dump does not say what it is of.
    #[error("the dump says no position: its account needs {NEEDED}")]
    NoPosition,
    /// CLONE failed.
    #[error("cloning the donor: {0}")]
    Clone(String),
    /// A statement failed.
    #[error("preparing the replica's server")]
    Sql(#[source] mysql_async::Error),
    /// What was filled is not known to be on the disk.
    #[error("the replica's server did not end in good order after it was filled")]
    NotClosed,
}

/// What an account must be allowed to for a dump with its position.
const NEEDED: &str = "REPLICATION SLAVE, REPLICATION CLIENT (MariaDB: BINLOG MONITOR), RELOAD (MySQL) ON *.*, and SELECT, \
                      SHOW VIEW, TRIGGER, EVENT on the schemas that are copied";

/// Hears how a rebuild gets on.
pub trait Watcher: Send + Sync {
    /// A step is done, and on the disk.
    fn at(&self, _step: Step) {}
    /// So many bytes have come.
    fn copied(&self, _bytes: u64) {}
    /// Who has to do something next for data to move.
    fn waits_for(&self, _side: Side) {}
}

/// The two ends that data move between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Whoever the data come from.
    Donor,
    /// The worker's own server, which takes them.
    Here,
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {}

/// A rebuild that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// How it went.
    pub way: Way,
    /// What is copied now.
    pub copied: Copied,
    /// The position it began at, as in [`nightshift_wire::DataPosition::gtid`].
    pub position: String,
}

/// The note of a rebuild that is not done; `None` when there is none.
pub fn under_way(place: &Place) -> Option<Marker> {
    match fs::read(place.marker()) {
        Ok(content) => Some(serde_json::from_slice(&content).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // There is one, whatever it says.
        Err(_) => Some(Marker::default()),
    }
}

/// Builds the replica anew, or begins again what was begun, and has it follow its primary.
///
/// # Errors
/// What went wrong; the note stays, and the next call begins again.
pub async fn rebuild(
    server: &OwnServer,
    from: &Replication,
    why: &str,
    stall: Duration,
    watcher: &dyn Watcher,
) -> Result<Rebuilt, RebuildError> {
    let before = under_way(server.place()).unwrap_or_else(|| Marker { why: why.to_owned(), ..Marker::default() });
    let mut marker = Marker { begun: before.begun + 1, ..before };
    loop {
        let primary = look(from).await?;
        check_primary(from, &primary)?;
        let (way, schemas) = plan(server.programs(), &primary, &from.schemas, &marker.failed)?;
        let (source, donor, way) = match &from.donor {
            None => (from.clone(), primary.clone(), way),
            Some(donor) => {
                let source = stand_in::way_to(donor, from);
                let facts = stand_in::look(from, &source, server.programs(), &schemas).await?;
                let way = way_from(server.programs().version, &facts, &marker.failed);
                (source, facts, way)
            }
        };
        check_room(server.place(), donor::look_at_size(&source, &schemas).await?)?;
        note(server.place(), &marker)?;
        watcher.at(Step::Begun);
        let address = donor::address(&source);
        tracing::info!("building the replica anew {} from {address}: {}", way.in_words(), marker.why);
        let (primary, source, donor) = (&primary, &source, &donor);
        let building = Building { server, from, primary, source, donor, schemas, stall, watcher };
        match building.run(way).await {
            Ok(rebuilt) => return Ok(rebuilt),
            Err(error) if way == Way::Clone && !matches!(error, RebuildError::Server(_)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cloning failed: a dump is tried instead");
                marker.failed.push((way, error.to_string()));
                note(server.place(), &marker)?;
                // The donor may be away by now, and no dump come to clear this up.
                leave_nothing(server).await;
            }
            Err(error) => {
                leave_nothing(server).await;
                return Err(error);
            }
        }
    }
}

/// Half of the data are nobody's, and may have filled the disk that others need, too.
async fn leave_nothing(server: &OwnServer) {
    let left = match server.stop(ENDS_WITHIN).await {
        Ok(_) => server.empty(),
        Err(error) => Err(error),
    };
    if let Err(error) = left {
        tracing::warn!(error = &error as &dyn std::error::Error, "removing a half-built replica");
    }
}

fn check_primary(from: &Replication, donor: &DonorFacts) -> Result<(), Unfit> {
    match &from.primary {
        Some(wanted) if *wanted != donor.primary => Err(Unfit::OtherPrimary {
            address: donor::address(from),
            found: donor.primary.clone(),
            wanted: wanted.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether so many bytes find room; a disk that says nothing has some.
fn check_room(place: &Place, bytes: u64) -> Result<(), RebuildError> {
    let free = place.free().unwrap_or(u64::MAX);
    Ok(steps::fits(bytes, free, clone::size_of(&place.data()))?)
}

fn note(place: &Place, marker: &Marker) -> Result<(), RebuildError> {
    let failed = |source| RebuildError::Note { path: place.marker(), source };
    let content = serde_json::to_vec_pretty(marker).map_err(|error| failed(error.into()))?;
    place.make().map_err(failed)?;
    swap::replace(&place.marker(), &content).map_err(failed)
}

/// One attempt.
struct Building<'a> {
    server: &'a OwnServer,
    /// The way to the primary, which it follows then.
    from: &'a Replication,
    primary: &'a DonorFacts,
    /// The way to whoever the data come from: the primary, or a replica of it.
    source: &'a Replication,
    donor: &'a DonorFacts,
    schemas: Vec<String>,
    stall: Duration,
    watcher: &'a dyn Watcher,
}

impl Building<'_> {
    async fn run(&self, way: Way) -> Result<Rebuilt, RebuildError> {
        let (server, place) = (self.server, self.server.place());
        server.stop(ENDS_WITHIN).await?;
        server.empty()?;
        self.watcher.at(Step::Emptied);
        self.write_authority()?;
        server.initialise().await?;
        self.watcher.at(Step::Made);
        server.build().await?;
        let position = self.fill(way).await?;
        self.watcher.at(Step::Filled);
        point(server, self.from, (way == Way::Dump).then_some(&position)).await?;
        self.watcher.at(Step::Pointed);
        if server.stop(CLOSES_WITHIN).await? != HowEnded::InGoodOrder {
            return Err(RebuildError::NotClosed);
        }
        let copied = Copied {
            primary: self.primary.primary.clone(),
            schemas: self.schemas.clone(),
            heartbeat: self.from.heartbeat.clone().filter(|_| self.donor.has_heartbeat),
        };
        let content = serde_json::to_vec_pretty(&copied).map_err(io::Error::from);
        content
            .and_then(|content| swap::replace(&place.copied(), &content))
            .map_err(server.failed("writing", place.copied()))?;
        self.watcher.at(Step::Closed);
        swap::remove(&place.marker()).map_err(|source| RebuildError::Note { path: place.marker(), source })?;
        self.watcher.at(Step::Done);
        server.follow().await?;
        start_copying(server).await?;
        Ok(Rebuilt { way, copied, position })
    }

    async fn fill(&self, way: Way) -> Result<String, RebuildError> {
        let named = self.from.heartbeat.as_deref().filter(|_| self.donor.has_heartbeat);
        let heartbeat = named.and_then(|table| table.split_once('.'));
        let heartbeat = heartbeat.filter(|(schema, _)| self.schemas.iter().all(|copied| copied != schema));
        let position = match way {
            Way::Clone => {
                let position = self.donor.position.clone();
                clone::fill(self.server, self.source, &position, self.stall, self.watcher).await?;
                position
            }
            Way::Dump => {
                let source = dump::Source { from: self.source, schemas: &self.schemas, heartbeat };
                dump::fill(self.server, &source, self.stall, self.watcher).await?
            }
        };
        clear_out::clear_out(self.server, &self.schemas, heartbeat).await?;
        Ok(position)
    }

    /// Whom the primary's certificate has to be signed by, in a file for the server and the programs.
    fn write_authority(&self) -> Result<(), RebuildError> {
        write_authority(self.server, self.from)
    }
}

fn write_authority(server: &OwnServer, from: &Replication) -> Result<(), RebuildError> {
    if let ReplicationTls::Verify { ca } = &from.tls {
        let path = server.place().authority();
        swap::replace(&path, ca.as_bytes()).map_err(server.failed("writing", path))?;
    }
    Ok(())
}

/// Tells a server where its data come from and, with a position, how far they are.
async fn point(server: &OwnServer, from: &Replication, position: Option<&String>) -> Result<(), RebuildError> {
    let make = server.programs().version.make;
    let authority = match &from.tls {
        ReplicationTls::Verify { .. } => text(&server.place().authority().to_string_lossy()),
        ReplicationTls::Off | ReplicationTls::Encrypt => "''".to_owned(),
    };
    let flag = |is_on: bool| if is_on { "1" } else { "0" };
    let places = [
        ("position", position.map_or_else(|| "@@GLOBAL.gtid_slave_pos".to_owned(), |position| text(position))),
        ("host", text(&from.host)),
        ("port", from.port.to_string()),
        ("user", text(&from.user)),
        ("password", text(&from.password)),
        ("ssl", flag(from.tls != ReplicationTls::Off).to_owned()),
        ("authority", authority),
        ("verify", flag(matches!(from.tls, ReplicationTls::Verify { .. })).to_owned()),
    ];
    let places: Vec<(&str, &str)> = places.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut file = String::new();
    match make {
        Make::MariaDb => file.push_str(include_str!("rebuild/mariadb/point.sql")),
        Make::MySql => {
            file.push_str(if position.is_some() { include_str!("rebuild/mysql/position.sql") } else { "" });
            file.push_str(include_str!("rebuild/mysql/point.sql"));
        }
    }
    let mut connection = server.connect().await?;
    for statement in statements(&fill(&file, &places)) {
        connection.query_drop(statement).await.map_err(RebuildError::Sql)?;
    }
    connection.disconnect().await.map_err(RebuildError::Sql)?;
    let pointed = server.place().pointed();
    swap::replace(&pointed, digest(from).as_bytes()).map_err(server.failed("writing", pointed))?;
    Ok(())
}

/// Has a server that follows copy its primary by another way than it was told before: another address, account or
/// authority. Whether there was another.
///
/// # Errors
/// When the primary does not answer there, is another than that of the data, or the server cannot be told.
pub async fn point_again(server: &OwnServer, from: &Replication) -> Result<bool, RebuildError> {
    let Some(copied) = server.copied() else { return Ok(false) };
    if fs::read_to_string(server.place().pointed()).is_ok_and(|pointed| pointed == digest(from)) {
        return Ok(false);
    }
    // First who is there: a stranger's changes are none to this data.
    let donor = look(from).await?;
    check_primary(&Replication { primary: Some(copied.primary), ..from.clone() }, &donor)?;
    write_authority(server, from)?;
    point(server, from, None).await?;
    start_copying(server).await?;
    Ok(true)
}

/// The way to a primary, as a digest: nobody reads a password out of it.
fn digest(from: &Replication) -> String {
    let way = (&from.host, from.port, &from.user, &from.password, &from.tls);
    let text = serde_json::to_string(&way).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has a server that follows copy its primary.
async fn start_copying(server: &OwnServer) -> Result<(), RebuildError> {
    let file = match server.programs().version.make {
        Make::MariaDb => include_str!("rebuild/mariadb/start.sql"),
        Make::MySql => include_str!("rebuild/mysql/start.sql"),
    };
    let mut connection = server.connect().await?;
    for statement in statements(file) {
        connection.query_drop(statement).await.map_err(RebuildError::Sql)?;
    }
    connection.disconnect().await.map_err(RebuildError::Sql)
}
