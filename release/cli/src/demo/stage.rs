//! The grid of a demo: everything in one temporary folder, on free ports, with a configuration of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use nightshift_client::{Client, Timeouts};
use nightshift_contract::exit::Exit;
use nightshift_plugin::Host;
use nightshift_testbed::database::Company;
use nightshift_testbed::grid::{Grid, Repository, Worker};
use nightshift_testbed::people;

use super::cron::Cron;
use super::data::Data;
use crate::arguments::Arguments;
use crate::commands;
use crate::config;
use crate::output::Screen;
use crate::surroundings::Surroundings;
use crate::urls::file_url;

const WORKERS: usize = 3;
/// Records per block.
const BLOCK: i64 = 5;

/// A running grid. Dropping it ends every process of it; fields are dropped in the order they stand in.
pub(super) struct Stage {
    cron: Option<Cron>,
    pub(super) workers: Vec<Arc<Worker>>,
    grid: Option<Grid>,
    /// The primary that the workers copy, in a demo with replicas.
    pub(super) company: Option<Company>,
    pub(super) client: Client,
    pub(super) runtime: tokio::runtime::Runtime,
    around: Surroundings,
    folder: PathBuf,
}

/// Where the demo's job server is before it runs: a port at which nothing is expected. The usual address may be that of a
/// grid on this machine that is at work.
const NOBODY: &str = "http://127.0.0.1:9";

/// The central repository, before anything runs.
pub(super) struct Prepared {
    around: Surroundings,
    folder: PathBuf,
}

impl Prepared {
    /// Makes the central repository in `folder` with the people of `data` in it, and releases it as 1.0.0.
    /// With `replicated`, `match-person` reads the people on the workers' replicas.
    pub(super) fn make(folder: &Path, data: &Data, user: &str, replicated: bool) -> anyhow::Result<Self> {
        let config_dir = folder.join("config");
        let around = Surroundings {
            screen: Screen::silent(),
            // The sample plugins are queries.
            host: Host::default(),
            config: config::read(&config_dir, config::Choice::default())?,
            credentials: Default::default(),
            config_dir,
            current_dir: folder.to_owned(),
            user: user.to_owned(),
            can_ask: false,
        };
        let mut prepared = Self { around, folder: folder.to_owned() };
        prepared.type_command(&["init", "grid", "--jobserver", NOBODY])?;
        prepared.around.config = config::read(&prepared.around.config_dir, config::Choice::default())?;
        prepared.around.current_dir = prepared.clone_dir();
        let people =
            fs::File::create(prepared.clone_dir().join("data/people.csv")).context("writing data/people.csv")?;
        people::write_people(&data.people, std::io::BufWriter::new(people))?;
        for plugin in ["match-person", "name-count"] {
            prepared.set_up(plugin, replicated && plugin == "match-person")?;
        }
        prepared.type_command(&["release", "cut", "1.0.0", "--yes"])?;
        Ok(prepared)
    }

    /// Makes a plugin's blocks small, so that workers note their progress often, and has it read replicas.
    fn set_up(&self, plugin: &str, replicated: bool) -> anyhow::Result<()> {
        let path = self.clone_dir().join("plugins").join(plugin).join("plugin.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut table: toml::Table = text.parse().with_context(|| format!("reading {}", path.display()))?;
        table.insert("block".to_owned(), BLOCK.into());
        if let Some(data) = table.get_mut("data").and_then(toml::Value::as_table_mut).filter(|_| replicated) {
            data.insert("source".to_owned(), "replica".into());
        }
        fs::write(&path, table.to_string()).with_context(|| format!("writing {}", path.display()))
    }

    /// Starts the job server and the workers, which copy the company's primary, if there is one.
    pub(super) fn start(mut self, company: Option<Company>) -> anyhow::Result<Stage> {
        let signers = fs::read_to_string(self.clone_dir().join(nightshift_manifest::SIGNERS_FILE))
            .context("reading the demo's signers")?;
        let central = self.folder.join("grid/central.git");
        let repository = Repository {
            url: file_url(&central).with_context(|| format!("{} is not UTF-8", central.display()))?,
            control_branch: self.around.config.control_branch.clone(),
            signers: signers.lines().map(str::to_owned).collect(),
        };
        let for_job_server = company.as_ref().map(|company| company.for_job_server("")).unwrap_or_default();
        let for_workers = company.as_ref().map(Company::for_workers).unwrap_or_default();
        let grid = Grid::start_with(&self.folder, repository, &for_job_server)?;
        self.go_to(&grid.server.url())?;
        let client = Client::new([grid.server.url()], Timeouts::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime that waits for answers")?;
        let workers = (1..=WORKERS)
            .map(|number| Ok(Arc::new(grid.worker(&format!("worker-{number}"), &for_workers)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let cron = Some(Cron::start(&workers));
        let Self { around, folder } = self;
        Ok(Stage { cron, workers, grid: Some(grid), company, client, runtime, around, folder })
    }

    /// Has the demo's commands go to its own job server from now on.
    fn go_to(&mut self, url: &str) -> anyhow::Result<()> {
        let path = config::path(&self.around.config_dir);
        let doing = || format!("writing the job server's address into {}", path.display());
        let text = fs::read_to_string(&path).with_context(doing)?.replace(NOBODY, url);
        fs::write(&path, text).with_context(doing)?;
        self.around.config = config::read(&self.around.config_dir, config::Choice::default())?;
        anyhow::ensure!(self.around.config.jobserver == url, "{}: it has another address", doing());
        Ok(())
    }

    fn clone_dir(&self) -> PathBuf {
        self.folder.join("grid/grid")
    }

    fn type_command(&self, words: &[&str]) -> anyhow::Result<()> {
        type_command(&self.around, words)
    }
}

impl Stage {
    /// Runs a command of this program as the release manager would type it in their clone.
    pub(super) fn type_command(&self, words: &[&str]) -> anyhow::Result<()> {
        type_command(&self.around, words)
    }

    /// The job server's page.
    pub(super) fn page(&self) -> String {
        self.grid.as_ref().map(|grid| grid.server.url()).unwrap_or_default()
    }

    /// Everything of the demo.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder for result files.
    pub(super) fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// Ends every process.
    pub(super) fn end(&mut self) {
        self.cron = None;
        self.workers.clear();
        self.grid = None;
        self.company = None;
    }
}

fn type_command(around: &Surroundings, words: &[&str]) -> anyhow::Result<()> {
    let typed = || format!("nightshift {}", words.join(" "));
    let arguments = Arguments::try_parse_from(["nightshift"].iter().chain(words)).with_context(typed)?;
    let exit = commands::run(arguments.command, around).with_context(typed)?;
    anyhow::ensure!(exit == Exit::Done, "{}: ended with exit code {}", typed(), exit.code());
    Ok(())
}
