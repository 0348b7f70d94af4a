//! One line of the benchmark: a figure beside its reference and target, or the reason why there is none.

use serde::Serialize;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

/// A measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name; the first words name its group.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    #[serde(serialize_with = "target_number")]
    pub target: Target,
    /// The raw limit or the peer, measured in the same run and the same unit.
    pub reference: f64,
    /// `value / reference`.
    pub ratio: f64,
    /// What the reference is, for people.
    #[serde(skip)]
    pub beside: &'static str,
    /// What else was seen in the same run, for people; empty when there is nothing.
    #[serde(skip)]
    pub note: String,
}

/// A line of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// It was measured.
    Measured(Figure),
    /// It was not.
    Skipped {
        /// The figure's name.
        name: String,
        /// Why.
        skipped: String,
    },
    /// Something that must hold did not while it was measured, and so there is no figure.
    Failed {
        /// The figure's name.
        name: String,
        /// What did not.
        #[serde(rename = "skipped")]
        failed: String,
    },
}

/// Marks an error (as its context) as a promise that was broken while measuring: nobody may pass over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FAILED, a promise was broken")
    }
}

impl Figure {
    /// A figure beside its reference; the ratio follows.
    pub fn new(
        name: &str,
        value: f64,
        unit: &'static str,
        target: Target,
        beside: &'static str,
        reference: f64,
    ) -> Figure {
        Figure {
            name: name.into(),
            value,
            unit,
            target,
            reference,
            ratio: value / reference,
            beside,
            note: String::new(),
        }
    }

    /// The same with a note.
    #[must_use]
    pub fn noting(self, note: String) -> Figure {
        Figure { note, ..self }
    }

    /// Whether it is what it should be.
    pub fn is_met(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
        }
    }
}

impl Target {
    /// The number.
    pub fn number(self) -> f64 {
        match self {
            Target::AtMost(number) | Target::AtLeast(number) => number,
        }
    }
}

impl Line {
    /// The figure's name.
    pub fn name(&self) -> &str {
        match self {
            Line::Measured(figure) => &figure.name,
            Line::Skipped { name, .. } | Line::Failed { name, .. } => name,
        }
    }

    /// The same with something said before its note.
    #[must_use]
    pub fn noting_first(mut self, words: &str) -> Line {
        if let Line::Measured(figure) = &mut self {
            figure.note.insert_str(0, words);
        }
        self
    }
}

fn target_number<S: serde::Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(target.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_with_exactly_the_fields_the_readers_expect() {
        let figure = Figure::new("a_ms", 3.0, "ms", Target::AtMost(4.0), "a peer", 2.0);
        assert!(figure.is_met());
        let json = serde_json::to_string(&Line::Measured(figure)).expect("plain data");
        assert_eq!(json, r#"{"name":"a_ms","value":3.0,"unit":"ms","target":4.0,"reference":2.0,"ratio":1.5}"#);
        let line = Line::Skipped { name: "b".into(), skipped: "no disk".into() };
        assert_eq!(serde_json::to_string(&line).expect("plain data"), r#"{"name":"b","skipped":"no disk"}"#);
        let line = Line::Failed { name: "c".into(), failed: "a job is gone".into() };
        assert_eq!(serde_json::to_string(&line).expect("plain data"), r#"{"name":"c","skipped":"a job is gone"}"#);
    }
}
