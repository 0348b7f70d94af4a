//! Whether replication filters leave a table out, as servers apply them to rows. Pure.

use crate::facts::Filters;

/// What leaves `schema.table` out, as the server names it; `None` when nothing does.
pub(crate) fn hides(filters: &Filters, table: &str) -> Option<String> {
    let schema = table.split('.').next().unwrap_or_default();
    let found = |name: &str, list: &str| Some(format!("{name}={list}"));
    let named = |list: &str, what: &str| list.split(',').any(|entry| entry.trim() == what);
    let like = |list: &str| list.split(',').any(|pattern| is_like(pattern.trim(), table));
    let Filters { do_db, ignore_db, do_table, ignore_table, wild_do_table, wild_ignore_table } = filters;
    if !do_db.is_empty() && !named(do_db, schema) {
        return found("replicate_do_db", do_db);
    }
    if named(ignore_db, schema) && !schema.is_empty() && do_db.is_empty() {
        return found("replicate_ignore_db", ignore_db);
    }
    if named(do_table, table) {
        return None;
    }
    if named(ignore_table, table) {
        return found("replicate_ignore_table", ignore_table);
    }
    if like(wild_do_table) {
        return None;
    }
    if like(wild_ignore_table) {
        return found("replicate_wild_ignore_table", wild_ignore_table);
    }
    match (do_table.is_empty(), wild_do_table.is_empty()) {
        (true, true) => None,
        (false, _) => found("replicate_do_table", do_table),
        (true, false) => found("replicate_wild_do_table", wild_do_table),
    }
}

/// `%` is anything, `_` any one character, `\` takes both their meaning.
fn is_like(pattern: &str, text: &str) -> bool {
    let (mut pattern_chars, mut text_chars) = (pattern.chars(), text.chars());
    match pattern_chars.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = pattern_chars.as_str();
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| is_like(rest, &text[at..]))
        }
        Some('_') => text_chars.next().is_some() && is_like(pattern_chars.as_str(), text_chars.as_str()),
        Some(plain) => {
            let plain = if plain == '\\' { pattern_chars.next().unwrap_or(plain) } else { plain };
            text_chars.next() == Some(plain) && is_like(pattern_chars.as_str(), text_chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_hidden_by_what_leaves_it_out_and_by_what_names_only_others() {
        let none = Filters::default();
        let all = [
            (Filters { do_db: "other,company".into(), ..none.clone() }, None),
            (Filters { do_db: "other".into(), ..none.clone() }, Some("replicate_do_db=other")),
            (Filters { ignore_db: "company".into(), ..none.clone() }, Some("replicate_ignore_db=company")),
            (Filters { ignore_db: "other".into(), ..none.clone() }, None),
            (Filters { do_table: "company.people".into(), ..none.clone() }, None),
            (Filters { do_table: "company.other".into(), ..none.clone() }, Some("replicate_do_table=company.other")),
            (
                Filters { ignore_table: "company.people".into(), ..none.clone() },
                Some("replicate_ignore_table=company.people"),
            ),
            (Filters { wild_do_table: "comp%.peo_le".into(), ..none.clone() }, None),
            (Filters { wild_do_table: "other.%".into(), ..none.clone() }, Some("replicate_wild_do_table=other.%")),
            (
                Filters { wild_ignore_table: "company.%".into(), ..none.clone() },
                Some("replicate_wild_ignore_table=company.%"),
            ),
            (Filters { wild_ignore_table: "company.p\\_%".into(), ..none.clone() }, None),
            (none, None),
        ];
        for (filters, hidden) in all {
            assert_eq!(hides(&filters, "company.people").as_deref(), hidden, "{filters:?}");
        }
    }
}
