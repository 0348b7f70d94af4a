//! Fills the server with a dump that streams from the donor: the make's own dump program, piped into its own client.
//!
//! 1. The heartbeat's table, where it is in a schema that is not copied as a whole.
//! 2. The schemas, as they are at one position of the donor, without locking its tables for longer than it takes to note
//!    that. The position is read from what streams by ([`super::position`]) and is good for something only once both
//!    programs ended well.
//!
//! Whoever takes or gives nothing for the stall time is ended, with the other.

use std::io;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use nightshift_wire::{Replication, ReplicationTls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use super::position::{Found, Scanner};
use super::{NEEDED, RebuildError, Side, Watcher};
use crate::make::Make;
use crate::process::{self, option};
use crate::server::{KEEPER, OwnServer, Programs, is_script};
use crate::sql::{fill as fill_in, name};

const PIECE: usize = 256 << 10;
/// So much of what a program complains of is kept.
const MOST_WORDS: u64 = 16 << 10;

/// What a dump is made of.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) from: &'a Replication,
    pub(super) schemas: &'a [String],
    /// The heartbeat's schema and table, where they have to be fetched for themselves.
    pub(super) heartbeat: Option<(&'a str, &'a str)>,
}

/// Fills the server; the position that the data are at.
pub(super) async fn fill(
    server: &OwnServer,
    source: &Source<'_>,
    stall: Duration,
    watcher: &dyn Watcher,
) -> Result<String, RebuildError> {
    let programs = server.programs();
    let keeper = &server.keeper_password()?;
    let mut pipe = Pipe { server, keeper, password: &source.from.password, stall, watcher, copied: 0 };
    if let Some((schema, table)) = source.heartbeat {
        let mut connection = server.connect().await?;
        let create = fill_in(include_str!("create_schema.sql"), &[("schema", &name(schema))]);
        connection.query_drop(create).await.map_err(RebuildError::Sql)?;
        connection.disconnect().await.map_err(RebuildError::Sql)?;
        let found = pipe.run(&heartbeat_arguments(server, source.from, schema, table), Some(schema)).await?;
        if found == Found::CutOff {
            return Err(RebuildError::CutOff);
        }
    }
    match pipe.run(&arguments(programs, server, source), None).await? {
        Found::Position(position) => Ok(position),
        Found::CutOff => Err(RebuildError::CutOff),
        Found::Nothing => Err(RebuildError::NoPosition),
    }
}

/// How the dump program gets to the donor. Its password is in the environment.
fn connection(programs: &Programs, server: &OwnServer, from: &Replication) -> Vec<String> {
    let mut arguments = Vec::new();
    if !is_script(&programs.dump) {
        arguments.push("--no-defaults".to_owned());
    }
    arguments.extend([
        "--protocol=tcp".to_owned(),
        format!("--host={}", from.host),
        format!("--port={}", from.port),
        format!("--user={}", from.user),
        "--max-allowed-packet=1G".to_owned(),
        "--default-character-set=utf8mb4".to_owned(),
    ]);
    let authority = option("ssl-ca", &server.place().authority());
    match (&from.tls, programs.version.make) {
        (ReplicationTls::Off, Make::MariaDb) => arguments.push("--skip-ssl".to_owned()),
        (ReplicationTls::Off, Make::MySql) => {
            arguments.extend(["--ssl-mode=DISABLED", "--get-server-public-key"].map(str::to_owned));
        }
        (ReplicationTls::Encrypt, Make::MariaDb) => {
            arguments.extend(["--ssl", "--skip-ssl-verify-server-cert"].map(str::to_owned));
        }
        (ReplicationTls::Encrypt, Make::MySql) => arguments.push("--ssl-mode=REQUIRED".to_owned()),
        (ReplicationTls::Verify { .. }, Make::MariaDb) => {
            arguments.extend(["--ssl".to_owned(), "--ssl-verify-server-cert".to_owned(), authority]);
        }
        (ReplicationTls::Verify { .. }, Make::MySql) => {
            arguments.extend(["--ssl-mode=VERIFY_IDENTITY".to_owned(), authority]);
        }
    }
    arguments
}

/// What the dump program is told for the schemas.
fn arguments(programs: &Programs, server: &OwnServer, source: &Source<'_>) -> Vec<String> {
    let mut arguments = connection(programs, server, source.from);
    arguments.extend(
        ["--single-transaction", "--quick", "--hex-blob", "--routines", "--events", "--triggers"].map(str::to_owned),
    );
    arguments.extend(match programs.version.make {
        Make::MariaDb => vec!["--master-data=2".to_owned(), "--gtid".to_owned()],
        Make::MySql => ["--source-data=2", "--set-gtid-purged=COMMENTED", "--no-tablespaces"].map(str::to_owned).into(),
    });
    arguments.push("--databases".to_owned());
    arguments.extend(source.schemas.iter().cloned());
    arguments
}

/// What the dump program is told for the heartbeat's table.
fn heartbeat_arguments(server: &OwnServer, from: &Replication, schema: &str, table: &str) -> Vec<String> {
    let programs = server.programs();
    let mut arguments = connection(programs, server, from);
    arguments.extend(["--single-transaction", "--skip-triggers"].map(str::to_owned));
    if programs.version.make == Make::MySql {
        arguments.extend(["--set-gtid-purged=OFF", "--no-tablespaces"].map(str::to_owned));
    }
    arguments.extend([schema.to_owned(), table.to_owned()]);
    arguments
}

/// A dump program and a client, and what is between them.
struct Pipe<'a> {
    server: &'a OwnServer,
    keeper: &'a str,
    password: &'a str,
    stall: Duration,
    watcher: &'a dyn Watcher,
    /// Bytes that went through.
    copied: u64,
}

impl Pipe<'_> {
    /// Runs both to their ends.
    async fn run(&mut self, arguments: &[String], schema: Option<&str>) -> Result<Found, RebuildError> {
        let programs = self.server.programs();
        let spawning = |program: &std::path::Path| {
            let program = program.to_owned();
            move |source| RebuildError::Program { program, source }
        };
        let mut client = Vec::new();
        if !is_script(&programs.client) {
            client.push("--no-defaults".to_owned());
        }
        client.extend([option("socket", &self.server.place().socket()), format!("--user={KEEPER}")]);
        client.extend(["--batch", "--max-allowed-packet=1G", "--default-character-set=utf8mb4"].map(str::to_owned));
        client.extend(schema.map(ToOwned::to_owned));
        let mut reader =
            process::start_reader(&programs.client, &client, self.keeper).map_err(spawning(&programs.client))?;
        let mut writer =
            process::start_writer(&programs.dump, arguments, self.password).map_err(spawning(&programs.dump))?;
        let (writer_said, reader_said) = (words(writer.stderr.take()), words(reader.stderr.take()));
        let mut scanner = Scanner::new(programs.version.make);
        let pumped = self.pump(&mut writer, &mut reader, &mut scanner).await;
        // Whoever is still there after a stall is killed with its handle; the other then ends by itself.
        let pumped_well = pumped.is_ok();
        let ended = async |child: &mut Child| match timeout(self.stall, child.wait()).await {
            Ok(Ok(status)) => status.success(),
            _ => false,
        };
        if !pumped_well {
            let _ = (writer.start_kill(), reader.start_kill());
        }
        let (wrote, read) = (ended(&mut writer).await, ended(&mut reader).await);
        drop((writer, reader));
        let (writer_said, reader_said) = (said(writer_said).await, said(reader_said).await);
        // The client's complaint comes first: a dump program whose pipe broke has nothing to say.
        if !reader_said.is_empty() && !read {
            return Err(RebuildError::Load { program: programs.client.clone(), said: reader_said });
        }
        if !wrote && pumped_well {
            let mut said = writer_said;
            if said.contains("denied") {
                said.push_str("; its account needs ");
                said.push_str(NEEDED);
            }
            return Err(RebuildError::Dump { program: programs.dump.clone(), said });
        }
        pumped?;
        if !read {
            return Err(RebuildError::Load { program: programs.client.clone(), said: reader_said });
        }
        Ok(scanner.end())
    }

    /// Passes on what the dump program writes, until it writes no more.
    async fn pump(
        &mut self,
        writer: &mut Child,
        reader: &mut Child,
        scanner: &mut Scanner,
    ) -> Result<(), RebuildError> {
        let (Some(mut from), Some(mut to)) = (writer.stdout.take(), reader.stdin.take()) else {
            return Err(RebuildError::Stream(io::Error::other("a program was started without its pipe")));
        };
        let within = self.stall;
        let mut piece = vec![0; PIECE];
        loop {
            let copied = self.copied;
            let stalled = |_| RebuildError::Stalled { within, copied };
            self.watcher.waits_for(Side::Donor);
            let length = timeout(within, from.read(&mut piece)).await.map_err(stalled)?;
            let length = length.map_err(RebuildError::Stream)?;
            if length == 0 {
                break;
            }
            scanner.feed(&piece[..length]);
            self.watcher.waits_for(Side::Here);
            let written = timeout(within, to.write_all(&piece[..length])).await.map_err(stalled)?;
            written.map_err(RebuildError::Stream)?;
            self.copied += u64::try_from(length).unwrap_or(0);
            self.watcher.copied(self.copied);
        }
        // The client still works on what it got last.
        self.watcher.waits_for(Side::Here);
        Ok(())
    }
}

/// Collects what a program complains of.
fn words(stderr: Option<ChildStderr>) -> tokio::task::JoinHandle<String> {
    tokio::spawn(async move {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let mut stderr = stderr.take(MOST_WORDS);
            let _ = stderr.read_to_end(&mut said).await;
            // The rest is read too: a full pipe would hold the program up.
            let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
        }
        let text = String::from_utf8_lossy(&said).into_owned();
        let lines = text.lines().filter(|line| !line.contains("[Warning]") && !line.starts_with("Warning:"));
        lines.map(str::trim).collect::<Vec<_>>().join(" / ")
    })
}

async fn said(words: tokio::task::JoinHandle<String>) -> String {
    words.await.unwrap_or_default()
}
