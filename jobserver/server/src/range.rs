//! The part of a file that a request asks for (RFC 9110, 14). Pure.

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no part is asked for, or several, or in words nobody knows.
    Whole,
    /// From the first of these bytes to the second, both counted from 0 and both sent.
    Part(u64, u64),
    /// Nothing the file has.
    Nothing,
}

/// What `range` asks of a file of `size` bytes.
pub(crate) fn wanted(range: Option<&str>, size: u64) -> Wanted {
    let Some(part) = range.and_then(|range| range.strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((from, to)) = part.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let asked = match (from, to) {
        ("", "") => return Wanted::Whole,
        ("", last) => number(last).map(|last| (size.saturating_sub(last), if last == 0 { 0 } else { u64::MAX })),
        (from, "") => number(from).map(|from| (from, u64::MAX)),
        (from, to) => number(from).zip(number(to)).filter(|(from, to)| from <= to),
    };
    match asked {
        None => Wanted::Whole,
        Some((_, 0)) if from.is_empty() => Wanted::Nothing,
        Some((from, _)) if from >= size => Wanted::Nothing,
        Some((from, to)) => Wanted::Part(from, to.min(size - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_the_file_has_of_what_is_asked_for() {
        for (range, sent) in [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Part(0, 0)),
            (Some("bytes=3-"), Wanted::Part(3, 9)),
            (Some("bytes=3-5"), Wanted::Part(3, 5)),
            (Some("bytes=3-500"), Wanted::Part(3, 9)),
            (Some("bytes=-4"), Wanted::Part(6, 9)),
            (Some("bytes=-40"), Wanted::Part(0, 9)),
            (Some("bytes=10-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=99999999999999999999999-"), Wanted::Nothing),
            (Some("bytes=5-3"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("lines=1-2"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes=x-"), Wanted::Whole),
        ] {
            assert_eq!(wanted(range, 10), sent, "{range:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-5"), 0), Wanted::Nothing);
    }
}
