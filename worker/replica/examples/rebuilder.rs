//! For the tests: builds a replica and dies at a step of it, as in a power cut of everything but the servers:
//! `rebuilder PLACE PROGRAM REPLICATION.json STEP`. The step `filling` is the first byte that comes from the primary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nightshift_replica::make::Make;
use nightshift_replica::rebuild::{Step, Watcher, rebuild};
use nightshift_replica::server::{MEMORY_MIB, OwnServer, Place, Programs, USUAL_FOLDERS};

struct Dies(String);

impl Watcher for Dies {
    fn at(&self, step: Step) {
        if step.name() == self.0 {
            std::process::abort();
        }
    }

    fn copied(&self, bytes: u64) {
        if self.0 == "filling" && bytes > 0 {
            std::process::abort();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [place, program, replication, step] = arguments.as_slice() else { return ExitCode::from(2) };
    let Some(from) = std::fs::read(replication).ok().and_then(|text| serde_json::from_slice(&text).ok()) else {
        return ExitCode::from(2);
    };
    let folders = USUAL_FOLDERS.map(PathBuf::from);
    let make = if program.ends_with("mysqld") { Make::MySql } else { Make::MariaDb };
    let Ok(programs) = Programs::find(make, Some(Path::new(program)), &folders).await else { return ExitCode::from(3) };
    let Ok(server) = OwnServer::new(Place::new(place), programs, "worker", MEMORY_MIB) else {
        return ExitCode::from(3);
    };
    let stall = Duration::from_secs(60);
    match rebuild(&server, &from, "a test", stall, &Dies(step.clone())).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(4),
    }
}
