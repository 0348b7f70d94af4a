//! The worker's own server, built from a primary, on MariaDB and MySQL.

mod building;
mod donors;
mod full;
mod kills;
mod living;
mod pointing;
mod site;
mod tls;
