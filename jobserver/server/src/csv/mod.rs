//! CSV as owners write it and get it back. Pure: bytes in, values out, and the other way round.
//!
//! [`rows`] turns bytes into rows, [`intake`] says which rows make a batch, [`lines`] turns results into text.
//! Nothing here holds more than one piece of input and the row it is in.

pub mod intake;
pub mod lines;
pub mod rows;
