//! An open plugin on the replica: its connection, its query, and the way of a block through them.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Statement, Value};
use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::cell::cell;
use super::failure::Failure;
use super::reach::{self, of_opening};
use super::session::{Session, kill};
use super::stop::Stop;
use super::{script, statements};
use crate::block::{self, Answers, LARGEST_ANSWER};
use crate::field::TypedRecord;
use crate::isolate::Fault;
use crate::outcome::Outcomes;
use crate::replica::Replica;
use crate::sql::answer::AnswerShape;
use crate::sql::{OPEN_LIMIT, RunFault, read};
use crate::{Block, BlockError, OpenError, Plugin, Results, Stopper};

const OPEN_FILE: &str = "open.mysql.sql";
const QUERY_FILE: &str = "query.mysql.sql";
/// How much longer than the server a run is waited for, before it is killed through another connection.
const GRACE: Duration = Duration::from_secs(1);
/// How long the server may take to end what it was told to end.
const DYING: Duration = Duration::from_secs(5);

/// A plugin of the `sql` runtime on the replica.
pub(crate) struct ReplicaPlugin {
    runtime: Runtime,
    replica: Replica,
    manifest: Arc<PluginManifest>,
    files: Files,
    /// `None` while the replica is away, until the next block.
    open: Option<Open>,
    stop: Arc<Stop>,
}

/// What the plugin's author wrote.
struct Files {
    script: Option<String>,
    query: String,
}

/// A connection on which everything is prepared.
struct Open {
    session: Session,
    query: Statement,
    shape: AnswerShape,
}

impl ReplicaPlugin {
    /// Opens the plugin in `folder` on `replica`.
    pub(crate) fn open(folder: &Path, manifest: &PluginManifest, replica: Replica) -> Result<ReplicaPlugin, OpenError> {
        let script = match folder.join(OPEN_FILE).exists() {
            true => Some(read(folder, OPEN_FILE, &name_of(manifest, OPEN_FILE))?),
            false => None,
        };
        let query = read(folder, QUERY_FILE, &name_of(manifest, QUERY_FILE))?;
        let files = Files { script, query };
        let runtime = reach::waiting(manifest)?;
        // A replica that is away now may be there at the first block.
        let open = match runtime.block_on(open(&replica, manifest, &files)) {
            Err(OpenError::DataAway { .. }) => None,
            opened => Some(opened?),
        };
        let stop = Arc::new(Stop::new(replica.clone()));
        Ok(ReplicaPlugin { runtime, replica, manifest: Arc::new(manifest.clone()), files, open, stop })
    }

    /// One run of the query, on a new connection when there is none or it turns out to be lost.
    fn run(&mut self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Outcomes, Fault> {
        let plugin = || self.manifest.name.clone();
        let block =
            statements::block(records).map_err(|error| Fault::OfRun(format!("it cannot be written: {error}")))?;
        let mut fresh = false;
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    fresh = true;
                    self.runtime.block_on(open(&self.replica, &self.manifest, &self.files)).map_err(of_opening)?
                }
            };
            if let Err(why) = open.session.takes(&block) {
                self.open = Some(open);
                return Err(Fault::OfRun(why));
            }
            let work = Work { replica: &self.replica, manifest: &self.manifest, stop: &self.stop, time };
            let (done, usable) = self.runtime.block_on(work.ask(&mut open, records, &block, room));
            if usable {
                self.open = Some(open);
            }
            let fault = match done {
                Ok(outcomes) => return Ok(outcomes),
                Err(fault) => fault,
            };
            return Err(match fault {
                RunFault::Query(Failure::Away(_)) if !fresh && !self.stop.is_on() => continue,
                RunFault::Query(Failure::Away(reason)) => {
                    let replica = self.replica.to_string();
                    Fault::OfBlock(BlockError::DataAway { plugin: plugin(), replica, reason })
                }
                RunFault::Query(Failure::TooSlow) => {
                    Fault::OfRun(format!("the query was not done after {} s", time.as_secs_f32()))
                }
                RunFault::Query(failure) => Fault::OfRun(format!("the query failed: {}", failure.in_words())),
                RunFault::TooMuch => Fault::OfBlock(BlockError::TooMuch { plugin: plugin(), most: LARGEST_ANSWER }),
                RunFault::ForeignRow(found) => Fault::OfBlock(BlockError::ForeignRow { plugin: plugin(), found }),
            });
        }
    }
}

impl Plugin for ReplicaPlugin {
    fn stopper(&self) -> Stopper {
        let stop = Arc::clone(&self.stop);
        Arc::new(move || stop.now())
    }

    fn work(&mut self, block: Block<'_>) -> Result<Results, BlockError> {
        self.stop.forget();
        let manifest = Arc::clone(&self.manifest);
        block::process(&manifest, block, |records, time, room| self.run(records, time, room))
    }
}

/// One run under watch.
struct Work<'a> {
    replica: &'a Replica,
    manifest: &'a PluginManifest,
    stop: &'a Stop,
    time: Duration,
}

impl Work<'_> {
    /// The outcomes of the run, and whether the connection can be used again.
    async fn ask(
        &self,
        open: &mut Open,
        records: &[TypedRecord<'_>],
        block: &[u8],
        room: &mut usize,
    ) -> (Result<Outcomes, RunFault<Failure>>, bool) {
        if let Err(failure) = open.session.limit_time(self.time).await {
            return (Err(RunFault::Query(failure)), false);
        }
        let id = open.session.id();
        self.stop.watch(id);
        let done = self.watched(open, records, block, room, id).await;
        self.stop.watch(0);
        done
    }

    async fn watched(
        &self,
        Open { session, query, shape }: &mut Open,
        records: &[TypedRecord<'_>],
        block: &[u8],
        room: &mut usize,
        id: u32,
    ) -> (Result<Outcomes, RunFault<Failure>>, bool) {
        let mut answers = Answers::to(records, 0);
        let mut size = 0;
        let most = *room;
        let asked = {
            let mut asking = pin!(session.ask(query, vec![Value::Bytes(block.to_vec())], |row| {
                let read = |index| Ok::<_, std::convert::Infallible>(cell(row, index));
                let Ok(found) = shape.record_id(read);
                let record = found.map_err(RunFault::ForeignRow)?;
                let asked = answers.asked(record).ok_or_else(|| RunFault::ForeignRow(record.to_string()))?;
                let Ok(more) = answers.note(asked, |text| shape.outcome(text, &self.manifest.output, read));
                size += more;
                if size > most {
                    return Err(RunFault::TooMuch);
                }
                Ok(())
            }));
            let ended = tokio::select! {
                done = &mut asking => Ok(done),
                () = sleep(self.time + GRACE) => Err(Failure::TooSlow),
                () = self.stop.on() => Err(Failure::Away("the work was broken off".to_owned())),
            };
            match ended {
                Ok(done) => done,
                Err(why) => {
                    let killed = kill(self.replica, id).await;
                    let quiet = timeout(DYING, &mut asking).await.is_ok();
                    return match (killed, quiet) {
                        (Ok(()), quiet) => (Err(RunFault::Query(why)), quiet),
                        // The answer came after all, or somebody else ended it.
                        (Err(_), true) => (Err(RunFault::Query(why)), true),
                        (Err(silent), false) => (Err(RunFault::Query(silent)), false),
                    };
                }
            }
        };
        match asked {
            Ok(()) => {
                *room -= size;
                (Ok(answers.into_outcomes()), true)
            }
            Err(RunFault::Query(failure)) => {
                let usable = !matches!(failure, Failure::Away(_) | Failure::TooLong);
                (Err(RunFault::Query(failure)), usable)
            }
            // The rest of the answer is not waited for. A server that cannot be told ends it by its own limit.
            Err(fault) => {
                drop(kill(self.replica, id).await);
                (Err(fault), false)
            }
        }
    }
}

impl From<Failure> for RunFault<Failure> {
    fn from(failure: Failure) -> Self {
        RunFault::Query(failure)
    }
}

fn name_of(manifest: &PluginManifest, file: &str) -> String {
    format!("plugins/{}/{file}", manifest.name)
}

/// Connects and prepares everything, in the order that [`super`] gives.
async fn open(replica: &Replica, manifest: &PluginManifest, files: &Files) -> Result<Open, OpenError> {
    let away = |failure: Failure| reach::away(replica, manifest, &failure);
    let mut session = reach::connect(replica, manifest).await?;
    if let Some(script) = &files.script {
        prepare_data(&mut session, manifest, script, &away).await?;
    }
    let file = name_of(manifest, QUERY_FILE);
    let spliced = script::with_records(&files.query, &statements::records(&manifest.input, &session.collation))
        .map_err(|wrong| FileError::at(&file, &files.query, wrong.at, wrong.problem))?;
    session.read_only().await.map_err(away)?;
    let query = match session.prepare(&spliced).await {
        Err(failure @ Failure::Away(_)) => return Err(away(failure)),
        prepared => prepared.map_err(|failure| failure.in_file(&file, 0))?,
    };
    let columns = query.columns();
    let names: Vec<_> = columns.iter().map(|column| column.name_str()).collect();
    if names.is_empty() {
        return Err(FileError::whole(&file, "it returns no rows: write one SELECT").into());
    }
    let shape = AnswerShape::of(&file, &names.iter().map(AsRef::as_ref).collect::<Vec<_>>(), &manifest.output)?;
    Ok(Open { session, query, shape })
}

async fn prepare_data(
    session: &mut Session,
    manifest: &PluginManifest,
    script: &str,
    away: &impl Fn(Failure) -> OpenError,
) -> Result<(), OpenError> {
    let file = name_of(manifest, OPEN_FILE);
    let parts = script::preparing(script).map_err(|wrong| FileError::at(&file, script, wrong.at, wrong.problem))?;
    for part in parts {
        let lines_before = script[..part.start].matches('\n').count();
        session.prepare_data(&script[part], OPEN_LIMIT).await.map_err(|failure| match failure {
            Failure::TooSlow => OpenError::TooSlow { file: file.clone(), limit: OPEN_LIMIT },
            failure @ Failure::Away(_) => away(failure),
            failure => {
                let error = failure.in_file(&file, lines_before);
                FileError { line: error.line.or(Some(lines_before + 1)), ..error }.into()
            }
        })?;
    }
    Ok(())
}
