//! Whole numbers that JSON can write and 64 bits cannot hold: reading them would make them another number, silently.

/// The longest run of digits that always fits.
const ALWAYS_FITS: usize = 18;

/// The first whole number in a JSON text that neither fits 64 bits with a sign nor without one.
pub(super) fn too_large(json: &[u8]) -> Option<String> {
    let mut place = 0;
    while let Some(&byte) = json.get(place) {
        match byte {
            b'"' => place = behind_text(json, place + 1),
            b'-' | b'0'..=b'9' => {
                let digits = json[place + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let end = place + 1 + digits;
                let whole = !matches!(json.get(end), Some(b'.' | b'e' | b'E'));
                if whole && digits >= ALWAYS_FITS && !fits(&json[place..end]) {
                    return Some(String::from_utf8_lossy(&json[place..end]).into_owned());
                }
                // What follows a point or an e is no whole number.
                let rest = json[end..].iter();
                place = end
                    + rest.take_while(|byte| matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-' | b'0'..=b'9')).count();
            }
            _ => place += 1,
        }
    }
    None
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
            assert_eq!(too_large(json.as_bytes()).as_deref(), found, "{json}");
        }
    }
}
