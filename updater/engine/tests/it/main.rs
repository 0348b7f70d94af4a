//! What the engine promises, tried on real repositories: over `file://`, over `git://`, and with tags made by git.

mod back;
mod binaries;
mod crashes;
mod fixture;
mod keys;
mod kills;
mod looks;
mod network;
mod plain_git;
mod refusals;
mod repair;
mod switching;
mod trees;
mod trials;
mod trust_page;
