//! Starting a core, and telling one that runs of another release.

use std::path::Path;

use nightshift_contract::handoff::{CoreArgs, ReleaseArgs};
use nightshift_contract::message::ToCore;
use nightshift_engine::Release;
use nightshift_manifest::binaries::Program;

use super::care::{Event, Finish};
use super::core_process::CoreProcess;
use super::visiting::Place;
use super::{Watch, decide};
use crate::decide::Next;
use crate::installed::is_same;
use crate::report::Step;
use crate::repository::chain;
use crate::{clock, leftovers, lock};

impl Watch<'_, '_> {
    /// Starts a core on the release in force, after checking its files. No core runs, so waiting for a visit here is harmless.
    pub(super) async fn start(&mut self) -> Result<Option<Event>, Finish> {
        self.end_visit().await;
        let next = decide::next(&self.facts());
        let (Next::Work, Some(release)) = (&next, self.release_in_force()) else {
            return Ok(Some(Event::Wanted(next)));
        };
        let Place::Here(repository) = &self.place else { return Ok(Some(Event::Ended(None))) };
        if let Err(error) = repository.verify(&release) {
            let words = chain(&error);
            tracing::error!("{} is not started: {words}", release.tag);
            self.cycle.findings.bad(Step::Core, words, "the next cycle fetches the release again");
            return Err(Finish::Unusable);
        }
        self.core_host = self.cycle.settings.host();
        let args = CoreArgs {
            state_dir: self.cycle.settings.state.root().to_owned(),
            release: release_args(&release),
            jobservers: self.cycle.settings.jobs.addresses(),
            store_password_file: self.cycle.settings.jobs.password_file().map(Path::to_owned),
            host: self.core_host.clone(),
            worker: self.cycle.worker().to_owned(),
            asked: self.cycle.credential.is_some(),
        };
        let mark = match leftovers::new_mark(&self.cycle.settings.state) {
            Ok(mark) => mark,
            Err(error) => {
                tracing::error!("no core is started, because it could not be noted: {error}");
                return Ok(Some(Event::Ended(None)));
            }
        };
        self.core_program = self.cycle.installed.of(Some(&release), Program::Core);
        match CoreProcess::start(&self.core_program, &args, &mark) {
            Ok(mut core) => {
                if let Some(credential) = &self.cycle.credential {
                    core.tell(&ToCore::Access(credential.to_core(&self.cycle.settings.joining))).await;
                }
                lock::note_core(&self.cycle.settings.state, core.pid());
                tracing::info!(pid = core.pid(), "started the core on {}", release.tag);
                self.core = Some(core);
                self.probation.started(clock::since_start());
                self.cycle.core_uses = Some(release.tag.clone());
                self.told = vec![release];
                self.told_stops = Vec::new();
                self.tell_stops().await;
                Ok(None)
            }
            Err(error) => {
                tracing::error!("starting {} failed: {error}", self.core_program.display());
                self.probation.crashed(false);
                Ok(Some(Event::Ended(None)))
            }
        }
    }

    /// Tells a running core of a release that has come into force since it was told one. Another core's release is not for
    /// it: it has to end.
    pub(super) async fn tell_release(&mut self) -> Option<Event> {
        let release = self.release_in_force()?;
        let core = self.core.as_mut()?;
        if self.told.last().is_some_and(|told| told.slot == release.slot) {
            return None;
        }
        let program = self.cycle.installed.of(Some(&release), Program::Core);
        if program != self.core_program && !is_same(&program, &self.core_program) {
            return Some(Event::OtherCore);
        }
        tracing::info!("telling the core of {}", release.tag);
        core.tell(&ToCore::Release(release_args(&release))).await;
        self.probation.told(clock::since_start());
        self.told.push(release);
        None
    }
}

/// Drops the releases that a core no longer reads once it says that it uses `tag`.
pub(super) fn still_in_use(told: &mut Vec<Release>, tag: &str) {
    if let Some(used) = told.iter().rposition(|release| release.tag == tag) {
        told.drain(..used);
    }
}

fn release_args(release: &Release) -> ReleaseArgs {
    ReleaseArgs { slot: release.slot.clone(), tag: release.tag.clone(), commit: release.commit.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_manifest::version::ReleaseVersion;

    fn release(minor: u64) -> Release {
        let version = ReleaseVersion::new(1, minor, 0);
        Release {
            version,
            tag: version.tag(),
            tag_id: String::new(),
            commit: String::new(),
            tree_id: String::new(),
            signer: String::new(),
            slot: format!("/slots/{}", version.tag()).into(),
        }
    }

    #[test]
    fn a_core_may_read_every_release_between_the_one_it_uses_and_the_last_it_was_told() {
        let mut told = vec![release(0), release(1), release(2)];
        still_in_use(&mut told, "v1.0.0");
        assert_eq!(told, [release(0), release(1), release(2)], "it still works on its job");
        still_in_use(&mut told, "v9.9.9");
        assert_eq!(told.len(), 3, "a release nobody told it of changes nothing");
        still_in_use(&mut told, "v1.2.0");
        assert_eq!(told, [release(2)]);
    }
}
