//! CSV as owners write it and get it back. Pure: bytes in, values out, and the other way round.
//!
//! Bytes become rows in `nightshift_manifest::csv`, as everywhere; [`intake`] says which rows make a batch, [`lines`] turns
//! results into text. Nothing here holds more than one piece of input and the row it is in.

pub mod intake;
pub mod lines;
