//! What the central repository says and every rule of trust, without any input or output.
