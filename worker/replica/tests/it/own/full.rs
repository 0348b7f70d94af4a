//! A disk that is full in the middle of a rebuild.

use std::io::Write as _;

use anyhow::Result;
use nightshift_replica::rebuild::{Unwatched, rebuild, under_way};
use nightshift_replica::server::{MEMORY_MIB, OwnServer, Place, stop};
use nightshift_testbed::database::Make;

use crate::own::site::{STALL, Site};
use crate::tmpfs::Tmpfs;

/// MiB of the disk.
const DISK: usize = 512;
/// MiB that a MariaDB takes without any data, about.
const EMPTY: usize = 150;

#[tokio::test]
async fn a_disk_that_is_full_in_the_middle_leaves_no_data_and_gives_its_room_back() -> Result<()> {
    let Some(site) = Site::set(Make::MariaDb).await? else { return Ok(()) };
    let Some(disk) = Tmpfs::of((DISK as u64) << 10) else {
        writeln!(std::io::stderr(), "\nNOT RUN: a rebuild on a full disk: only root can mount a small one")?;
        return Ok(());
    };
    let rows = "INSERT INTO people SELECT seq, REPEAT('x', 90) FROM seq_2000_to_900000";
    site.write(rows).await?;
    let place = Place::new(disk.path().join("replica"));
    let server = OwnServer::new(place.clone(), site.programs.clone(), "worker", MEMORY_MIB)?;
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![1; (DISK - EMPTY) << 20])?;
    let before = place.free();
    let from = site.replication();
    let error = rebuild(&server, &from, "a test", STALL, &Unwatched).await.expect_err("there is no room");
    assert!(server.copied().is_none() && under_way(&place).is_some(), "{error}");
    assert!(server.pid().is_none());
    let taken = before.zip(place.free()).map(|(before, now)| before.saturating_sub(now) >> 20);
    assert!(taken.is_some_and(|mib| mib < 4), "{taken:?} MiB are gone");
    std::fs::remove_file(filler)?;
    rebuild(&server, &from, "a test", STALL, &Unwatched).await?;
    assert!(server.copied().is_some());
    stop(&place, std::time::Duration::ZERO).await?;
    Ok(())
}
