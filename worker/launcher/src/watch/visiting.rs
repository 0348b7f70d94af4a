//! Visits to the repository while a core is watched over: one at a time, on a thread of its own, so that a repository that
//! hangs delays nothing. Stops are looked for beside it ([`crate::lookout`]).

use nightshift_engine::StopFlag;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::interval;

use super::{TICK, Watch, millis};
use crate::clock;
use crate::repository::{Repository, Visit, chain};

/// Where the clone of the repository is: only one thread may use it at a time.
pub(super) enum Place {
    Here(Box<Repository>),
    Visiting(JoinHandle<Visited>),
    /// A visit panicked; it is opened again.
    Lost,
}

/// The repository comes back with what the visit found.
pub(super) type Visited = Box<(Repository, Visit)>;

impl Watch<'_, '_> {
    pub(super) fn begin_visit(&mut self) {
        let mut repository = match std::mem::replace(&mut self.place, Place::Lost) {
            Place::Here(repository) => *repository,
            Place::Lost => match self.cycle.repository() {
                Ok(repository) => repository,
                Err(error) => return tracing::error!("{}", chain(&error)),
            },
            visiting @ Place::Visiting(_) => {
                self.place = visiting;
                return;
            }
        };
        self.cycle.lookout.visit_begins(clock::since_start());
        repository.keep(&self.told);
        self.cycle.introduce(&mut repository);
        self.place = Place::Visiting(tokio::task::spawn_blocking(move || {
            let visit = repository.visit();
            Box::new((repository, visit))
        }));
    }

    pub(super) fn take_in(&mut self, visited: Result<Visited, JoinError>) {
        let pause = if self.look_again { 0 } else { millis(self.cycle.settings.look_every) };
        let stale = std::mem::take(&mut self.look_again);
        self.next_visit = clock::since_start() + pause;
        match visited {
            Ok(visited) => {
                let (repository, mut visit) = *visited;
                // What was heard meanwhile is newer than this look.
                visit.looked &= !stale;
                self.place = Place::Here(Box::new(repository));
                self.cycle.take_in(visit);
                self.judge_whom();
            }
            Err(error) => {
                tracing::error!("a visit to the repository broke off: {error}");
                self.place = Place::Lost;
            }
        }
    }

    /// Takes in the stops that a look beside a visit saw.
    pub(super) async fn see_beside(&mut self, seen: Vec<StopFlag>) {
        if self.cycle.see_beside(seen) {
            self.tell_stops().await;
            self.look_again = matches!(self.place, Place::Visiting(_));
        }
    }

    /// Waits for the visit under way, with an eye on stops: they break it off.
    pub(super) async fn end_visit(&mut self) {
        let mut ticks = interval(TICK);
        while let Place::Visiting(_) = &self.place {
            tokio::select! {
                visited = visited(&mut self.place) => self.take_in(visited),
                told = self.hearing.changed() => {
                    self.cycle.hear(told.stops);
                    self.look_again |= told.look;
                }
                seen = self.cycle.lookout.seen() => self.look_again |= self.cycle.see_beside(seen),
                _ = ticks.tick() => self.cycle.mark_progress(),
            }
            self.cycle.break_off_when_stopped();
        }
    }
}

pub(super) async fn visited(place: &mut Place) -> Result<Visited, JoinError> {
    match place {
        Place::Visiting(visit) => visit.await,
        Place::Here(_) | Place::Lost => std::future::pending().await,
    }
}
