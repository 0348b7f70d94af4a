//! Staged rollout: may this worker take this release now?
//!
//! Four voices are heard, and none of them can do more than its part:
//! - the **plan** ([`Plan`]), signed with the release: who comes first, from when on, at what hours;
//! - the **holds** ([`Holds`]): `rollout.toml` on the control branch, unsigned, which can only hold back;
//! - **promotions**: signed tags that open a ring early;
//! - **openings** ([`Opening`]): what the job server makes of the evidence. It opens later rings and sends rings back.
//!
//! [`may_take`] asks one rule after the other, each a function of its own; the first that holds says so. Whoever gathers
//! the evidence is elsewhere (`jobserver/rules`), as is going back to the last good slot (`updater/engine`).

mod heard;
mod holds;
mod opening;
mod plan;
mod ring;
mod rules;

pub use heard::Heard;
pub use holds::{Cap, Deny, Holds, HoldsError, ROLLOUT_FILE, is_rollout_entry};
pub use opening::{Opening, RingOpening};
pub use plan::{Plan, Ring};
pub(crate) use plan::{RolloutTable, read};
pub use ring::{SHARES, share};
pub use rules::{Asks, HeldBack, may_keep, may_take};
