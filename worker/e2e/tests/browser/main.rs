//! The dashboard as people have it: stories in a real browser, against real job servers and workers.
//!
//! A story sets a [`stage`] of its own, a grid that asks for tokens over TLS as it is shipped, and lets a [`person`] look at
//! it. Browsers are headless and ended with their story ([`chromium`]). At the end of each story nothing may have been
//! complained of in the browser's console, and no request may have left the machine. Where Chromium is not installed, the
//! suite says so and does nothing. Needs everything built, as the stories in `tests/it`.

mod chromium;
mod colours;
mod hand_in;
mod jobs;
mod keyboard;
mod login;
mod names;
mod person;
mod phone;
mod pictures;
mod refusals;
mod stage;
mod stops;
mod viewer;
