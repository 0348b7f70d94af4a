//! For tests, benchmarks and the demo: git servers, whole grids in a folder, generated people.

pub mod central;
pub mod grid;
pub mod people;
pub mod wait;
