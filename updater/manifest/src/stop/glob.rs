//! Which workers a pattern means: `*` is any text, `?` any one character, everything else itself, in any case.

use std::fmt;

/// Longer than any name of a machine.
const LONGEST: usize = 100;

/// A pattern for names of workers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerGlob(String);

impl WorkerGlob {
    /// Reads a pattern; `None` when it holds what no name of a worker holds: nobody knows what was meant.
    pub fn parse(text: &str) -> Option<WorkerGlob> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?".contains(&byte);
        let plain = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(known);
        plain.then(|| WorkerGlob(text.to_ascii_lowercase()))
    }

    /// Whether it means a worker of this id or name.
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.to_ascii_lowercase().as_bytes())
    }
}

impl fmt::Display for WorkerGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In time that grows with the lengths' product at most: the last star alone is taken back.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star, mut in_name) = (0, None, 0);
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(one) if *one == b'?' || *one == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                in_name = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_names_it_looks_like() {
        let glob = |text: &str| WorkerGlob::parse(text).expect(text);
        for (pattern, name) in [
            ("*", "anything"),
            ("pc-3*", "PC-31"),
            ("PC-3?", "pc-31"),
            ("*-lab", "east-lab"),
            ("a*b*c", "axxbyybzzc"),
            ("pc-31", "pc-31"),
        ] {
            assert!(glob(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [("pc-3?", "pc-3"), ("pc-3", "pc-31"), ("a*b", "axxc"), ("?", "")] {
            assert!(!glob(pattern).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_may_mean_something_else_is_none() {
        for text in ["", "[ab]*", "pc{1,2}", "pc 1", "pc-\u{e4}", "!pc", &"x".repeat(101)] {
            assert_eq!(WorkerGlob::parse(text), None, "{text}");
        }
    }
}
