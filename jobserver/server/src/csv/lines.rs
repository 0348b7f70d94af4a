//! From results to text: CSV, which [`nightshift_manifest::csv`] reads back as it was, or JSON lines.

use std::borrow::Cow;

use nightshift_wire::Outcome;
use serde_json::Value;

use super::intake::ERROR_COLUMN;

/// Adds one row to `text`, with its newline.
pub fn write_row<'f>(text: &mut String, fields: impl IntoIterator<Item = &'f str>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_field(text, field);
    }
    text.push('\n');
}

fn write_field(text: &mut String, field: &str) {
    let blank = |end: Option<char>| end.is_some_and(|end| end == ' ' || end == '\t');
    let quoted = field.contains([',', '"', '\n', '\r'])
        || field.starts_with('\u{feff}')
        || blank(field.chars().next())
        || blank(field.chars().next_back());
    if quoted {
        text.push('"');
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(field);
    }
}

/// Adds one record with its result to `text` as a JSON object on a line: the columns handed in as text, the outputs as the
/// plugin gave them, `error` as text or null.
pub fn write_json_line(
    text: &mut String,
    columns: &[String],
    fields: &[String],
    outputs: &[String],
    outcome: &Outcome,
) {
    let (values, error) = match outcome {
        Outcome::Ok(values) => (Some(values), Value::Null),
        Outcome::Error(error) => (None, Value::from(reason(error))),
    };
    let handed_in = columns.iter().zip(fields).map(|(name, field)| (name.as_str(), Value::from(field.as_str())));
    let added = outputs.iter().map(|output| {
        let value = values.and_then(|values| values.get(output)).cloned();
        (output.as_str(), value.unwrap_or(Value::Null))
    });
    for (index, (name, value)) in handed_in.chain(added).chain([(ERROR_COLUMN, error)]).enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        // Its own key may hold anything: it is written as a value, too.
        text.push_str(&format!("{}:{value}", Value::from(name)));
    }
    text.push_str("}\n");
}

/// An error is never empty.
fn reason(error: &str) -> &str {
    if error.is_empty() { "failed without a reason" } else { error }
}

/// Adds one record with its result to `text`: the fields as they were handed in, a field for each output, the error.
/// A missing output is empty.
pub fn write_result(text: &mut String, fields: &[String], outputs: &[String], outcome: &Outcome) {
    let mut row: Vec<Cow<'_, str>> = fields.iter().map(Cow::from).collect();
    match outcome {
        Outcome::Ok(values) => {
            row.extend(outputs.iter().map(|output| values.get(output).map_or(Cow::from(""), value)));
            row.push(Cow::from(""));
        }
        Outcome::Error(error) => {
            row.extend(outputs.iter().map(|_| Cow::from("")));
            row.push(Cow::from(reason(error)));
        }
    }
    write_row(text, row.iter().map(AsRef::as_ref));
}

fn value(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::from(""),
        Value::String(text) => Cow::from(text),
        other => Cow::from(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_manifest::csv::Rows;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn outputs() -> Vec<String> {
        vec!["score".to_owned(), "person".to_owned()]
    }

    fn line(outcome: &Outcome) -> String {
        let mut text = String::new();
        write_result(&mut text, &["1".to_owned(), "Smith, John".to_owned()], &outputs(), outcome);
        text
    }

    #[test]
    fn a_value_stands_in_its_column_and_a_missing_one_is_empty() {
        let values = [("score".to_owned(), json!(0.5)), ("person".to_owned(), json!("p\"1"))].into();
        assert_eq!(line(&Outcome::Ok(values)), "1,\"Smith, John\",0.5,\"p\"\"1\",\n");
        assert_eq!(line(&Outcome::Ok([("person".to_owned(), json!(null))].into())), "1,\"Smith, John\",,,\n");
    }

    #[test]
    fn an_error_leaves_the_outputs_empty_and_is_never_empty_itself() {
        assert_eq!(line(&Outcome::Error("no such date".to_owned())), "1,\"Smith, John\",,,no such date\n");
        assert_eq!(line(&Outcome::Error(String::new())), "1,\"Smith, John\",,,failed without a reason\n");
    }

    #[test]
    fn a_json_line_has_every_column_in_order_and_values_as_they_are() {
        let (columns, fields) = (["b".to_owned(), "a\"".to_owned()], ["1".to_owned(), "x\ny".to_owned()]);
        let line = |outcome| {
            let mut text = String::new();
            write_json_line(&mut text, &columns, &fields, &outputs(), &outcome);
            text
        };
        let values = [("score".to_owned(), json!(0.5)), ("person".to_owned(), json!(["p"]))].into();
        let expected = "{\"b\":\"1\",\"a\\\"\":\"x\\ny\",\"score\":0.5,\"person\":[\"p\"],\"error\":null}\n";
        assert_eq!(line(Outcome::Ok(values)), expected);
        let expected = "{\"b\":\"1\",\"a\\\"\":\"x\\ny\",\"score\":null,\"person\":null,\"error\":\"no\"}\n";
        assert_eq!(line(Outcome::Error("no".to_owned())), expected);
    }

    #[test]
    fn blanks_at_an_end_are_kept_by_quotes() {
        let mut text = String::new();
        write_row(&mut text, [" a", "b\t", "c d", ""]);
        assert_eq!(text, "\" a\",\"b\t\",c d,\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(table in vec(vec(".*|[ ,\"\r\n\t]*", 2..5), 0..6)) {
            let mut text = String::new();
            for row in &table {
                write_row(&mut text, row.iter().map(String::as_str));
            }
            let (mut reader, mut rows) = (Rows::default(), Vec::new());
            prop_assert_eq!(reader.feed(text.as_bytes(), &mut rows), Ok(()));
            rows.extend(reader.finish().expect("whole"));
            prop_assert_eq!(rows.into_iter().map(|row| row.fields).collect::<Vec<_>>(), table);
        }
    }
}
