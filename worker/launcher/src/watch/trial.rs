//! What the watch has to do with a release on trial: whom the core's words speak of ([`super::probation`] judges them), and
//! noting what they said.

use super::Watch;
use super::probation::Suspect;
use super::visiting::Place;
use crate::clock;
use crate::repository::chain;

impl Watch<'_, '_> {
    /// Whom the core's words say something about now.
    pub(super) fn judge_whom(&mut self) {
        let Some(visit) = &self.cycle.visit else { return };
        let suspect = match (&visit.release, &visit.suspected) {
            // A release is tried by its own launcher.
            (Some(release), _) if visit.on_trial && !self.cycle.another_launcher => {
                Some(Suspect::OnTrial(release.tag.clone()))
            }
            (Some(release), Some(fault)) => Some(Suspect::LastGood(release.tag.clone(), fault.kind.clone())),
            _ => None,
        };
        self.probation.of(suspect, clock::since_start());
    }

    /// Notes what the core's words said about a release, as soon as nobody else uses the clone; what follows from it comes
    /// with the next visit.
    pub(super) fn judge(&mut self) {
        let Place::Here(repository) = &mut self.place else { return };
        let Some(event) = self.to_judge.take() else { return };
        tracing::info!("the trial: {event}");
        match repository.judge(event) {
            Ok(()) => self.begin_visit(),
            Err(error) => tracing::error!("noting what the trial showed: {}", chain(&error)),
        }
    }

    /// The core does not stay up. Whether that was the fault of a release that is not in force any more.
    pub(super) async fn gave_up(&mut self) -> bool {
        let said = self.last_words.clone().unwrap_or_else(|| "it said nothing".to_owned());
        let before = self.release_in_force();
        self.to_judge = self.to_judge.take().or(self.probation.gave_up(&said));
        if self.to_judge.is_none() {
            return false;
        }
        // Noted when the visit under way is done, and the next one says what is in force now.
        for _ in 0..2 {
            self.end_visit().await;
            self.judge();
        }
        self.end_visit().await;
        before != self.release_in_force()
    }
}
