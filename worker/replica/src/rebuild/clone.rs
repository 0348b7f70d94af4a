//! Fills a MySQL server by CLONE: the donor's files, whole, and the donor's accounts with them.
//!
//! 1. The server replaces what it has by what the donor has, and ends: nobody starts it again but this.
//! 2. Started again it finishes the work, and the keeper is put back by what it does before it answers.
//! 3. Only when it has everything that the donor had when cloning began, it was cloned.
//!
//! A clone under way shows in the growth of the data folder; one that does not grow for the stall time is given up.

use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use nightshift_kin::Stopwatch;
use nightshift_wire::{Replication, ReplicationTls};

use super::{RebuildError, Side, Watcher};
use crate::server::{OwnServer, wait};
use crate::sql::{fill as filled, statements, text};

/// How long the server may take to end once it cloned.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks how much there is.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Fills the server from a donor that has `position`.
pub(super) async fn fill(
    server: &OwnServer,
    from: &Replication,
    position: &str,
    stall: Duration,
    watcher: &dyn Watcher,
) -> Result<(), RebuildError> {
    let mut connection = server.connect().await?;
    let port = from.port.to_string();
    let authority = match &from.tls {
        ReplicationTls::Verify { .. } => text(&server.place().authority().to_string_lossy()),
        ReplicationTls::Off | ReplicationTls::Encrypt => "''".to_owned(),
    };
    let ssl = match &from.tls {
        ReplicationTls::Off => "REQUIRE NO SSL",
        ReplicationTls::Encrypt | ReplicationTls::Verify { .. } => "REQUIRE SSL",
    };
    let places = [
        ("donor", text(&format!("{}:{port}", from.host))),
        ("authority", authority),
        ("user", text(&from.user)),
        ("host", text(&from.host)),
        ("port", port),
        ("password", text(&from.password)),
        ("ssl", ssl.to_owned()),
    ];
    let places: Vec<(&str, &str)> = places.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let cloning = async {
        for statement in statements(&filled(include_str!("mysql/clone.sql"), &places)) {
            connection.query_drop(statement).await?;
        }
        Ok::<(), mysql_async::Error>(())
    };
    let data = server.place().data();
    let outcome = tokio::select! {
        outcome = cloning => outcome,
        copied = stalls(&data, stall, watcher) => {
            return Err(RebuildError::Stalled { within: stall, copied });
        }
    };
    let ended = wait::until(ENDS_WITHIN, async || server.pid().is_none().then_some(()));
    match outcome {
        // It ended, and says that nobody starts it again: that is done next.
        Err(mysql_async::Error::Server(error)) if error.code == NOBODY_STARTS_IT => {}
        Err(mysql_async::Error::Server(error)) => {
            return Err(RebuildError::Clone(format!("{} ({})", error.message, error.code)));
        }
        // It ended before it could say anything.
        Ok(()) | Err(_) => {}
    }
    if ended.await.is_none() {
        return Err(RebuildError::Clone("the server did not end after it".to_owned()));
    }
    server.build().await?;
    check(server, position).await
}

/// `ER_RESTART_SERVER_FAILED`.
const NOBODY_STARTS_IT: u16 = 3707;

async fn check(server: &OwnServer, position: &str) -> Result<(), RebuildError> {
    let mut connection = server.connect().await?;
    let has = connection.exec_first::<bool, _, _>(include_str!("mysql/has_position.sql"), (position,)).await;
    match has.map_err(RebuildError::Sql)? {
        Some(true) => Ok(()),
        _ => Err(RebuildError::Clone("the server came back without the donor's data".to_owned())),
    }
}

/// Comes back, with how much there is, once a folder has not changed its size for the stall time.
async fn stalls(folder: &Path, stall: Duration, watcher: &dyn Watcher) -> u64 {
    let (mut size, mut changed) = (0, Stopwatch::start());
    watcher.waits_for(Side::Donor);
    loop {
        let now = size_of(folder);
        if now != size {
            (size, changed) = (now, Stopwatch::start());
            watcher.copied(size);
        }
        if changed.elapsed() > stall {
            return size;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// The bytes in a folder. What goes away meanwhile is not counted.
pub(super) fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
