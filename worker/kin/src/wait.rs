//! The one place of this crate that waits: a killed process has no event to wait for when it is nobody's child here.
#![allow(clippy::disallowed_methods, reason = "this file is where the crate waits")]

use std::time::Duration;

/// Lets killed processes end before they are looked for again.
pub(crate) fn a_moment() {
    std::thread::sleep(Duration::from_millis(1));
}
