//! How fast plugins did their own samples when their release was cut: lines in the message of its signed tag.
//!
//! The job server judges a plugin by them until jobs of it were done. They are a hint and decide over nothing else, so a line
//! that cannot be read is passed over, and a tag that was made with plain git has none.

use std::collections::BTreeMap;

/// What was measured of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampled {
    /// So many records were processed; samples are repeated until there are enough.
    pub records: u64,
    /// They took so many milliseconds.
    pub work_ms: u64,
}

const BEGINNING: &str = "sampled ";

/// The lines of a message, by plugin; empty when nothing was measured.
pub fn write(sampled: &BTreeMap<String, Sampled>) -> String {
    let line = |(plugin, Sampled { records, work_ms }): (&String, &Sampled)| {
        format!("{BEGINNING}{plugin}: {records} records in {work_ms} ms\n")
    };
    sampled.iter().map(line).collect()
}

/// What a message, or a whole tag as git keeps it, says of plugins.
pub fn read(message: &str) -> BTreeMap<String, Sampled> {
    message.lines().filter_map(read_line).collect()
}

fn read_line(line: &str) -> Option<(String, Sampled)> {
    let (plugin, measured) = line.strip_prefix(BEGINNING)?.split_once(": ")?;
    let (records, work) = measured.split_once(" records in ")?;
    let (records, work_ms) = (records.parse().ok()?, work.strip_suffix(" ms")?.parse().ok()?);
    (records > 0).then(|| (plugin.to_owned(), Sampled { records, work_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_message_is_read_from_it() {
        let sampled = BTreeMap::from([
            ("count".to_owned(), Sampled { records: 2_500, work_ms: 51 }),
            ("slow".to_owned(), Sampled { records: 1, work_ms: 90_000 }),
        ]);
        let message = format!("Release 1.0.0\n\n{}", write(&sampled));
        assert_eq!(
            message,
            "Release 1.0.0\n\nsampled count: 2500 records in 51 ms\nsampled slow: 1 records in 90000 ms\n"
        );
        assert_eq!(read(&message), sampled);
    }

    #[test]
    fn lines_that_say_something_else_are_passed_over() {
        let message = "Release 1.0.0\n\nsampled a: many records in 5 ms\nsampled b: 0 records in 5 ms\nsampled c\n\
            sampled d: 3 records in 5 s\n sampled e: 3 records in 5 ms\nsampled f: -3 records in 5 ms\n\
            sampled g: 99999999999999999999 records in 5 ms\n";
        assert_eq!(read(message), BTreeMap::new());
        assert_eq!(read(""), BTreeMap::new());
    }
}
