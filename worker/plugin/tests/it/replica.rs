//! What the runtimes promise on a replica, on MariaDB and on MySQL. What a machine has no server for is said and left out.

mod answers;
mod away;
mod hostile;
mod modules;
mod opening;
mod own_samples;
mod people;
mod programs;
mod site;
