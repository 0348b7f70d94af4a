//! What is said of an update to people: in logs, in states, in errors.

use std::fmt::{self, Display};

use super::{Event, Fault, FaultKind, Stage};

impl Display for Stage {
    /// As in "it is …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Staged => write!(f, "staged and not checked yet"),
            Stage::Checked => write!(f, "checked and not in force yet"),
            Stage::Switched => write!(f, "in force, on trial"),
            Stage::Suspected(fault) => write!(f, "under suspicion: {fault}"),
            Stage::Later { why, .. } => write!(f, "put off: {why}"),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.found)
    }
}

impl Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Launcher => write!(f, "its launcher does no cycle"),
            FaultKind::SelfCheck => write!(f, "its launcher fails its self-check"),
            FaultKind::Core => write!(f, "its core does not stay up"),
            FaultKind::CutOff => write!(f, "its programs were ended in the middle of their work"),
            FaultKind::Samples => write!(f, "its plugins fail their own samples"),
            FaultKind::Jobs(plugin) => write!(f, "every job of plugin {plugin} fails"),
            FaultKind::Look => write!(f, "its launcher cannot look at the repository"),
            FaultKind::Claim => write!(f, "its core gets no answer from the job server"),
        }
    }
}

impl Display for Event {
    /// As in "v1.5.0: …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Checked => write!(f, "it passed its self-check"),
            Event::Switched => write!(f, "it comes into force, on trial"),
            Event::Proved => write!(f, "it does what it must"),
            Event::Failed(fault) => write!(f, "it shows a fault: {fault}"),
            Event::Hindered(why) => write!(f, "nothing can be said about it: {why}"),
            Event::Outdone => write!(f, "it failed at the same once more, and the release before it did not"),
            Event::NotAgain => write!(f, "it did the same once more, and did not fail"),
            Event::LastGoodWell => write!(f, "the release before it does what it could not"),
            Event::LastGoodToo => write!(f, "the release before it cannot do it either"),
            Event::Due => write!(f, "it is time to try it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, events, fault, stages, switched};
    use super::*;

    #[test]
    fn what_is_read_of_an_update_is_sentences_and_no_names_of_the_program() {
        let kinds = [
            FaultKind::Launcher,
            FaultKind::SelfCheck,
            FaultKind::Core,
            FaultKind::CutOff,
            FaultKind::Samples,
            FaultKind::Jobs("twice".into()),
            FaultKind::Look,
            FaultKind::Claim,
        ];
        let (stages, events) = (stages(), events());
        let said = kinds.iter().map(ToString::to_string).chain(stages.iter().map(ToString::to_string));
        for sentence in said.chain(events.iter().map(ToString::to_string)) {
            let is_plain = sentence.chars().all(|c| c.is_ascii_lowercase() || " ,:;'-".contains(c));
            assert!(is_plain && sentence.contains(' '), "{sentence}");
        }
        let told = Event::Failed(fault(FaultKind::Core)).to_string();
        assert_eq!(told, "it shows a fault: it hangs");
        let stuck = switched().take(Event::Due, &at(0)).expect_err("no such move").to_string();
        assert_eq!(
            stuck,
            "the update to v1.6.0 is in force, on trial; this cannot follow: it is time to try it again; the log says how it \
             came there"
        );
    }
}
