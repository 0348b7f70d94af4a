//! The client against servers that misbehave in every way a network can.

mod answers;
mod faults;
mod transfer;
