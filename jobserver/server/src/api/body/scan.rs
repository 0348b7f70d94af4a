//! A look at a JSON text before it is read: how much memory it takes to read it, and whether it has whole numbers that
//! 64 bits cannot hold. Reading those would make them another number, silently.

/// The longest run of digits that always fits.
const ALWAYS_FITS: usize = 18;

/// What a value takes in memory besides its text, about: `[0,0` is two bytes a value.
pub(super) const BYTES_AROUND_A_VALUE: usize = 64;

/// A whole number that neither fits 64 bits with a sign nor without one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) String);

/// How many values a JSON text has at most, lists and objects included; or the first number in it that is too large.
pub(super) fn values(json: &[u8]) -> Result<usize, TooLarge> {
    let mut values = 1;
    let mut place = 0;
    while let Some(&byte) = json.get(place) {
        match byte {
            b'"' => place = behind_text(json, place + 1),
            b'-' | b'0'..=b'9' => {
                let digits = json[place + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let end = place + 1 + digits;
                let whole = !matches!(json.get(end), Some(b'.' | b'e' | b'E'));
                if whole && digits >= ALWAYS_FITS && !fits(&json[place..end]) {
                    return Err(TooLarge(String::from_utf8_lossy(&json[place..end]).into_owned()));
                }
                // What follows a point or an e is no whole number.
                let rest = json[end..].iter();
                place = end
                    + rest.take_while(|byte| matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-' | b'0'..=b'9')).count();
            }
            b',' | b'[' | b'{' => {
                values += 1;
                place += 1;
            }
            _ => place += 1,
        }
    }
    Ok(values)
}

fn behind_text(json: &[u8], begin: usize) -> usize {
    let mut place = begin;
    while let Some(&byte) = json.get(place) {
        match byte {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    place
}

fn fits(number: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(number) else { return false };
    text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_beyond_64_bits_is_found_wherever_it_stands() {
        for (json, found) in [
            ("{\"a\": 18446744073709551615, \"b\": -9223372036854775808, \"c\": 0}", None),
            ("{\"a\": 18446744073709551616}", Some("18446744073709551616")),
            ("[1,[-9223372036854775809]]", Some("-9223372036854775809")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            // Text, and numbers that are real by their writing, stay what they are.
            ("{\"18446744073709551616\": \"\\\"18446744073709551616\"}", None),
            ("[1e300, 18446744073709551616.0, 123456789012345678901234567890E-5, 0.12345678901234567890123]", None),
            ("\"open", None),
            ("\"open\\", None),
            ("-", None),
        ] {
            let number = values(json.as_bytes()).err().map(|TooLarge(number)| number);
            assert_eq!(number.as_deref(), found, "{json}");
        }
    }

    #[test]
    fn values_are_counted_and_what_stands_in_text_is_none() {
        for (json, expected) in [
            ("1", 1),
            ("[0,0,0]", 4),
            ("[[],[],{}]", 7),
            ("{\"id\": 7, \"ok\": {\"n\": 3}}", 4),
            ("\"a,[{\\\",,,\"", 1),
            ("\"open,,,", 1),
        ] {
            assert_eq!(values(json.as_bytes()), Ok(expected), "{json}");
        }
    }
}
