//! A MySQL server's values as the runtime's own.

use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use crate::sql::answer::Cell;

/// The character set of what is no text.
const BINARY: u16 = 63;

/// What stands in column `index`.
pub(super) fn cell(row: &Row, index: usize) -> Cell<'_> {
    let Some((value, column)) = row.as_ref(index).zip(row.columns_ref().get(index)) else { return Cell::Null };
    let kind = column.column_type();
    match value {
        Value::NULL => Cell::Null,
        Value::Int(number) => Cell::Integer(*number),
        Value::UInt(number) => i64::try_from(*number)
            .map_or_else(|_| Cell::Other(format!("the integer {number}, beyond 64 bits with a sign")), Cell::Integer),
        // The digits a person reads: 0.1 and not 0.10000000149.
        Value::Float(number) => Cell::Real(number.to_string().parse().unwrap_or(f64::from(*number))),
        Value::Double(number) => Cell::Real(*number),
        Value::Bytes(bytes) => of_bytes(bytes, kind, column.character_set(), column.decimals()),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            let text = match kind {
                ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => date,
                _ => format!("{date} {hour:02}:{minute:02}:{second:02}{}", fraction(*micros, column.decimals())),
            };
            Cell::Text(text.into_bytes().into())
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if *negative { "-" } else { "" };
            let hours = days * 24 + u32::from(*hours);
            let fraction = fraction(*micros, column.decimals());
            Cell::Text(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}").into_bytes().into())
        }
    }
}

fn of_bytes(bytes: &[u8], kind: ColumnType, character_set: u16, decimals: u8) -> Cell<'_> {
    match kind {
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => match std::str::from_utf8(bytes) {
            Ok(digits) => Cell::Decimal { digits, whole: decimals == 0 },
            Err(_) => Cell::Other("a decimal that is not readable".to_owned()),
        },
        // MySQL calls JSON binary, and means UTF-8.
        ColumnType::MYSQL_TYPE_JSON => Cell::Text(bytes.into()),
        _ if character_set == BINARY => {
            Cell::Other(format!("{} bytes that are no text (CONVERT them USING utf8mb4, or HEX them)", bytes.len()))
        }
        _ => Cell::Text(bytes.into()),
    }
}

/// A fraction of a second in as many places as its column has; 31 stands for any number of places.
fn fraction(micros: u32, decimals: u8) -> String {
    let digits = format!("{micros:06}");
    match usize::from(decimals) {
        0 => String::new(),
        places @ 1..=6 => format!(".{}", &digits[..places]),
        _ if micros == 0 => String::new(),
        _ => format!(".{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_only_where_the_server_says_so() {
        let blob = of_bytes(b"\xff\x00", ColumnType::MYSQL_TYPE_BLOB, BINARY, 0);
        assert!(matches!(blob, Cell::Other(words) if words.starts_with("2 bytes that are no text")));
        assert_eq!(of_bytes(b"a", ColumnType::MYSQL_TYPE_VAR_STRING, 255, 0), Cell::Text(b"a".as_slice().into()));
        assert_eq!(of_bytes(b"{}", ColumnType::MYSQL_TYPE_JSON, BINARY, 0), Cell::Text(b"{}".as_slice().into()));
        let sum = of_bytes(b"12", ColumnType::MYSQL_TYPE_NEWDECIMAL, BINARY, 0);
        assert_eq!(sum, Cell::Decimal { digits: "12", whole: true });
    }

    #[test]
    fn a_moment_has_as_many_places_as_its_column() {
        assert_eq!(
            ["", ".500", ".500000"],
            [fraction(500_000, 0), fraction(500_000, 3), fraction(500_000, 31)]
                .map(|f| f)
                .each_ref()
                .map(String::as_str)
        );
        assert_eq!(fraction(0, 31), "");
    }
}
