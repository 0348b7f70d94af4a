//! Every history of the small grid, breadth first: what must never be is nowhere, and a planted defect is found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nightshift_rules::acceptance::{self, NotWanted, Primaries, Verdict};
use nightshift_rules::action::Unmoved;
use nightshift_rules::attempt::JobFacts;
use nightshift_rules::lease::{self, Beat};
use nightshift_wire::{JobAction, JobState};

use crate::model::{Broken, Event, Grid, Rules};

/// What a search went through.
#[derive(Debug)]
struct Searched {
    states: usize,
    moves: usize,
}

/// What was found to be broken, and the shortest history that leads there.
#[derive(Debug)]
struct Found {
    broken: Broken,
    history: Vec<Event>,
}

/// Goes through every state that can be reached.
fn search(rules: &Rules) -> Result<Searched, Found> {
    let mut numbers = HashMap::from([(Grid::new(), 0_u32)]);
    let mut grids = vec![Grid::new()];
    let mut came_by: Vec<Option<(u32, Event)>> = vec![None];
    let mut moves: Vec<(u32, u32)> = Vec::new();
    let mut at = 0;
    while let Some(&grid) = grids.get(at) {
        let from = u32::try_from(at).expect("fewer states than that");
        for event in grid.events() {
            let next = grid.after(event, rules).map_err(|broken| {
                let mut history = history(&came_by, from);
                history.push(event);
                Found { broken, history }
            })?;
            if next == grid {
                continue;
            }
            let number = match numbers.entry(next) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    grids.push(next);
                    came_by.push(Some((from, event)));
                    *new.insert(u32::try_from(grids.len() - 1).expect("fewer states than that"))
                }
            };
            moves.push((number, from));
        }
        at += 1;
        assert!(at < 2_000_000, "the model is too large to be searched whole");
    }
    if let Some(stuck) = stuck(&grids, &moves) {
        return Err(Found { broken: Broken::NeverDone, history: history(&came_by, stuck) });
    }
    Ok(Searched { states: grids.len(), moves: moves.len() })
}

fn history(came_by: &[Option<(u32, Event)>], mut at: u32) -> Vec<Event> {
    let mut history = Vec::new();
    while let Some((from, event)) = came_by[at as usize] {
        history.push(event);
        at = from;
    }
    history.reverse();
    history
}

/// A state from which the jobs can never be done: found backwards from those in which they are.
fn stuck(grids: &[Grid], moves: &[(u32, u32)]) -> Option<u32> {
    let mut first = vec![0_usize; grids.len() + 1];
    for (to, _) in moves {
        first[*to as usize + 1] += 1;
    }
    for place in 1..first.len() {
        first[place] += first[place - 1];
    }
    let mut next = first.clone();
    let mut before = vec![0_u32; moves.len()];
    for (to, from) in moves {
        before[next[*to as usize]] = *from;
        next[*to as usize] += 1;
    }
    let mut reaches: Vec<bool> = grids.iter().map(|grid| grid.is_done()).collect();
    let mut open: Vec<usize> = (0..grids.len()).filter(|state| reaches[*state]).collect();
    while let Some(state) = open.pop() {
        for &from in &before[first[state]..first[state + 1]] {
            if !std::mem::replace(&mut reaches[from as usize], true) {
                open.push(from as usize);
            }
        }
    }
    reaches.iter().position(|reaches| !reaches).map(|state| state as u32)
}

#[test]
fn no_history_doubles_loses_or_strands_a_job() {
    let searched = search(&Rules::real()).expect("nothing is broken");
    println!("2 workers, 2 jobs: {} states, {} moves between them, all of them sound", searched.states, searched.moves);
    assert!(searched.states > 10_000, "the model became too small to say much: {searched:?}");
}

fn found(rules: &Rules) -> (Broken, usize) {
    let found = search(rules).expect_err("a planted defect");
    (found.broken, found.history.len())
}

#[test]
fn an_acceptance_that_ignores_the_revision_is_found() {
    let rules = Rules {
        judge: |job, attempt, results| {
            let job = JobFacts { revision: attempt.revision, ..*job };
            acceptance::judge(&job, attempt, Primaries::default(), results.iter().copied())
        },
        ..Rules::real()
    };
    assert_eq!(found(&rules), (Broken::StaleAccepted, 3), "lease, edit, submit");
}

#[test]
fn an_acceptance_that_forgets_that_a_job_is_done_is_found() {
    let rules = Rules {
        judge: |job, attempt, results| match acceptance::judge(
            job,
            attempt,
            Primaries::default(),
            results.iter().copied(),
        ) {
            Verdict::NotWanted(NotWanted::Done) if results.len() == 2 => Verdict::Accept,
            verdict => verdict,
        },
        ..Rules::real()
    };
    assert_eq!(found(&rules).0, Broken::TwoResults);
}

#[test]
fn an_acceptance_by_totals_is_found() {
    let rules = Rules {
        judge: |job, attempt, results| match acceptance::judge(
            job,
            attempt,
            Primaries::default(),
            results.iter().copied(),
        ) {
            Verdict::WrongResults(_) => Verdict::Accept,
            verdict => verdict,
        },
        ..Rules::real()
    };
    assert_eq!(found(&rules), (Broken::HalfAccepted, 2));
}

#[test]
fn a_heartbeat_that_takes_the_job_from_whoever_has_it_is_found() {
    let rules = Rules {
        heartbeat: |job, attempt| match lease::heartbeat(job, attempt) {
            Beat::NotWanted(NotWanted::HeldBy { .. }) => Beat::TakeUp,
            beat => beat,
        },
        ..Rules::real()
    };
    assert!(matches!(found(&rules).0, Broken::Illegal(_) | Broken::TwoHolders));
}

#[test]
fn a_restart_that_extends_no_lease_is_found() {
    let rules = Rules { gap: |_, _, _| None, ..Rules::real() };
    assert_eq!(found(&rules).0, Broken::LostUnheard);
}

#[test]
fn a_lease_that_is_over_too_soon_is_found() {
    let rules = Rules { is_over: |until, now| until <= now + 1, ..Rules::real() };
    assert_eq!(found(&rules).0, Broken::LostUnheard);
}

#[test]
fn a_move_that_the_table_forgets_is_found() {
    let rules = Rules {
        after: |state, event| {
            let illegal = nightshift_rules::life::IllegalMove { state, event };
            if state == JobState::Suspended { Err(illegal) } else { nightshift_rules::life::after(state, event) }
        },
        ..Rules::real()
    };
    assert!(matches!(found(&rules).0, Broken::Illegal(_)));
}

#[test]
fn a_job_that_nothing_gets_out_of_its_state_is_found() {
    let rules = Rules {
        act: |state, action, edits| match action {
            JobAction::Resume => Err(Unmoved::NotSuspended),
            _ => nightshift_rules::action::judge(state, action, edits),
        },
        ..Rules::real()
    };
    assert_eq!(found(&rules), (Broken::NeverDone, 1), "suspend");
}
