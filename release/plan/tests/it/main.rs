//! Offices planned: the articles' figures, and what must hold for any office.

mod articles;
mod offices;
