//! The real `nightshift` program, used as people use it: in fresh folders, with a configuration of its own.

mod binaries;
mod contexts;
mod contract;
mod demo;
mod grid;
mod init;
mod keys;
mod manual;
mod person;
mod plan;
mod plugin;
mod release;
mod rollout;
mod shell;
mod stop;
