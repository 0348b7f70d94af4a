//! Where words go: data to standard output, talk and progress to standard error.
//!
//! A reader that goes away (`| head`) ends the output, not the work. Colour only on a terminal and without `NO_COLOR`;
//! progress bars only on a terminal.

use std::fmt::{self, Display};
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::table::Table;

/// Version of what `--json` prints; raised when a field changes its meaning or goes away.
const JSON_VERSION: u32 = 1;

/// How often a spinner turns.
const SPIN: Duration = Duration::from_millis(150);

/// Shown while something runs; see [`Screen::spinner`].
#[derive(Debug)]
pub(crate) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The two streams a command writes to.
#[derive(Debug)]
pub(crate) struct Screen {
    colour: bool,
    silent: bool,
    /// How wide the terminal is that data goes to; `None` when it goes elsewhere.
    width: Option<usize>,
    bars: MultiProgress,
}

impl Screen {
    /// `terminal`: standard error is one. `colour`: it may be coloured.
    pub(crate) fn new(terminal: bool, colour: bool) -> Self {
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { colour: colour && terminal, silent: false, width: None, bars: MultiProgress::with_draw_target(target) }
    }

    /// The same where data goes to a terminal of that width, which tables then fit.
    pub(crate) fn fitted_to(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// Shows nothing at all; for commands that other commands run.
    pub(crate) fn silent() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { colour: false, silent: true, width: None, bars }
    }

    /// Says something to the person.
    pub(crate) fn say(&self, text: impl Display) {
        self.talk(&format!("{text}"));
    }

    /// Begins a part of what is said.
    pub(crate) fn heading(&self, text: impl Display) {
        self.talk(&format!("\n{}", self.paint("1", text)));
    }

    /// Says that something went well.
    pub(crate) fn good(&self, text: impl Display) {
        self.talk(&format!("{} {text}", self.paint("32", "✓")));
    }

    /// Says something that needs attention, though the work goes on.
    pub(crate) fn warn(&self, text: impl Display) {
        self.talk(&format!("{} {text}", self.paint("33", "!")));
    }

    /// Says why a command failed.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.talk(&format!("{} {error:#}", self.paint("31", "nightshift:")));
    }

    /// Writes data.
    pub(crate) fn data(&self, text: &str) -> anyhow::Result<()> {
        if self.silent {
            return Ok(());
        }
        self.bars.suspend(|| ignore_gone_reader(io::stdout().lock().write_all(text.as_bytes())))
    }

    /// Makes room for data that takes the place of what was written: on a terminal the screen is cleared.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        match io::stdout().is_terminal() {
            true => self.data("\x1b[2J\x1b[H"),
            false => Ok(()),
        }
    }

    /// Writes rows as data.
    pub(crate) fn table(&self, table: &Table) -> anyhow::Result<()> {
        self.data(&self.fit(table))
    }

    /// A table as it is written: fitted to the terminal, when it goes to one.
    pub(crate) fn fit(&self, table: &Table) -> String {
        self.width.map_or_else(|| table.to_string(), |width| table.fitted(width))
    }

    /// How wide sentences may be, `usual` at most.
    pub(crate) fn text_width(&self, usual: usize) -> usize {
        self.width.map_or(usual, |width| width.min(usual))
    }

    /// Writes `value` under the key `name` as data, with the version of the format.
    pub(crate) fn json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        // A path that is no text has no place in JSON.
        let value = serde_json::to_value(value).with_context(|| format!("writing {name} as JSON"))?;
        let document = serde_json::json!({ "version": JSON_VERSION, name: value });
        self.data(&format!("{document:#}\n"))
    }

    /// Writes the fields of `value` as data, with the version of the format.
    pub(crate) fn json_document(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut document = serde_json::json!({ "version": JSON_VERSION });
        if let (Some(document), serde_json::Value::Object(fields)) =
            (document.as_object_mut(), serde_json::to_value(value)?)
        {
            document.extend(fields);
        }
        self.data(&format!("{document:#}\n"))
    }

    /// A bar for `length` things; `unit` names them.
    pub(crate) fn bar(&self, length: u64, unit: &str, label: &str) -> ProgressBar {
        let template = format!("{{prefix:<14}} {{bar:22}} {{human_pos}}/{{human_len}} {unit}{{left}} {{wide_msg}}");
        self.progress(ProgressBar::new(length), &template, label)
    }

    /// A bar for `length` bytes, or for nobody knows how many.
    pub(crate) fn byte_bar(&self, length: Option<u64>, label: &str) -> ProgressBar {
        match length {
            Some(length) => {
                let template = "{prefix:<14} {bar:22} {bytes}/{total_bytes}{left} {wide_msg}";
                self.progress(ProgressBar::new(length), template, label)
            }
            None => self.progress(ProgressBar::no_length(), "{prefix:<14} {bytes} {wide_msg}", label),
        }
    }

    /// Something that runs and cannot say how far it is. Gone when it is dropped.
    pub(crate) fn spinner(&self, label: &str) -> Spinner {
        let bar = self.progress(ProgressBar::new_spinner(), "{spinner} {prefix}, {elapsed}", label);
        bar.enable_steady_tick(SPIN);
        Spinner(bar)
    }

    /// Asks a question that is answered with yes or no; no is the answer of silence.
    pub(crate) fn ask(&self, question: &str) -> anyhow::Result<bool> {
        self.bars.suspend(|| {
            let mut terminal = io::stderr().lock();
            write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).context("asking")?;
            let mut answer = String::new();
            io::stdin().lock().read_line(&mut answer).context("reading the answer")?;
            Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
        })
    }

    /// `text` in a colour, where colours are shown.
    pub(crate) fn paint(&self, code: &str, text: impl Display) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn progress(&self, bar: ProgressBar, template: &str, label: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            if state.pos() > 0 && !state.is_finished() {
                // A figure that cannot be written is left out.
                let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
            }
        });
        let bar = self.bars.add(bar);
        bar.set_style(style);
        bar.set_prefix(label.to_owned());
        bar
    }

    fn talk(&self, text: &str) {
        if self.silent {
            return;
        }
        // Nobody is left to be told when standard error is gone.
        let _ = self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}"));
    }
}

fn ignore_gone_reader(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to standard output"),
    }
}
