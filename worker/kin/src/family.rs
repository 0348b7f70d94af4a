//! Who belongs to a family of processes: a pure function over what /proc showed.

use std::collections::{BTreeMap, BTreeSet};

/// A process as /proc showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its process group's.
    pub group: u32,
    /// Its session's.
    pub session: u32,
    /// When it started, in ticks since the machine's start: number and start together are nobody else's.
    pub start: u64,
    /// It has ended and only waits for its parent to hear of it.
    pub is_zombie: bool,
    /// It is frozen.
    pub is_stopped: bool,
    /// Its environment holds the mark that is looked for.
    pub is_marked: bool,
}

/// Where a family begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots<'a> {
    /// Everything below this process, itself not included.
    pub below: Option<u32>,
    /// This process and everything below it.
    pub leader: Option<u32>,
    /// These, by number and start, as they were found earlier ([`crate::members`]).
    pub known: &'a [(u32, u64)],
    /// Everything with this mark in its environment.
    pub mark: Option<&'a str>,
    /// Not these, nor what is found through them alone: they belong to somebody else.
    pub spare: &'a [u32],
    /// Nor these, by number and start.
    pub apart: &'a [(u32, u64)],
}

/// The members of a family among the processes of a machine, ended ones left out: what descends from the root, what is
/// marked, what descends from those, and every process in a group or session that one of them leads or led.
///
/// `led` holds the numbers of members seen earlier, each with its start; a group outlives its leader.
pub fn family<'p>(processes: &'p [Process], roots: &Roots<'_>, led: &BTreeMap<u32, u64>) -> Vec<&'p Process> {
    let spared =
        |process: &Process| roots.spare.contains(&process.pid) || roots.apart.contains(&(process.pid, process.start));
    let mut members: BTreeSet<u32> = BTreeSet::new();
    loop {
        let before = members.len();
        for process in processes.iter().filter(|process| !spared(process)) {
            let below = Some(process.parent) == roots.below || members.contains(&process.parent);
            let led_by_one = |leader: u32| {
                let is_led = |id: u32, start: u64| {
                    // A number used again by a stranger is told by its start: a group's leader is older than who joined.
                    id == leader && processes.iter().all(|other| other.pid != id || other.start == start)
                };
                members.contains(&leader) || led.get(&leader).is_some_and(|start| is_led(leader, *start))
            };
            let leads = Some(process.pid) == roots.leader;
            let known = roots.known.contains(&(process.pid, process.start));
            if below || leads || known || process.is_marked || led_by_one(process.group) || led_by_one(process.session)
            {
                members.insert(process.pid);
            }
        }
        if members.len() == before {
            break;
        }
    }
    processes.iter().filter(|process| members.contains(&process.pid) && !process.is_zombie).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u32 = 100;

    fn process(pid: u32, parent: u32) -> Process {
        let (group, session, start) = (1, 1, u64::from(pid));
        Process { pid, parent, group, session, start, is_zombie: false, is_stopped: false, is_marked: false }
    }

    fn found(processes: &[Process], roots: &Roots<'_>) -> Vec<u32> {
        family(processes, roots, &BTreeMap::new()).iter().map(|process| process.pid).collect()
    }

    fn below() -> Roots<'static> {
        Roots { below: Some(US), ..Roots::default() }
    }

    #[test]
    fn children_and_their_children_belong_to_it_and_the_root_and_strangers_do_not() {
        let all = [process(1, 0), process(US, 1), process(101, US), process(102, 101), process(103, 1)];
        assert_eq!(found(&all, &below()), [101, 102]);
    }

    #[test]
    fn a_child_listed_before_its_parent_is_found() {
        let all = [process(50, 101), process(US, 1), process(101, US)];
        assert_eq!(found(&all, &below()), [50, 101]);
    }

    #[test]
    fn an_ended_process_is_not_left_but_what_it_started_is() {
        let ended = Process { is_zombie: true, ..process(101, US) };
        assert_eq!(found(&[ended, process(102, 101)], &below()), [102]);
    }

    #[test]
    fn a_mark_finds_what_nobody_descends_to_and_its_children_without_one() {
        let marked = Process { is_marked: true, ..process(300, 1) };
        let roots = Roots { mark: Some("m"), ..Roots::default() };
        assert_eq!(found(&[process(200, 1), marked, process(301, 300)], &roots), [300, 301]);
    }

    #[test]
    fn a_group_or_session_that_a_member_leads_belongs_to_it_and_one_it_only_joined_does_not() {
        let leader = Process { group: 101, session: 101, ..process(101, US) };
        let in_group = Process { group: 101, ..process(200, 1) };
        let in_session = Process { group: 201, session: 101, ..process(201, 1) };
        let stranger = Process { group: 77, session: 77, ..process(77, 1) };
        let joined = Process { group: 77, session: 77, ..process(102, US) };
        assert_eq!(found(&[leader, in_group, in_session, stranger, joined], &below()), [101, 200, 201, 102]);
    }

    #[test]
    fn a_group_is_found_after_its_leader_has_ended_unless_a_stranger_has_its_number_now() {
        let led = BTreeMap::from([(101, 7)]);
        let in_group = Process { group: 101, ..process(200, 1) };
        let roots = below();
        let pids = |all: &[Process]| family(all, &roots, &led).iter().map(|process| process.pid).collect::<Vec<_>>();
        assert_eq!(pids(std::slice::from_ref(&in_group)), [200]);
        let stranger = Process { group: 101, start: 8, ..process(101, 1) };
        assert_eq!(pids(&[in_group, stranger]), [] as [u32; 0]);
    }

    #[test]
    fn one_that_was_found_earlier_is_known_by_number_and_start() {
        let all = [process(200, 1), process(201, 200), process(300, 1)];
        let roots = Roots { known: &[(200, 200), (300, 7)], ..Roots::default() };
        assert_eq!(found(&all, &roots), [200, 201], "300 is somebody else by now");
    }

    #[test]
    fn who_is_spared_is_not_found_nor_what_descends_from_it() {
        let all = [process(101, US), process(102, 101), process(103, US)];
        let roots = Roots { spare: &[101], ..below() };
        assert_eq!(found(&all, &roots), [103]);
    }

    #[test]
    fn what_is_kept_apart_is_not_found_unless_a_stranger_has_its_number_now() {
        let all = [process(101, US), process(102, US), process(103, 101)];
        let roots = Roots { apart: &[(101, 101), (102, 7)], known: &[(101, 101)], ..below() };
        assert_eq!(found(&all, &roots), [102]);
    }
}
