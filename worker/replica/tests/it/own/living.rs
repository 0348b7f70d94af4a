//! The server lives on without whoever started it, is found again, and is ended in time; a copy of it becomes another.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nightshift_replica::server::{HowEnded, MEMORY_MIB, OwnServer, Place};
use nightshift_replica::{rebuild, server_id};
use nightshift_testbed::wait::{self, SOON};
use rustix::process::{Pid, Signal, kill_process};

use crate::own::site::{Site, ask, on_each};

#[test]
fn a_server_is_found_again_and_started_anew_only_when_it_would_be_another() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let pid = site.server()?.pid().context("it runs")?;
        site.server()?.follow().await?;
        assert_eq!(site.server()?.pid(), Some(pid), "the next cycle finds it as it is");
        let larger = OwnServer::new(site.place(), site.programs.clone(), "worker", MEMORY_MIB + 32)?;
        larger.follow().await?;
        assert_ne!(larger.pid().context("it runs")?, pid);
        Ok(())
    })
}

#[test]
fn a_server_that_was_killed_comes_up_with_its_data_and_one_that_hangs_is_killed() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let server = site.server()?;
        let pid = |server: &OwnServer| server.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("it runs");
        kill_process(pid(&server)?, Signal::KILL)?;
        wait::until("the server to end", SOON, || server.pid().is_none().then_some(()))?;
        // MySQL leaves a lock beside its socket. After a start of the machine its number is that of any other process.
        std::fs::write(server.place().root().join("socket.lock"), format!("{}\n", std::process::id()))?;
        server.follow().await?;
        let people: Vec<u64> = ask(&server, "SELECT COUNT(*) FROM company.people").await?;
        assert_eq!(people, [3]);
        kill_process(pid(&server)?, Signal::STOP)?;
        assert_eq!(server.stop(Duration::from_millis(300)).await?, HowEnded::Killed);
        server.follow().await?;
        assert_eq!(server.stop(Duration::from_secs(60)).await?, HowEnded::InGoodOrder);
        assert_eq!(server.stop(Duration::from_secs(60)).await?, HowEnded::NoneRan);
        Ok(())
    })
}

#[test]
fn the_copy_of_a_worker_gets_a_server_that_nobody_takes_for_the_first() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let first = site.server()?;
        let identity = "SELECT @@GLOBAL.server_id";
        let uuid = "SELECT CAST(@@GLOBAL.server_uuid AS CHAR)";
        let is_mysql = site.make() == nightshift_testbed::database::Make::MySql;
        let ids: Vec<u32> = ask(&first, identity).await?;
        assert_eq!(ids, [server_id("worker")]);
        let uuids: Vec<String> = if is_mysql { ask(&first, uuid).await? } else { vec![] };
        first.stop(Duration::from_secs(60)).await?;
        let copy = Place::new(site.folder.path().join("copy"));
        copy_folder(site.place().root(), copy.root())?;
        let second = OwnServer::new(copy.clone(), site.programs.clone(), "copy", MEMORY_MIB)?;
        second.follow().await?;
        let ids: Vec<u32> = ask(&second, identity).await?;
        assert_eq!(ids, [server_id("copy")]);
        let of_copy: Vec<String> = if is_mysql { ask(&second, uuid).await? } else { vec![] };
        assert!(uuids != of_copy || !is_mysql, "{uuids:?}");
        let passwords = [site.place(), copy].map(|place| std::fs::read_to_string(place.reader_password()));
        assert_ne!(passwords[0].as_ref().ok(), passwords[1].as_ref().ok());
        assert!(rebuild::under_way(second.place()).is_none());
        second.stop(Duration::ZERO).await?;
        Ok(())
    })
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
