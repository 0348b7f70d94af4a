//! An error with its causes in one line, as people read it: each thing once. Pure.
//!
//! Some libraries repeat the cause within the sentence that it is the cause of, and their callers print it once more.

use std::error::Error;

/// `error: cause: cause of the cause`. A cause that was said already is left out, and so is a part that says the same
/// as the one before it.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut line = once(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = once(&error.to_string());
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = error.source();
    }
    line
}

/// A sentence without the parts that say what the part before them says.
fn once(words: &str) -> String {
    let mut parts: Vec<&str> = words.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Said {
        words: &'static str,
        source: Option<Box<Said>>,
    }

    fn said(words: &[&'static str]) -> Said {
        let (first, rest) = words.split_first().expect("words");
        Said { words: first, source: (!rest.is_empty()).then(|| Box::new(said(rest))) }
    }

    #[test]
    fn causes_stand_behind_what_they_are_the_cause_of() {
        assert_eq!(in_one_line(&said(&["a", "b", "c"])), "a: b: c");
    }

    #[test]
    fn what_a_sentence_quotes_is_not_said_again() {
        let refused = said(&["asking db:3306", "Server error: `ERROR 1045: no access'", "ERROR 1045: no access"]);
        assert_eq!(in_one_line(&refused), "asking db:3306: Server error: `ERROR 1045: no access'");
    }

    #[test]
    fn a_chain_that_says_one_thing_at_each_link_says_it_once() {
        let away = said(&[
            "asking db:3306",
            "Input/output error: Input/output error: refused (os error 111)",
            "Input/output error: refused (os error 111)",
            "refused (os error 111)",
        ]);
        assert_eq!(in_one_line(&away), "asking db:3306: Input/output error: refused (os error 111)");
    }
}
