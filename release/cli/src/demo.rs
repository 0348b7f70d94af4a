//! The demonstration: a whole grid with real processes in a temporary folder, and a story told with it.
//!
//! `data` makes or reads people and records; `stage` builds the grid and plays cron; `story` is what happens, in order;
//! `replicated` adds a primary and replicas, one of which breaks; `verdict` checks every record of the results; `interrupt` hears ctrl-c. Whatever was started is ended when the stage
//! is dropped, which also happens on errors and on ctrl-c.

mod cron;
mod data;
mod interrupt;
mod replicated;
mod stage;
mod story;
mod verdict;

pub(crate) use data::Data;
pub(crate) use interrupt::Interrupt;
pub(crate) use replicated::make as replicated_make;
pub(crate) use story::tell;
