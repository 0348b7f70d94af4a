//! What plugins say, into the log: short lines, not too many of them, and nothing in them that a terminal obeys.

use crate::clock::Allowance;

/// No line is longer, in bytes.
const LONGEST_LINE: usize = 1_000;
/// So many lines may come at once, and then one each second.
const BURST: u32 = 100;

/// The log of one plugin.
#[derive(Debug)]
pub(crate) struct LogLines {
    plugin: String,
    allowance: Allowance,
    dropped: u64,
}

impl LogLines {
    /// Of `plugin`.
    pub(crate) fn of(plugin: &str) -> Self {
        Self { plugin: plugin.to_owned(), allowance: Allowance::of(BURST), dropped: 0 }
    }

    /// Logs a line, or drops it.
    pub(crate) fn say(&mut self, line: &[u8]) {
        if !self.allowance.take() {
            self.dropped += 1;
            return;
        }
        let (plugin, line) = (&self.plugin, readable(line));
        let dropped = match std::mem::take(&mut self.dropped) {
            0 => String::new(),
            dropped => format!(" ({dropped} lines before are left out)"),
        };
        tracing::info!(%plugin, "plugin {plugin}{dropped}: {line}");
    }
}

/// The line as it is logged.
fn readable(line: &[u8]) -> String {
    let cut = &line[..line.len().min(LONGEST_LINE)];
    let text = String::from_utf8_lossy(cut);
    let mut text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < line.len() {
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_plain() {
        assert_eq!(readable(b"done\n"), "done");
        assert_eq!(readable(b"a\x1b[31mb\xff\r\nc"), "a [31mb\u{fffd}  c");
        let long = readable(&[b'x'; 5_000]);
        assert!(long.len() < LONGEST_LINE + 8 && long.ends_with("x …"), "{}", long.len());
    }

    #[test]
    fn lines_beyond_the_burst_are_left_out_and_counted() {
        let mut lines = LogLines::of("p");
        for _ in 0..10 * BURST {
            lines.say(b"again");
        }
        assert!(lines.dropped >= u64::from(8 * BURST), "{}", lines.dropped);
    }
}
