//! How much of a batch may fail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The part of a batch's results that may be errors, in thousandths: 500 is one in two, 1,000 is any. As text it is
/// `0.05` or `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ErrorRate(u32);

/// A text that is no error rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part of the results: write it from 0.0 to 1.0 or from 0% to 100%, as in 0.05 or 5%")]
pub struct WrongErrorRate(String);

/// So much of a wrong text is shown.
const LONGEST_SHOWN: usize = 40;

impl ErrorRate {
    /// One result in two.
    pub const DEFAULT: ErrorRate = ErrorRate(500);

    /// So many thousandths; more than all is all.
    pub const fn per_mille(thousandths: u32) -> ErrorRate {
        if thousandths < 1000 { ErrorRate(thousandths) } else { ErrorRate(1000) }
    }

    /// In thousandths.
    pub const fn as_per_mille(self) -> u32 {
        self.0
    }
}

impl FromStr for ErrorRate {
    type Err = WrongErrorRate;

    fn from_str(text: &str) -> Result<Self, WrongErrorRate> {
        let wrong = || WrongErrorRate(text.chars().take(LONGEST_SHOWN).collect());
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (text.trim(), 1.0),
        };
        let rate: f64 = number.parse().map_err(|_| wrong())?;
        if !(0.0..=whole).contains(&rate) {
            return Err(wrong());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to 1000")]
        let thousandths = (rate / whole * 1000.0).round() as u32;
        // Only what is written as none is none, and only what is written as all is all.
        let (least, most) = (u32::from(rate > 0.0), 1000 - u32::from(rate < whole));
        Ok(ErrorRate(thousandths.clamp(least, most)))
    }
}

impl fmt::Display for ErrorRate {
    /// In per cent, as people say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 % 10;
        if tenths == 0 { write!(f, "{} %", self.0 / 10) } else { write!(f, "{}.{tenths} %", self.0 / 10) }
    }
}

impl From<ErrorRate> for String {
    fn from(rate: ErrorRate) -> String {
        rate.to_string()
    }
}

impl TryFrom<String> for ErrorRate {
    type Error = WrongErrorRate;

    fn try_from(text: String) -> Result<Self, WrongErrorRate> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_people_write_it_and_shown_in_per_cent() {
        for (text, thousandths, shown) in [
            ("0.05", 50, "5 %"),
            ("5%", 50, "5 %"),
            ("0.0001", 1, "0.1 %"),
            ("99.99%", 999, "99.9 %"),
            (" 12.5 % ", 125, "12.5 %"),
            ("0", 0, "0 %"),
            ("1", 1000, "100 %"),
        ] {
            let rate: ErrorRate = text.parse().expect(text);
            assert_eq!((rate.as_per_mille(), rate.to_string().as_str()), (thousandths, shown));
            assert_eq!(shown.parse(), Ok(rate), "what is shown can be written");
        }
    }

    #[test]
    fn what_is_no_part_of_the_results_is_refused_with_what_to_write() {
        for text in ["", "5", "101%", "-0.1", "nan", "five", "%"] {
            let wrong = text.parse::<ErrorRate>().expect_err(text).to_string();
            assert!(wrong.contains("as in 0.05 or 5%"), "{wrong}");
        }
        let long = "9".repeat(1_000_000).parse::<ErrorRate>().expect_err("too much").to_string();
        assert!(long.len() < 200, "{}", long.len());
    }
}
