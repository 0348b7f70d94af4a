//! A rebuild is killed at each of its steps, and the next one makes it whole.
#![allow(clippy::disallowed_methods, reason = "starts the process that dies")]

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use nightshift_replica::rebuild::{Step, under_way};

use nightshift_testbed::database::Make;

use crate::own::site::{Site, ask, on_each};

/// Builds in a process that dies at a step.
fn die_at(site: &Site, step: &str) -> Result<()> {
    let file = site.folder.path().join("replication.json");
    std::fs::write(&file, serde_json::to_vec(&site.replication())?)?;
    let me = std::env::current_exe()?;
    let rebuilder = me.parent().and_then(Path::parent).context("a target folder")?.join("examples/rebuilder");
    let mut command = Command::new(rebuilder);
    command.arg(site.place().root()).arg(&site.programs.server).arg(file).arg(step);
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    anyhow::ensure!(status.code().is_none(), "it did not die at {step}: {status}");
    Ok(())
}

#[test]
fn a_rebuild_that_is_killed_at_any_step_leaves_nothing_that_is_taken_for_data_and_is_made_whole() -> Result<()> {
    on_each(async |site: Site| {
        let steps = Step::ALL.map(Step::name);
        for step in steps.iter().chain(["filling"].iter()) {
            die_at(&site, step)?;
            let server = site.server()?;
            match *step {
                // It was whole, and nobody had it follow yet.
                "done" => {
                    server.follow().await?;
                    assert!(server.copied().is_some());
                }
                _ => {
                    assert!(server.copied().is_none() && under_way(server.place()).is_some(), "killed at {step}");
                    server.follow().await.expect_err("these are no data");
                }
            }
            // On MySQL, where this takes longest, the next one to be killed shows that it goes on.
            if site.make() == Make::MariaDb || *step == "filling" {
                site.build().await?;
                let people: Vec<u64> = ask(&server, "SELECT COUNT(*) FROM company.people").await?;
                assert_eq!(people, [3], "after it was killed at {step}");
            }
        }
        Ok(())
    })
}
