//! What plugins cost: [`ECHO`] what a record pays for passing through each runtime, [`NAMES`] whole jobs of counting names
//! through a core and a job server, [`MATCHING`] matching people on FEBRL's data.

mod compile;
mod echo;
mod matching;
mod names;

use super::Group;

pub(super) const ECHO: [Group; 3] = echo::GROUPS;
pub(super) const NAMES: Group = names::GROUP;
pub(super) const MATCHING: Group = matching::GROUP;
