//! Amounts of bytes a second as people write them: `2MB/s`, `500kB/s`. Pure text to number and back.

/// Units, the largest first; each is a thousand of the next.
const UNITS: [(&str, u64); 4] = [("GB/s", 1_000_000_000), ("MB/s", 1_000_000), ("kB/s", 1000), ("B/s", 1)];

/// Reads bytes a second. The error says what to write.
pub fn parse(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no bandwidth: write one such as \"2MB/s\" or \"500kB/s\"");
    let text = text.trim();
    let number_ends = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(number_ends);
    let unit = unit.trim_start();
    let (_, size) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(bad)?;
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*size)).ok_or_else(bad)?;
    if bytes < 1000 {
        Err(format!("{text:?} is too little to get any work done: write 1kB/s or more"))
    } else {
        Ok(bytes)
    }
}

/// Bytes a second as a person writes them, in the largest unit that gives a whole number.
pub fn show(bytes_per_second: u64) -> String {
    let fits = |(_, size): &&(&str, u64)| bytes_per_second.is_multiple_of(*size);
    let (name, size) = UNITS.iter().find(fits).unwrap_or(&UNITS[3]);
    format!("{}{name}", bytes_per_second / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_shown_again() {
        for (text, bytes) in [("2MB/s", 2_000_000), ("500kB/s", 500_000), ("1GB/s", 1_000_000_000), ("1500B/s", 1500)] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(show(bytes), text);
        }
        assert_eq!(parse(" 2 mb/s "), Ok(2_000_000));
    }

    #[test]
    fn what_is_no_bandwidth_is_refused_with_what_to_write() {
        for text in ["", "2", "fast", "MB/s", "2MB", "2Mbit/s", "-2MB/s", "2.5MB/s", "99999999999999999999GB/s"] {
            assert!(parse(text).expect_err(text).contains("\"2MB/s\""), "{text}");
        }
        assert!(parse("999B/s").expect_err("too little").contains("1kB/s"));
    }
}
