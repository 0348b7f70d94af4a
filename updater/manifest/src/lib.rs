//! What the central repository says and every rule of trust, without any input or output.
//!
//! Bytes and facts come in as arguments, `now` included; values and verdicts come out. Reading repositories, files and
//! clocks is `updater/engine`'s business.
//!
//! - Names: [`version`] (release tags), [`stop`] (what stops the grid).
//! - Trust: [`signers`] (who may sign), [`revoked`] (who never again), [`succession`] (which keys
//!   count), [`votes`] (approvals and promotions), [`tag`] (is this tag signed, and for this name), [`select`] (which tags of the
//!   repository to judge), [`trust`] (what a worker remembers: floor, release in force, refusals), [`refusal`],
//!   [`held`] (what is good and may not come into force yet), [`tree`] (no hostile paths), [`trial`] (the life of an
//!   update), [`offline`] (how long to carry on unseen).
//! - Rollout: [`rollout`] (who takes a release when; `rollout.toml`, which only holds back).
//! - Content: [`binaries`] (`release.toml`; [`machine`]), [`csv`] (data tables and samples), [`settings`] (`nightshift.toml`; [`rate`]),
//!   [`hours`], [`plugin`] (`plugin.toml`; [`requires`]), [`content`] (a release's
//!   tree as a whole), [`sampled`] (how fast plugins did their samples), [`file_error`] (file, line, what to do);
//!   [`causes`] (an error in one line).

pub mod binaries;
pub mod causes;
pub mod content;
pub mod csv;
pub mod duration;
pub mod file_error;
pub mod held;
pub mod hours;
pub mod machine;
pub mod offline;
pub mod plugin;
pub mod rate;
pub mod refusal;
pub mod requires;
pub mod revoked;
pub mod rollout;
pub mod sampled;
pub mod select;
pub mod settings;
pub mod signers;
pub mod stop;
pub mod succession;
pub mod tag;
pub mod tree;
pub mod trial;
pub mod trust;
pub mod version;
pub mod votes;

/// Name of the grid's settings in a release's tree.
pub const SETTINGS_FILE: &str = "nightshift.toml";
/// Name of the file in a release's tree that says which recovery key is pinned. For people: workers believe their own
/// configuration alone.
pub const RECOVERY_FILE: &str = "keys/recovery";
/// Name of the list of revoked keys in a release's tree.
pub const REVOKED_FILE: &str = "keys/revoked";
/// Name of the key set in a release's tree.
pub const SIGNERS_FILE: &str = "keys/allowed_signers";
