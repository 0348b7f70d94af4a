//! The log: one file a day in the state folder, seven of them. What needs a person is printed by `main`, not here.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;

use nightshift_contract::layout::StateDir;
use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

const DAYS_KEPT: usize = 7;

/// Sends what is logged to the state folder, and also to stderr what `stderr_filter` asks for.
///
/// # Errors
/// When the log's folder cannot be written.
pub fn start(state: &StateDir, stderr_filter: Option<&str>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state.log())?;
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("launcher")
        .filename_suffix("log")
        .max_log_files(DAYS_KEPT)
        .build(state.log())
        // Its message already tells the reason behind it.
        .map_err(|error| io::Error::other(error.to_string()))?;
    let to_file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        // A full disk takes no log; saying so on stderr at every line would fill cron's mail.
        .log_internal_errors(false)
        .with_writer(files);
    let to_stderr = stderr_filter.map(|filter| {
        let to_stderr = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(io::stderr);
        to_stderr.with_filter(EnvFilter::new(filter))
    });
    tracing_subscriber::registry().with(to_file.with_filter(LevelFilter::INFO)).with(to_stderr).init();
    Ok(())
}
