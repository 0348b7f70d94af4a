//! How a worker gets in at a job server that asks who comes, within a cycle; the rules are in [`crate::join`].

use tokio::runtime::Runtime;

use super::{Cycle, CycleError, establish_identity};
use crate::join::{Credential, Standing};
use crate::report::Step;
use crate::sender::Sender;
use crate::{identity, machine};

impl Cycle<'_> {
    /// Makes or finds what this worker proves itself by, where the job server asks for it.
    pub(super) fn prove(&mut self) -> Result<(), CycleError> {
        let joining = &self.settings.joining;
        if !joining.is_needed() || self.sender.client().is_none() {
            return Ok(());
        }
        let state = &self.settings.state;
        let machine =
            machine::fingerprint(state.root()).map_err(|error| CycleError::Fingerprint(state.root().into(), error))?;
        let credential = Credential::establish(state, &self.reporter.worker, &machine)?;
        let access = credential.access(joining);
        self.sender =
            Sender::new(&self.settings.jobs, self.settings.report_timeout, &access).map_err(CycleError::JobServer)?;
        self.credential = Some(credential);
        Ok(())
    }

    /// Asks the job server whether it lets this worker in. A worker whose identity is another machine's asks once more, as
    /// a new one.
    pub(super) fn ask_to_join(&mut self, runtime: &Runtime) -> Result<(), CycleError> {
        let mut standing = self.standing(runtime);
        if standing == Standing::Anew {
            tracing::warn!(worker = self.reporter.worker, "this worker's identity is in use on another machine");
            identity::forget(&self.settings.state)?;
            self.reporter.worker = establish_identity(&self.settings.state, &mut self.findings)?;
            self.prove()?;
            standing = self.standing(runtime);
        }
        match standing {
            Standing::In => {
                if self.credential.is_some() {
                    self.findings.good(Step::Join, "the job server lets this worker in");
                }
            }
            Standing::Out(reason, to_do) => {
                self.findings.bad(Step::Join, reason.clone(), to_do);
                self.out = Some((reason, to_do));
            }
            Standing::Anew => {
                let (reason, to_do) = ("the job server does not believe who this worker is", "ask an admin of it");
                self.findings.bad(Step::Join, reason, to_do);
                self.out = Some((reason.to_owned(), to_do));
            }
            Standing::Unknown(why) => self.findings.good(Step::Join, format!("not asked: {why}")),
        }
        Ok(())
    }

    fn standing(&self, runtime: &Runtime) -> Standing {
        let (Some(client), Some(credential)) = (self.sender.client(), &self.credential) else { return Standing::In };
        runtime.block_on(credential.ask(&client, &self.settings.joining, &self.reporter.host))
    }
}
