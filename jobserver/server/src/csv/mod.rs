//! Records as they come in and go out: CSV, JSON lines, gzip. Bytes in, bytes out; no sockets and no store.

pub mod intake;
pub mod json_lines;
pub mod lines;
pub mod unpack;
