//! Finds every process that descends from one, however it hides, and ends it. Linux only: it reads /proc.
//!
//! A process that wants to outlive its parent leaves its process group and session, forks twice so that its parent is
//! gone, ignores SIGTERM, renames itself, throws its environment away, or forks without end. Against that:
//! - whoever starts processes [adopts](adopt_orphans) orphans: what loses its parent becomes its child and stays below
//!   it, so that descent alone finds everything for as long as it lives;
//! - everything is started with an unguessable [mark](mark()) in the environment, which descendants inherit; it finds what
//!   is left when nobody adopted orphans any more, because launcher and core were both killed. What threw its environment
//!   away still has the mark as a limit that nobody uses ([`brand`]); what shed both by then is known by number and start,
//!   when it was noted before ([`members`]);
//! - process groups and sessions led by what was found count as well ([`family`]).
//!
//! What is below this process and is none of it (the worker's own database server) is started or kept [apart](start_apart);
//! of several families below it each [begins](start_family) apart from the others.
//!
//! Ending ([`end`]): look, freeze whatever is found, look again until nothing new comes up, kill it all, look again, until
//! none is left. A frozen process forks no more, and SIGKILL is not to be ignored. What that does not reach: processes of
//! another user, and those that other programs start for ours (at, systemd-run).

mod apart;
mod brand;
mod clock;
mod end;
mod family;
mod orphans;
mod proc;
mod wait;

pub use apart::{keep_apart, start_apart, start_family};
pub use brand::mark;
pub use clock::Stopwatch;
pub use end::{Ended, Survivors, end, is_left, members};
pub use family::{Process, Roots, family};
pub use orphans::{adopt_orphans, adopts_orphans, reap_orphans};

/// The name of the environment variable that holds the mark.
pub const MARK: &str = "NIGHTSHIFT_MARK";
