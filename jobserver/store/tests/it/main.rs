//! The store's promises, checked against `dyn Store`.
//!
//! `suite` is the conformance suite every store passes; `history` plays long random histories against a small model;
//! `sqlite` and `mysql` are what holds for one kind of store alone, `doubt` what a database that is cut off does, `plans` how it
//! finds rows; `crash` kills a process that writes. `hands` are the steps that all of them take.

mod access;
mod api_page;
mod crash;
mod doubt;
mod hands;
mod history;
mod makes;
mod model;
mod mysql;
mod people;
mod place;
mod plans;
mod process;
mod remembered;
mod sqlite;
mod stops;
mod suite;
mod trouble;
mod two_servers;
