//! Many rows in one statement, never larger than any server takes.
//!
//! Four ways, each the cheapest for what it does on both makes of server: a query with a line that is one row of `?` has
//! that line repeated (rows to insert); a query with `IN (?)` has the parenthesis filled (rows to look up); one with lines
//! `column = ?` too gives each row its own value by its place in that list (rows to change); one JSON array is a table in
//! the statement (sums to add). Numbers of rows are taken from short lists, so that a connection prepares few statements.
//! They are large: a group of verbs waits for each statement, and on a busy machine for its turn after each.
//!
//! Writing whole rows over those that are there (INSERT … ON DUPLICATE KEY UPDATE) costs a row 10 µs more than changing it.

use mysql_async::{Params, Value, params};
use serde::Serialize;

use super::{
    connection::{Fields, Tx},
    failure::Failure,
};

/// Rows in one statement, the largest first; a statement has at most 65,535 values. A connection remembers each size it
/// used, and of each the kind of every value: few of them are large.
const SIZES: [usize; 18] = [1_000, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 5, 4, 3, 2, 1];

/// Values in one list, the largest first; a list that is not full repeats its last value. MariaDB makes a table of a list of
/// a thousand.
const LISTS: [usize; 5] = [960, 256, 64, 16, 1];

/// Rows in one array.
const IN_ARRAY: usize = 1_000;

/// So many bytes of values go into one statement, unless one row alone has more: servers refuse packets over a limit of
/// theirs, 16 MiB as a rule.
const BYTES: usize = 2 * 1024 * 1024;

/// The values of one row.
pub(super) type RowOf<const N: usize> = [Value; N];

/// Inserts all rows; how many there were.
pub(super) async fn insert<const N: usize>(
    tx: &mut Tx,
    sql: &str,
    rows: impl Iterator<Item = RowOf<N>> + Send,
) -> Result<usize, Failure> {
    let mut rows = rows.peekable();
    let mut inserted = 0;
    let mut waiting: Vec<RowOf<N>> = Vec::new();
    while rows.peek().is_some() {
        let mut bytes: usize = waiting.iter().map(size).sum();
        while waiting.len() < SIZES[0] && bytes < BYTES {
            let Some(row) = rows.next() else { break };
            bytes += size(&row);
            waiting.push(row);
        }
        inserted += flush(tx, sql, &mut waiting).await?;
    }
    Ok(inserted)
}

async fn flush<const N: usize>(tx: &mut Tx, sql: &str, rows: &mut Vec<RowOf<N>>) -> Result<usize, Failure> {
    let count = rows.len();
    let mut rows = rows.drain(..);
    for size in SIZES {
        while rows.len() >= size {
            let values: Vec<Value> = rows.by_ref().take(size).flatten().collect();
            tx.change(&repeated(sql, size), Params::Positional(values)).await?;
        }
    }
    Ok(count)
}

/// What rows are found by.
pub(super) trait Key: Clone + Into<Value> + Sync {
    /// The function that tells a key's place in a list of keys that are in order.
    const PLACE: &'static str;
    /// So many are looked for in one list at most.
    const MOST: usize;
}

/// Found by halves.
impl Key for i64 {
    const PLACE: &'static str = "INTERVAL";
    const MOST: usize = CHANGED[0];
}

/// Found one after the other.
impl Key for &str {
    const PLACE: &'static str = "FIELD";
    const MOST: usize = CHANGED[1];
}

/// A row that is there: its key, what it was, and what it is now, in the order of the query's lines `column = ?`.
pub(super) struct Changed<K, const N: usize> {
    pub(super) key: K,
    pub(super) was: RowOf<N>,
    pub(super) is: RowOf<N>,
}

/// Rows changed by one statement: a row is looked for in a list of so many. Between the two longest is nothing: a connection
/// remembers the kind of every value of what it prepared, which for long lists is some hundred kilobytes each.
const CHANGED: [usize; 14] = [512, 128, 96, 64, 48, 32, 24, 16, 12, 8, 4, 3, 2, 1];

/// How many of so many rows are changed by the next statement at most.
fn at_once<K: Key>(rows: usize) -> usize {
    if rows > K::MOST / 2 { K::MOST } else { CHANGED[1] }
}

/// Changes rows that are there, given in the order of their keys. Columns that no row changes are left out, and one in which
/// all rows are alike, or by the same more than their keys, is one value. A list for more rows than are left is filled up
/// with the last of them. How many rows there were to change, those in which nothing is another included.
pub(super) async fn change<K: Key, const N: usize>(
    tx: &mut Tx,
    sql: &str,
    rows: &[Changed<K, N>],
) -> Result<usize, Failure> {
    let mut rows = rows;
    let mut matched = 0;
    let query = Query::of::<N>(sql)?;
    while !rows.is_empty() {
        let mut bytes = 0;
        let fits = |row: &&Changed<K, N>| {
            bytes += size(&row.is);
            bytes < BYTES
        };
        let (now, later) = rows.split_at(rows.iter().take(at_once::<K>(rows.len())).take_while(fits).count().max(1));
        rows = later;
        matched += match changing(&query, now) {
            Some((sql, values)) => {
                usize::try_from(tx.change(&sql, Params::Positional(values)).await?).unwrap_or(usize::MAX)
            }
            None => now.len(),
        };
    }
    Ok(matched)
}

/// A query that changes rows, in parts.
struct Query<'a> {
    head: &'a str,
    /// What each column becomes.
    set: Vec<&'a str>,
    key: &'a str,
    /// What else a row has to be.
    only: &'a str,
}

impl Query<'_> {
    /// Takes a query for rows of `N` columns apart.
    fn of<const N: usize>(sql: &str) -> Result<Query<'_>, Failure> {
        let parts = || {
            let (head, rest) = sql.trim_end().split_once("\nSET\n")?;
            let (set, found) = rest.split_once("\nWHERE ")?;
            let (key, only) = found.split_once(" IN (?)")?;
            Some(Query { head, set: set.split(",\n").collect(), key, only })
        };
        let query = parts().filter(|query| query.set.len() == N);
        query.ok_or_else(|| Failure::Contradiction(format!("a query that does not change {N} columns: {sql}")))
    }
}

/// The query that changes these rows, and its values; none when nothing is another.
fn changing<K: Key, const N: usize>(query: &Query<'_>, rows: &[Changed<K, N>]) -> Option<(String, Vec<Value>)> {
    let size = CHANGED.into_iter().rev().find(|size| *size >= rows.len()).unwrap_or(CHANGED[0]);
    let (first, last) = (rows.first()?, rows.last()?);
    let filled = || rows.iter().chain(std::iter::repeat_n(last, size - rows.len()));
    let keys = || filled().map(|row| row.key.clone().into());
    let list = vec!["?"; size].join(", ");
    let Query { head, set, key, only } = query;
    let mut values = Vec::new();
    let mut assigned: Vec<String> = Vec::with_capacity(N);
    for (column, line) in set.iter().enumerate() {
        if rows.iter().all(|row| row.was[column] == row.is[column]) {
            continue;
        }
        if rows.iter().all(|row| row.is[column] == first.is[column]) {
            assigned.push((*line).to_owned());
            values.push(first.is[column].clone());
        } else if let Some(more) = more_than_keys(rows, column) {
            assigned.push(line.replacen('?', &format!("{key} + ?"), 1));
            values.push(more.into());
        } else {
            assigned.push(line.replacen('?', &format!("ELT({}({key}, {list}), {list})", K::PLACE), 1));
            values.extend(keys());
            values.extend(filled().map(|row| row.is[column].clone()));
        }
    }
    if assigned.is_empty() {
        return None;
    }
    values.extend(keys());
    Some((format!("{head}\nSET\n{}\nWHERE {key} IN ({list}){only}", assigned.join(",\n")), values))
}

/// By how much a column is more than the row's key, when it is by the same in all rows: numbers that were taken together.
fn more_than_keys<K: Key, const N: usize>(rows: &[Changed<K, N>], column: usize) -> Option<i64> {
    let more = |row: &Changed<K, N>| match (&row.is[column], row.key.clone().into()) {
        (Value::Int(is), Value::Int(key)) => is.checked_sub(key),
        _ => None,
    };
    let first = more(rows.first()?)?;
    rows.iter().all(|row| more(row) == Some(first)).then_some(first)
}

fn size<const N: usize>(row: &RowOf<N>) -> usize {
    let bytes = |value: &Value| match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    };
    row.iter().map(bytes).sum()
}

/// The query with its line that is a row as often as there are rows.
fn repeated(sql: &str, rows: usize) -> String {
    let lines = sql.trim_end().split('\n').map(|line| match line {
        row if row.starts_with("(?") => vec![row; rows].join(",\n"),
        line => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The rows of a query whose `IN (?)` lists these keys, which are sorted: rows are locked in the order of their keys.
pub(super) async fn look_up<K>(
    tx: &mut Tx,
    sql: &str,
    keys: impl IntoIterator<Item = K>,
) -> Result<Vec<Fields>, Failure>
where
    K: Into<Value>,
{
    let mut keys: Vec<Value> = keys.into_iter().map(Into::into).collect();
    let mut found = Vec::with_capacity(keys.len());
    while let Some(last) = keys.last().cloned() {
        let left = keys.len().min(LISTS[0]);
        let size = LISTS.into_iter().rev().find(|size| *size >= left).unwrap_or(LISTS[0]);
        let mut list: Vec<Value> = keys.drain(..left).collect();
        list.resize(size, if keys.is_empty() { last } else { Value::NULL });
        found.extend(tx.all(&listed(sql, size), Params::Positional(list)).await?);
    }
    Ok(found)
}

/// The query with so many values in its list.
fn listed(sql: &str, values: usize) -> String {
    sql.replacen("(?)", &format!("({})", vec!["?"; values].join(", ")), 1)
}

/// Runs a query whose table `:rows` is these rows as JSON arrays; how many rows it matched.
pub(super) async fn write<R: Serialize>(
    tx: &mut Tx,
    sql: &str,
    rows: impl IntoIterator<Item = R>,
) -> Result<u64, Failure> {
    let mut matched = 0;
    for array in arrays(rows)? {
        matched += tx.change(sql, params! { "rows" => array }).await?;
    }
    Ok(matched)
}

/// Arrays of rows, none of them too large.
fn arrays<R: Serialize>(rows: impl IntoIterator<Item = R>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut arrays: Vec<Vec<u8>> = Vec::new();
    let mut array = Vec::new();
    let mut inside = 0;
    for row in rows {
        if inside == IN_ARRAY || array.len() >= BYTES {
            array.push(b']');
            arrays.push(std::mem::take(&mut array));
            inside = 0;
        }
        array.push(if inside == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut array, &row)?;
        inside += 1;
    }
    if inside > 0 {
        array.push(b']');
        arrays.push(array);
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_query_is_repeated() {
        assert_eq!(repeated("INSERT INTO t\nVALUES\n(?, ?)\n", 2), "INSERT INTO t\nVALUES\n(?, ?),\n(?, ?)");
        assert_eq!(repeated("VALUES\n(?)\nON x", 2), "VALUES\n(?),\n(?)\nON x");
    }

    #[test]
    fn a_change_has_the_columns_that_change_and_one_value_where_rows_are_alike() {
        let query =
            Query::of::<3>("UPDATE t\nSET\n    a = ?,\n    b = ?,\n    c = ?\nWHERE id IN (?)\n").expect("whole");
        let row =
            |key: i64, was: [i64; 3], is: [i64; 3]| Changed { key, was: was.map(Value::Int), is: is.map(Value::Int) };
        let ints = |values: &[i64]| values.iter().copied().map(Value::Int).collect::<Vec<_>>();

        let (sql, values) = changing(&query, &[row(7, [1, 2, 3], [1, 2, 4])]).expect("c changes");
        assert_eq!(sql, "UPDATE t\nSET\n    c = ?\nWHERE id IN (?)");
        assert_eq!(values, ints(&[4, 7]));

        let rows: Vec<_> = (0..5).map(|key| row(key, [0, 0, 0], [1, 0, 10 + key])).collect();
        let (sql, values) = changing(&query, &rows).expect("a and c change");
        assert_eq!(sql, "UPDATE t\nSET\n    a = ?,\n    c = id + ?\nWHERE id IN (?, ?, ?, ?, ?, ?, ?, ?)");
        assert_eq!(values, ints(&[1, 10, 0, 1, 2, 3, 4, 4, 4, 4]));

        let rows: Vec<_> = (0..5).map(|key| row(key, [0, 0, 0], [1, 0, 10 + 2 * key])).collect();
        let (sql, values) = changing(&query, &rows).expect("a and c change");
        let list = "?, ?, ?, ?, ?, ?, ?, ?";
        assert_eq!(
            sql,
            format!("UPDATE t\nSET\n    a = ?,\n    c = ELT(INTERVAL(id, {list}), {list})\nWHERE id IN ({list})")
        );
        let (keys, own) = ([0, 1, 2, 3, 4, 4, 4, 4], [10, 12, 14, 16, 18, 18, 18, 18]);
        assert_eq!(values, ints(&[&[1][..], &keys, &own, &keys].concat()));

        assert!(changing(&query, &[row(7, [1, 2, 3], [1, 2, 3])]).is_none());

        let sums = "UPDATE t\nSET\n    a = a + CAST(? AS SIGNED),\n    b = greatest(b, ?)\nWHERE name IN (?)\n";
        let row = |key, is| Changed { key, was: [Value::Int(0), Value::Int(5)], is: [Value::Int(is), Value::Int(5)] };
        let (sql, values) =
            changing(&Query::of::<2>(sums).expect("whole"), &[row("x", 1), row("y", 2)]).expect("a changes");
        let a = "a = a + CAST(ELT(FIELD(name, ?, ?), ?, ?) AS SIGNED)";
        assert_eq!(sql, format!("UPDATE t\nSET\n    {a}\nWHERE name IN (?, ?)"));
        let names = || ["x", "y"].map(Value::from).into_iter();
        assert_eq!(values, names().chain(ints(&[1, 2])).chain(names()).collect::<Vec<_>>());
    }

    #[test]
    fn the_list_of_a_query_is_filled() {
        assert_eq!(listed("WHERE id IN (?)\nFOR UPDATE", 3), "WHERE id IN (?, ?, ?)\nFOR UPDATE");
    }

    #[test]
    fn rows_go_into_as_few_arrays_as_are_not_too_large() {
        assert_eq!(arrays([(1, "a"), (2, "b")]).expect("text"), [b"[[1,\"a\"],[2,\"b\"]]"]);
        assert!(arrays(Vec::<(i64, &str)>::new()).expect("text").is_empty());
        let large = "x".repeat(BYTES);
        assert_eq!(arrays([(1, &large), (2, &large)]).expect("text").len(), 2);
        assert_eq!(arrays((0..IN_ARRAY + 1).map(|row| (row,))).expect("text").len(), 2);
    }
}
