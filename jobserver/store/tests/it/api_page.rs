//! docs/API.md prints queries and their answers; on a store with a small history of its own, these are the answers.

use std::{fs, path::Path};

use mysql_async::{Row, Value, prelude::Queryable as _};
use nightshift_store::{JobChange, Store};
use nightshift_testbed::database::Make;
use nightshift_wire::{GiveBackCause, JobAction, JobFilter};
use rusqlite::{Connection, types::ValueRef};

use crate::{
    hands::{beat, claim, finish, give_back, hand_in},
    place::{MysqlPlace, Place as _, SqlitePlace},
};

/// 2025-01-02 03:04:05 UTC.
const BEGINNING: i64 = 1_735_787_045_000;
const MINUTE: i64 = 60_000;

/// A query and the answer printed below it, a line for each row.
struct Example {
    query: String,
    answer: Vec<String>,
}

/// The examples for one kind of store: blocks marked `sql`, or `sql` and the kind; an answer holds for all before it.
fn examples(kind: &str) -> Vec<Example> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/API.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, page) = page.split_once("## In plain SQL").expect("its second part");
    let mut examples: Vec<Example> = Vec::new();
    let mut query = None;
    for block in page.split("```").skip(1).step_by(2) {
        let (mark, text) = block.split_once('\n').expect("a mark");
        match mark.split_whitespace().collect::<Vec<_>>()[..] {
            ["sql"] => query = Some(text.to_owned()),
            ["sql", of] if of == kind => query = Some(text.to_owned()),
            ["sql", _] => {}
            ["text"] => examples.push(Example {
                query: query.take().expect("a query for each answer"),
                answer: text.lines().map(str::to_owned).collect(),
            }),
            _ => panic!("what is `{mark}`?"),
        }
    }
    assert!(examples.len() >= 8, "{}", examples.len());
    examples
}

/// Four jobs of two records: two are done, the first of them twice because it was retried, one is under way, and with one the
/// plugin fell over once too often.
async fn tell_the_story(store: &dyn Store) {
    hand_in(store, &[2, 2, 2, 2]).await;
    let mut ended = Vec::new();
    for (worker, now) in [("anna", BEGINNING), ("bert", BEGINNING + MINUTE)] {
        let claimed = claim(store, worker, now).await;
        finish(store, &claimed, now).await;
        ended.push(claimed.attempt);
    }
    let under_way = claim(store, "clara", BEGINNING).await;
    beat(store, &under_way, BEGINNING).await;
    for round in 0..3 {
        // Far behind any pause between two attempts.
        let now = BEGINNING + 60 * MINUTE * round;
        let failing = claim(store, "dora", now).await;
        give_back(store, &failing, GiveBackCause::Failed, "the plugin ran out of memory", now).await;
        ended.push(failing.attempt);
    }
    let first = JobFilter { ids: vec![1], ..JobFilter::default() };
    let retry = JobChange { action: JobAction::Retry, filter: first, reason: String::new(), dry_run: false };
    let now = BEGINNING + 2 * MINUTE;
    store.change_jobs(&retry, 0, now).await.expect("retried");
    let again = claim(store, "anna", now).await;
    finish(store, &again, now).await;
    ended.push(again.attempt);
    store.count_work(&ended).await.expect("counted");
}

fn as_line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().collect::<Vec<_>>().join(" | ")
}

mod on_sqlite {
    use super::*;

    #[tokio::test]
    async fn every_query_of_the_api_page_answers_as_printed() {
        let place = SqlitePlace::fresh();
        tell_the_story(&*place.open().await).await;
        let reader = Connection::open(place.database()).expect("a person's shell");
        for Example { query, answer } in examples("sqlite") {
            let mut statement = reader.prepare(&query).unwrap_or_else(|error| panic!("{query}\n{error}"));
            let columns = statement.column_count();
            let line = |row: &rusqlite::Row<'_>| {
                let cell = |column| match row.get_ref(column)? {
                    ValueRef::Null => Ok("NULL".to_owned()),
                    ValueRef::Integer(number) => Ok(number.to_string()),
                    ValueRef::Real(number) => Ok(number.to_string()),
                    ValueRef::Text(text) | ValueRef::Blob(text) => Ok(String::from_utf8_lossy(text).into_owned()),
                };
                Ok(as_line((0..columns).map(cell).collect::<rusqlite::Result<Vec<_>>>()?))
            };
            let lines: Vec<String> =
                statement.query_map([], line).expect("rows").map(|row| row.expect("a row")).collect();
            assert_eq!(lines, answer, "{query}");
        }
    }
}

async fn every_query_of_the_api_page_answers_as_printed(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    tell_the_story(&place.store().await).await;
    let mut shell = place.shell().await;
    for Example { query, answer } in examples("mysql") {
        let rows: Vec<Row> = shell.query(&query).await.unwrap_or_else(|error| panic!("{query}\n{error}"));
        let cell = |value: Value| match value {
            Value::NULL => "NULL".to_owned(),
            Value::Bytes(text) => String::from_utf8_lossy(&text).into_owned(),
            other => other.as_sql(true),
        };
        let lines: Vec<String> = rows.into_iter().map(|row| as_line(row.unwrap().into_iter().map(cell))).collect();
        assert_eq!(lines, answer, "{query}");
    }
}

crate::makes::on_both!(every_query_of_the_api_page_answers_as_printed);
