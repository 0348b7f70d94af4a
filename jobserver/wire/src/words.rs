//! Counts in sentences, as every part of Nightshift writes them for people.

/// Digits in groups of three: `20000` → `20,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// A count with its noun: `1 record`, `20,000 records`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// An amount of bytes: `340 kB`, `12 MB`, `1.2 GB`.
pub fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_and_one_thing_is_no_plural() {
        let shown: Vec<_> = [0, 1, 999, 1000, 1_234_567].map(|number| counted(number, "job")).into();
        assert_eq!([1, 12_000_000, 1_230_000_000].map(amount), ["1 kB", "12 MB", "1.2 GB"]);
        assert_eq!(shown, ["0 jobs", "1 job", "999 jobs", "1,000 jobs", "1,234,567 jobs"]);
    }
}
