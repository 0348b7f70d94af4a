//! For tests, benchmarks and the demo: git servers, database servers, faults, whole grids in a folder, generated people.

pub mod central;
pub mod certificates;
pub mod database;
pub mod faults;
pub mod grid;
pub mod kept;
pub mod people;
pub mod wait;
pub mod web;
