//! What holds for every input, and the texts that people read.

mod properties;
mod texts;
