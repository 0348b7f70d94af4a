//! The job server over real HTTP, on free loopback ports, with a real store in a fresh folder.

mod api_page;
mod access;
mod claims;
mod connections;
mod guarded;
mod hand_in;
mod hostile;
mod inputs;
mod keyed;
mod page;
mod problems;
mod program;
mod proof;
mod releases;
mod results;
mod running;
mod shutdown;
mod tls;
mod site;
mod the_original;
mod trouble;
mod two_servers;
