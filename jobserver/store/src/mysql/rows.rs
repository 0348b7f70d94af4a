//! Many rows in one statement, never larger than any server takes.
//!
//! A query whose last line is one row of `?` has that line repeated. Numbers of rows are taken from a short list, so that
//! a connection prepares few statements however many rows a job has.

use mysql_async::{Params, Value};

use super::{connection::Tx, failure::Failure};

/// Rows in one statement, the largest first; a statement has at most 65,535 values.
const SIZES: [usize; 4] = [1_000, 100, 10, 1];

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

fn size<const N: usize>(row: &RowOf<N>) -> usize {
    let bytes = |value: &Value| match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    };
    row.iter().map(bytes).sum()
}

/// The query with its last line, a row, as often as there are rows.
fn repeated(sql: &str, rows: usize) -> String {
    let (begin, row) = sql.trim_end().rsplit_once('\n').unwrap_or(("", sql));
    format!("{begin}\n{}", vec![row; rows].join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_query_is_repeated() {
        assert_eq!(repeated("INSERT INTO t\nVALUES\n(?, ?)\n", 2), "INSERT INTO t\nVALUES\n(?, ?),\n(?, ?)");
    }
}
