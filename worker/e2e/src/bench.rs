//! The project's benchmarks: figures in groups, one file per group, each measured beside its raw limit or a peer in the
//! same run.
//!
//! A new group is a file here and a line in [`GROUPS`]. Its figures share a set-up; its names share a beginning, so
//! that `nightshift-bench PREFIX` runs it alone.

mod capacity;
mod cycle_noop;
mod figure;
mod job_control;
mod measure;
mod plugins;
mod release;
mod replica;
mod reseed;
mod stop_latency;
mod table;
mod tag_verify;

use std::path::Path;

use anyhow::{Context, Result};
pub use figure::{Figure, Line, Lost, Target};
pub use table::table;

/// Figures that are measured together.
struct Group {
    /// The names of its figures, in the order of their lines.
    names: &'static [&'static str],
    /// Measures them.
    run: fn() -> Result<Vec<Line>>,
}

const GROUPS: &[&[Group]] = &[
    &[cycle_noop::GROUP],
    &[tag_verify::GROUP],
    &[release::GROUP],
    &plugins::ECHO,
    &[plugins::MATCHING],
    &[plugins::NAMES],
    &job_control::RATE,
    &job_control::DEEP_QUEUE,
    &job_control::BATCH,
    &[job_control::FLEET],
    &[job_control::PAGES],
    &replica::GROUPS,
    &[reseed::CLONE],
    &[reseed::DUMP],
    &[stop_latency::GROUP],
    &[capacity::GROUP],
];

fn groups() -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().copied().flatten()
}

/// Measures every figure whose name begins with `only`, telling `on_line` of each as it comes. A group that fails is
/// skipped with its error as the reason; one that lost something is said to have failed.
pub fn run(only: &str, mut on_line: impl FnMut(&Line)) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in groups().filter(|group| group.names.iter().any(|name| name.starts_with(only))) {
        let measured = (group.run)().unwrap_or_else(|error| {
            let reason = format!("{error:#}");
            let line = |name: &&str| match error.downcast_ref() {
                Some(Lost) => Line::Failed { name: (*name).into(), failed: reason.clone() },
                None => Line::Skipped { name: (*name).into(), skipped: reason.clone() },
            };
            group.names.iter().map(line).collect()
        });
        for line in measured.into_iter().filter(|line| line.name().starts_with(only)) {
            on_line(&line);
            lines.push(line);
        }
    }
    lines
}

/// Every figure's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    groups().flat_map(|group| group.names.iter().copied())
}

/// Writes the lines as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, lines: &[Line]) -> Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(lines)?).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names().count());
    }
}
