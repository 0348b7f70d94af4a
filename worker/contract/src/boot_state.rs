//! Which launcher boot becomes: `STATE/boot.state`, and the rules about it. No input or output.
//!
//! A launcher that came with a release is on trial until the release has proved itself. Boot notes each time it becomes
//! one, before it does. A launcher that ends its cycle in good order takes the note back. So what is left over counts
//! starts that came to nothing, and boot needs no word of the new launcher to fall back from it:
//! - after [`TRIES`] such starts since the machine's own start, or [`TRIES_IN_ALL`] over all its starts (a machine that
//!   is switched off meanwhile says nothing about a launcher);
//! - when a launcher on trial holds the lock and got nowhere for `stuck_after` ([`crate::holder::STUCK_AFTER`], unless worker.toml
//!   names another time): the next cycle ends it, and one that was started for that must not do the same again.
//!
//! A start that came to nothing may have been ended by somebody else: a person, or the kernel for want of memory. A launcher
//! that looked at the repository notes that, too, and a fall-back after it is a doubt and no fault.
//!
//! The last good launcher is believed longer, and counted more lightly, in a file of its own that nobody syncs
//! (`STATE/boot.starts`): after [`STARTS`] starts in a row of which none came as far as a visit to the repository or to the
//! end of a cycle, its file may be damaged, and the installed launcher stands in. It hashes the slot before it starts a core,
//! and stages it again.
//!
//! Falling back is noted as well. The launcher boot falls back to reads it and decides what becomes of the release.
//!
//! ```text
//! good v1.5.0-0123456789ab
//! trial v1.6.0-ba9876543210
//! tries 1 1 6f0e…             since this start of the machine, in all, the machine's start
//! process 4711 8812           who boot became, a line each
//! looked yes
//! excuse the repository did not answer
//! fallen it was started 2 times …
//! ```

use crate::holder::Holder;

/// Starts that came to nothing, since the machine's start, after which a launcher on trial is fallen back from.
pub const TRIES: u32 = 2;
/// The same over any number of starts of the machine.
pub const TRIES_IN_ALL: u32 = 6;
/// Starts of the last good launcher in a row that came to nothing, after which the installed one stands in for it.
pub const STARTS: u32 = 3;

/// What `boot.state` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootState {
    /// The last good slot, by its name; `None` while no release proved itself.
    pub good: Option<String>,
    /// The slot on trial, when there is one.
    pub trial: Option<OnTrial>,
}

/// A slot on trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnTrial {
    /// Its name.
    pub slot: String,
    /// How often its launcher was started since the machine's start without ending in good order.
    pub tries: u32,
    /// The same over all starts of the machine.
    pub tries_in_all: u32,
    /// Names the machine's start that `tries` is about.
    pub machine_start: String,
    /// The processes that boot became, since the machine's start.
    pub processes: Vec<Holder>,
    /// Its launcher looked at the repository since it ended a cycle in good order last.
    pub looked: bool,
    /// Why the launcher itself says that it could not do its cycle, when that was not its own fault as far as it knows.
    pub excuse: Option<String>,
    /// Why boot fell back from it; `None` while it is on trial.
    pub fallen: Option<String>,
}

/// What boot knows about the launcher that holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtWork {
    /// No launcher does.
    Nobody,
    /// One does, and gets on.
    GettingOn,
    /// One does, and got nowhere for too long.
    Stuck,
}

/// What boot does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The slot whose launcher it becomes; `None` is the installed one.
    pub slot: Option<String>,
    /// What it notes before.
    pub note: Option<BootState>,
}

impl BootState {
    /// A slot on trial that was never started.
    pub fn on_trial(good: Option<String>, slot: String) -> BootState {
        BootState { good, trial: Some(OnTrial { slot, ..OnTrial::default() }) }
    }

    /// Nothing on trial.
    pub fn good(good: Option<String>) -> BootState {
        BootState { good, trial: None }
    }

    /// What to do now. `me` is boot's own process, which becomes the launcher's.
    pub fn decide(&self, machine_start: &str, at_work: AtWork, me: Option<Holder>) -> Decision {
        let Some(trial) = self.trial.as_ref().filter(|trial| trial.fallen.is_none()) else {
            return Decision { slot: self.good.clone(), note: None };
        };
        let tries = if trial.machine_start == machine_start { trial.tries } else { 0 };
        match at_work {
            // It becomes nothing more than a look at the lock.
            AtWork::GettingOn => return Decision { slot: Some(trial.slot.clone()), note: None },
            AtWork::Stuck => return self.fall_back("its launcher got nowhere for too long"),
            AtWork::Nobody => {}
        }
        if tries >= TRIES || trial.tries_in_all >= TRIES_IN_ALL {
            let most = if tries >= TRIES { tries } else { trial.tries_in_all };
            return self
                .fall_back(&format!("its launcher was started {most} times and did not end its cycle in order"));
        }
        let before = if tries == 0 { &[][..] } else { &trial.processes };
        let trial = OnTrial {
            tries: tries + 1,
            tries_in_all: trial.tries_in_all + 1,
            machine_start: machine_start.to_owned(),
            processes: before.iter().copied().chain(me).collect(),
            ..trial.clone()
        };
        Decision {
            slot: Some(trial.slot.clone()),
            note: Some(BootState { good: self.good.clone(), trial: Some(trial) }),
        }
    }

    /// Falls back from the slot on trial.
    pub fn fall_back(&self, why: &str) -> Decision {
        let trial = self.trial.clone().map(|trial| OnTrial { fallen: Some(why.to_owned()), ..trial });
        Decision { slot: self.good.clone(), note: Some(BootState { good: self.good.clone(), trial }) }
    }

    /// The content of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |word: &str, rest: &str| {
            let rest: String = rest.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("{word} {rest}\n");
        };
        if let Some(good) = &self.good {
            line("good", good);
        }
        if let Some(trial) = &self.trial {
            line("trial", &trial.slot);
            line("tries", &format!("{} {} {}", trial.tries, trial.tries_in_all, trial.machine_start));
            for process in &trial.processes {
                line("process", process.to_text().trim_end());
            }
            if trial.looked {
                line("looked", "yes");
            }
            if let Some(excuse) = &trial.excuse {
                line("excuse", excuse);
            }
            if let Some(fallen) = &trial.fallen {
                line("fallen", fallen);
            }
        }
        text + "end\n"
    }

    /// Reads the file's content; `None` when it is torn or not such a file. Lines of later versions are passed over.
    pub fn parse(text: &str) -> Option<BootState> {
        let mut state = BootState::default();
        let body = text.strip_suffix("end\n")?;
        for line in body.lines() {
            let (word, rest) = line.split_once(' ')?;
            let rest = rest.to_owned();
            match (word, &mut state.trial) {
                ("good", _) => state.good = Some(slot_name(rest)?),
                ("trial", _) => state.trial = Some(OnTrial { slot: slot_name(rest)?, ..OnTrial::default() }),
                ("tries", Some(trial)) => {
                    let mut words = rest.splitn(3, ' ');
                    trial.tries = words.next()?.parse().ok()?;
                    trial.tries_in_all = words.next()?.parse().ok()?;
                    trial.machine_start = words.next()?.to_owned();
                }
                ("process", Some(trial)) => trial.processes.extend(Holder::parse(&rest)),
                ("looked", Some(trial)) => trial.looked = rest == "yes",
                ("excuse", Some(trial)) => trial.excuse = Some(rest),
                ("fallen", Some(trial)) => trial.fallen = Some(rest),
                _ => {}
            }
        }
        Some(state)
    }
}

/// A slot's name: nothing that leads out of the folder of slots.
fn slot_name(name: String) -> Option<String> {
    let plain = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.');
    plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Option<Holder> = Some(Holder { pid: 7, start_ticks: 9 });

    fn on_trial() -> BootState {
        BootState::on_trial(Some("old".into()), "new".into())
    }

    fn start(state: &mut BootState, machine_start: &str) -> Option<String> {
        let decision = state.decide(machine_start, AtWork::Nobody, ME);
        if let Some(note) = decision.note {
            *state = note;
        }
        decision.slot
    }

    #[test]
    fn a_launcher_that_was_started_twice_and_never_ended_in_order_is_fallen_back_from() {
        let mut state = on_trial();
        let seen: Vec<_> = (0..4).map(|_| start(&mut state, "a").expect("a slot")).collect();
        assert_eq!(seen, ["new", "new", "old", "old"]);
        let fallen = state.trial.expect("remembered").fallen.expect("why");
        assert_eq!(fallen, "its launcher was started 2 times and did not end its cycle in order");
    }

    #[test]
    fn that_a_launcher_looked_is_kept_over_its_tries_and_when_it_is_fallen_back_from() {
        let mut state = on_trial();
        start(&mut state, "a");
        let trial = state.trial.take().map(|trial| OnTrial { looked: true, ..trial });
        state.trial = trial;
        let seen: Vec<_> = (0..2).map(|_| start(&mut state, "a").expect("a slot")).collect();
        assert_eq!(seen, ["new", "old"]);
        let read = BootState::parse(&state.to_text()).and_then(|state| state.trial).expect("on trial");
        assert!(read.looked && read.fallen.is_some(), "{read:?}");
    }

    #[test]
    fn a_power_cut_is_no_fault_of_a_launcher_and_yet_not_for_ever() {
        let mut state = on_trial();
        for machine_start in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(start(&mut state, machine_start).as_deref(), Some("new"), "{machine_start}");
        }
        assert_eq!(start(&mut state, "g").as_deref(), Some("old"));
    }

    #[test]
    fn a_cycle_that_finds_another_at_work_does_not_count_as_a_try() {
        let state = on_trial();
        let decision = state.decide("a", AtWork::GettingOn, ME);
        assert_eq!(decision, Decision { slot: Some("new".into()), note: None });
    }

    #[test]
    fn a_launcher_on_trial_that_hangs_with_the_lock_is_fallen_back_from_at_once() {
        let state = on_trial();
        let decision = state.decide("a", AtWork::Stuck, ME);
        assert_eq!(decision.slot.as_deref(), Some("old"));
        assert!(decision.note.and_then(|note| note.trial).is_some_and(|trial| trial.fallen.is_some()));
    }

    #[test]
    fn before_any_release_was_good_boot_falls_back_to_the_installed_launcher() {
        let mut state = BootState::on_trial(None, "new".into());
        let seen: Vec<_> = (0..3).map(|_| start(&mut state, "a")).collect();
        assert_eq!(seen, [Some("new".into()), Some("new".into()), None]);
        assert_eq!(BootState::default().decide("a", AtWork::Nobody, ME), Decision { slot: None, note: None });
    }

    #[test]
    fn the_state_is_read_as_it_was_written_and_a_torn_one_is_none() {
        let mut state = on_trial();
        start(&mut state, "6f0e-22");
        for state in [state.clone(), on_trial(), BootState::good(None), state.fall_back("a\nb").note.expect("a note")] {
            let text = state.to_text();
            let read = BootState::parse(&text).expect("whole");
            assert_eq!(read.to_text(), text);
            for cut in 0..text.len() {
                assert_eq!(BootState::parse(&text[..cut]), None, "{cut}: {text}");
            }
        }
    }

    #[test]
    fn a_line_of_a_later_version_is_passed_over_and_no_slot_leads_elsewhere() {
        let later = BootState::parse("good v1\ncolour red\nend\n").expect("understood");
        assert_eq!(later, BootState::good(Some("v1".into())));
        for slot in ["../x", ".", "a/b"] {
            assert_eq!(BootState::parse(&format!("good {slot}\nend\n")), None, "{slot}");
        }
    }
}
