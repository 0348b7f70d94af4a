//! The rules together: every interleaving of a small grid, and defects planted to see that they would be found.

mod model;
mod search;
