//! Whether a repository and a job server are of one grid, as far as the person's configuration knows.
//!
//! A clone says which repository a command means; the configuration, which job server. Whoever has two grids and stands in
//! the clone of the one may have the job server of the other in force: that one must not be stopped for this one.

use anyhow::bail;

use crate::control::RepositoryArgs;
use crate::grid_clone::GridClone;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Refuses a job server that the configuration has for another repository than the one of this clone. What the command line
/// names is meant.
///
/// # Errors
/// Which is of which, and what to name.
pub(crate) fn check(repository: &RepositoryArgs, server: &ServerArgs, around: &Surroundings) -> anyhow::Result<()> {
    if server.is_given() || !repository.is_the_clones_own() {
        return Ok(());
    }
    let (Some(clone), Some(configured)) = (GridClone::find(around)?, &around.config.repository) else { return Ok(()) };
    let here = clone.url()?;
    if is_same(&here, configured) {
        return Ok(());
    }
    bail!(
        "it is not asked, because config.toml has {} for the repository {configured}, and this clone is of {here}: name the \
         job server of this grid with --jobserver URL or --context NAME",
        server.url(around)
    )
}

/// Whether two addresses of a repository are alike, however their ends are written.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").trim_start_matches("file://").to_owned();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_same_however_its_address_ends() {
        for (one, other, same) in [
            ("file:///srv/central.git", "/srv/central", true),
            ("git@central:grid.git/", "git@central:grid", true),
            ("file:///srv/central.git", "file:///srv/other.git", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
