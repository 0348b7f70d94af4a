//! The replica on real servers with real faults. Each test of the modules beside `own` is one row of the fault table, on
//! every make of server there is.

mod fitting;
mod identities;
mod overlap;
mod own;
mod row;
mod silence;
mod standing_still;
mod tmpfs;
mod unfit;
