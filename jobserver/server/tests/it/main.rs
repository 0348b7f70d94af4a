//! The job server over real HTTP, on free loopback ports, with a real store in a fresh folder.

mod admin;
mod claims;
mod connections;
mod hand_in;
mod hostile;
mod page;
mod problems;
mod program;
mod releases;
mod results;
mod running;
mod shutdown;
