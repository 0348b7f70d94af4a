//! What the engine promises, tried on real repositories: over `file://`, over `git://`, and with tags made by git.

mod approvals;
mod back;
mod binaries;
mod bounds;
mod crashes;
mod fixture;
mod keys;
mod kills;
mod looks;
mod network;
mod pins;
mod plain_git;
mod refusals;
mod repair;
mod revoked;
mod safe_mode;
mod switching;
mod trees;
mod trials;
mod trust_page;
