//! `reseed_*`: building a worker's replica anew with 200 MB of the company's data.
//!
//! `reseed_clone_s` is MySQL's, by CLONE: from asking the primary to a server that follows it and answers plugins.
//! `reseed_dump_ratio` is the same by a streamed dump, as a multiple of what a person would type: the dump program piped into
//! the client, into a server that is there already. On MariaDB, and on MySQL where there is no MariaDB.
//!
//! Beside both: that pipe.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use nightshift_replica::make;
use nightshift_replica::rebuild::{STALL, Unwatched, Way, rebuild};
use nightshift_replica::server::{self, MEMORY_MIB, OwnServer, Place, Programs, USUAL_FOLDERS};
use nightshift_testbed::database::{COPIER, COPIER_PASSWORD, Company, Founding, Make, Server, Wishes};
use nightshift_wire::Replication;
use tokio::runtime::Runtime;

use super::Group;
use super::figure::{Figure, Line, Target};
use super::measure::{Moment, cost};

pub(super) const CLONE: Group = Group { names: &[CLONE_S], run: clone };
pub(super) const DUMP: Group = Group { names: &[DUMP_RATIO], run: dump };

const CLONE_S: &str = "reseed_clone_s";
const DUMP_RATIO: &str = "reseed_dump_ratio";
const BESIDE: &str = "the plain dump-and-load pipe";
/// Rows of a kilobyte; doubled so often they are 200 MB.
const FIRST_ROWS: u32 = 1_600;
const DOUBLINGS: u32 = 7;

fn clone() -> Result<Vec<Line>> {
    let stage = Stage::set(Make::MySql)?;
    let pipe = stage.pipe()?;
    let (way, seconds) = stage.rebuild()?;
    ensure!(way == Way::Clone, "it was not cloned");
    Ok(vec![Line::Measured(Figure::new(CLONE_S, seconds, "s", Target::AtMost(15.0), BESIDE, pipe))])
}

fn dump() -> Result<Vec<Line>> {
    let make = if Make::MariaDb.program().is_some() { Make::MariaDb } else { Make::MySql };
    let stage = Stage::set(make)?;
    if make == Make::MySql {
        stage.on_the_primary(&["REVOKE BACKUP_ADMIN ON *.* FROM copier@'127.0.0.1'"])?;
    }
    let pipe = stage.pipe()?;
    let (way, seconds) = stage.rebuild()?;
    ensure!(way == Way::Dump, "it was not dumped");
    let figure = Figure::new(DUMP_RATIO, seconds / pipe, "x", Target::AtMost(2.0), BESIDE, 1.0);
    Ok(vec![Line::Measured(figure.noting(format!("{make}: {seconds:.1} s beside {pipe:.1} s")))])
}

/// A primary with 200 MB of data, and a place for a replica.
struct Stage {
    company: Company,
    programs: Programs,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set(make: Make) -> Result<Stage> {
        let company = Company::found(make, Founding::default())?;
        let company = company.with_context(|| format!("no {make} here: {}", make.advice()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let own = match make {
            Make::MariaDb => make::Make::MariaDb,
            Make::MySql => make::Make::MySql,
        };
        let folders = USUAL_FOLDERS.map(PathBuf::from);
        let programs = runtime.block_on(Programs::find(own, make.program().as_deref(), &folders))?;
        let stage = Stage { company, programs, runtime, folder: tempfile::tempdir()? };
        let mut statements = vec![
            "CREATE TABLE company.people (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL, note VARCHAR(1000) NOT NULL, KEY (name))"
                .to_owned(),
        ];
        let row = "(REPLACE(UUID(), '-', ''), REPEAT(REPLACE(UUID(), '-', ''), 30))";
        statements.push(format!(
            "INSERT INTO company.people (name, note) VALUES {}",
            vec![row; FIRST_ROWS as usize].join(", ")
        ));
        let double =
            "INSERT INTO company.people (name, note) SELECT REPLACE(UUID(), '-', ''), note FROM company.people";
        statements.extend(vec![double.to_owned(); DOUBLINGS as usize]);
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        stage.on_the_primary(&statements)?;
        Ok(stage)
    }

    fn on_the_primary(&self, statements: &[&str]) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = Conn::new(Opts::from_url(&self.company.primary.url("mysql"))?).await?;
            for statement in statements {
                connection.query_drop(*statement).await?;
            }
            Ok(connection.disconnect().await?)
        })
    }

    /// The seconds of the pipe that a person would type, into a server that is there already.
    fn pipe(&self) -> Result<f64> {
        let primary = &self.company.primary;
        let into = Server::start(primary.make(), Wishes::default())?.context("it was there just now")?;
        let dump = format!(
            "MYSQL_PWD={} {} --protocol=tcp --host=127.0.0.1 --port={} --user={COPIER} --single-transaction --databases company {}",
            in_shell(COPIER_PASSWORD),
            self.programs.dump.display(),
            primary.port(),
            if primary.make() == Make::MySql { "--set-gtid-purged=OFF --no-tablespaces" } else { "" },
        );
        let load = format!(
            "{} --protocol=tcp --host=127.0.0.1 --port={} --user=nightshift",
            self.programs.client.display(),
            into.port()
        );
        let pipe = format!("{dump} | {load}");
        Ok(cost("sh", &[OsStr::new("-c"), OsStr::new(&pipe)])?.wall_ms / 1000.0)
    }

    /// Builds a replica; the way, and the seconds until it answers.
    fn rebuild(&self) -> Result<(Way, f64)> {
        let place = Place::new(self.folder.path().join("replica"));
        let server = OwnServer::new(place.clone(), self.programs.clone(), "worker", MEMORY_MIB)?;
        let from = Replication { heartbeat: None, ..self.company.replication() };
        let begun = Moment::now();
        let built = self.runtime.block_on(rebuild(&server, &from, "the benchmark", STALL, &Unwatched));
        let seconds = (Moment::now() - begun).as_secs_f64();
        let rows = built.is_ok().then(|| self.rows(&server));
        self.runtime.block_on(server::stop(&place, std::time::Duration::ZERO))?;
        let built = built?;
        let rows = rows.transpose()?.unwrap_or_default();
        ensure!(rows == u64::from(FIRST_ROWS << DOUBLINGS), "{rows} rows arrived");
        Ok((built.way, seconds))
    }

    fn rows(&self, server: &OwnServer) -> Result<u64> {
        self.runtime.block_on(async {
            let mut connection = server.connect().await?;
            let rows = connection.query_first("SELECT COUNT(*) FROM company.people").await?;
            connection.disconnect().await?;
            rows.context("a count")
        })
    }
}

/// A text as one word of a shell.
fn in_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
