//! Looks at the central repository, fetches, verifies, stages and switches releases.
