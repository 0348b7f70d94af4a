//! Durations as people write them in settings: `"90s"`, `"15m"`, `"24h"`, `"7d"`.

use std::time::Duration;

/// Reads a whole number with a unit: seconds, minutes, hours or days. The error says what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("{text:?} is no duration: write a whole number and a unit, as in \"90s\", \"15m\", \"24h\" or \"7d\"")
    };
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// A duration for people: `45s`, `3m`, `2h 5m`, `3d 4h`. Parts of a second are left out.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{part}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(7 * 86_400)));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "90", "s", "1.5h", "-1s", "+1s", "1 h", "1h30m", "9999999999999999999d", "1é"] {
            assert!(parse(text).expect_err(text).contains("\"15m\""), "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_with_its_two_largest_units() {
        let shown = [0, 59, 60, 61, 3600, 7_500, 86_400, 270_000].map(|s| show(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m", "1m 1s", "1h", "2h 5m", "1d", "3d 3h"]);
    }
}
