//! What a cycle found, step by step, made into the report that people read: in `status.json` and on the job server.

use nightshift_contract::protections::Protections;
use nightshift_wire::{Report, StepReport, WorkerState};

/// The steps of a cycle, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// One launcher per machine.
    Lock,
    /// Who this worker is.
    Identity,
    /// The look at the central repository, and both kinds of stop.
    Look,
    /// Fetching, verifying and switching releases.
    Sync,
    /// What was found damaged and made good.
    Repair,
    /// The working hours.
    Hours,
    /// Being let in by the job server.
    Join,
    /// The local replica of the company's data.
    Replica,
    /// The core and what it does.
    Core,
    /// What plugins' programs are locked in by.
    Sandbox,
}

impl Step {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Step::Lock => "lock",
            Step::Identity => "identity",
            Step::Look => "look",
            Step::Sync => "sync",
            Step::Repair => "repair",
            Step::Hours => "hours",
            Step::Join => "join",
            Step::Replica => "replica",
            Step::Core => "core",
            Step::Sandbox => "sandbox",
        }
    }
}

/// What the steps found so far. A step noted again replaces what it found before.
#[derive(Debug, Clone, Default)]
pub struct Findings(Vec<(Step, StepReport)>);

impl Findings {
    /// A step that went well.
    pub fn good(&mut self, step: Step, found: impl Into<String>) {
        self.note(step, StepReport { step: step.name().into(), ok: true, found: found.into(), next: String::new() });
    }

    /// A step that needs attention: what it found, and what a person can do.
    pub fn bad(&mut self, step: Step, found: impl Into<String>, next: impl Into<String>) {
        let report = StepReport { step: step.name().into(), ok: false, found: found.into(), next: next.into() };
        self.note(step, report);
    }

    /// What this machine locks programs in by.
    pub fn protections(&mut self, protections: Protections) {
        match protections.keep_from_files() {
            true => self.good(Step::Sandbox, protections.to_string()),
            false => self.bad(
                Step::Sandbox,
                format!("{protections}: process plugins run only where worker.toml allows them by name"),
                "install bubblewrap, or name plugins you trust: allow_unsandboxed = [\"NAME\"] in worker.toml",
            ),
        }
    }

    /// The steps in their order.
    pub fn steps(&self) -> Vec<StepReport> {
        self.0.iter().map(|(_, report)| report.clone()).collect()
    }

    fn note(&mut self, step: Step, report: StepReport) {
        match self.0.binary_search_by_key(&step, |(step, _)| *step) {
            Ok(index) => self.0[index].1 = report,
            Err(index) => self.0.insert(index, (step, report)),
        }
    }
}

/// Who reports: what stays the same in every report of a cycle.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// The worker's id.
    pub worker: String,
    /// The machine's name.
    pub host: String,
}

impl Reporter {
    /// A report of this worker.
    pub fn report(
        &self,
        state: WorkerState,
        reason: String,
        release: &str,
        refused: &[String],
        findings: &Findings,
    ) -> Report {
        Report {
            worker: self.worker.clone(),
            host: self.host.clone(),
            state,
            reason,
            release: release.to_owned(),
            refused: refused.to_vec(),
            trial: None,
            replica: None,
            spool: nightshift_wire::Spool::default(),
            steps: findings.steps(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_in_the_order_of_the_cycle_and_keep_the_last_finding() {
        let mut findings = Findings::default();
        findings.good(Step::Core, "waits for work");
        findings.good(Step::Look, "all quiet");
        findings.bad(Step::Look, "out of reach", "check the network");
        let steps = findings.steps();
        let seen: Vec<_> = steps.iter().map(|step| (step.step.as_str(), step.ok, step.found.as_str())).collect();
        assert_eq!(seen, [("look", false, "out of reach"), ("core", true, "waits for work")]);
    }
}
