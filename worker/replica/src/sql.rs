//! Statements that are files with places in them: `{name}` is where a value goes, as SQL writes it.

/// A text as SQL writes it.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as SQL writes it.
pub(crate) fn name(value: &str) -> String {
    format!("`{}`", value.replace('`', "``"))
}

/// `schema.table` as SQL writes it.
pub(crate) fn table(value: &str) -> String {
    match value.split_once('.') {
        Some((schema, table)) => format!("{}.{}", name(schema), name(table)),
        None => name(value),
    }
}

/// A file with its places filled: each name, and what goes there. What is filled in is not looked at again.
pub(crate) fn fill(file: &str, places: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(file.len());
    let mut rest = file;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let place =
            places.iter().find_map(|(name, value)| Some((*value, after.strip_prefix(name)?.strip_prefix('}')?)));
        match place {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The statements of a file, without comments, each on one line.
pub(crate) fn statements(file: &str) -> Vec<String> {
    let lines: Vec<&str> = file.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in lines {
        if !statement.is_empty() {
            statement.push(' ');
        }
        statement.push_str(line.trim());
        if statement.ends_with(';') {
            statement.pop();
            statements.push(std::mem::take(&mut statement));
        }
    }
    statements.extend((!statement.trim().is_empty()).then_some(statement));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_names_stay_what_they_are() {
        assert_eq!(text(r"it's a \ "), r"'it''s a \\ '");
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(table("nightshift.heartbeat"), "`nightshift`.`heartbeat`");
    }

    #[test]
    fn what_is_filled_in_is_no_place_itself() {
        assert_eq!(fill("x {a}, {b} {c}", &[("a", "{b}"), ("b", "2")]), "x {b}, 2 {c}");
    }

    #[test]
    fn a_file_is_its_statements_without_comments() {
        assert_eq!(statements("-- why\nSELECT 1,\n  2;\nSELECT 'a;b';\n"), ["SELECT 1, 2", "SELECT 'a;b'"]);
    }
}
