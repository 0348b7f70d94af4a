//! How MariaDB and MySQL find the rows of each query of job control: never by reading one of the large tables from end to
//! end, which nobody notices until there are a million jobs.

use mysql_async::{Row, prelude::Queryable as _};
use nightshift_testbed::database::Make;

use crate::{
    hands::{claim, finish, hand_in},
    makes::on_both,
    place::MysqlPlace,
};

on_both!(no_query_reads_a_large_table_from_end_to_end,);

/// Tables that grow with the jobs.
const LARGE: [&str; 5] = ["jobs", "attempts", "job_records", "job_results", "superseded_results"];

async fn no_query_reads_a_large_table_from_end_to_end(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    hand_in(&store, &[2; 3]).await;
    hand_in(&store, &[2; 200]).await;
    for _ in 0..60 {
        let claimed = claim(&store, "w", 0).await;
        finish(&store, &claimed, 1).await;
    }
    claim(&store, "w", 0).await;
    let mut shell = place.shell().await;
    for table in LARGE {
        shell.query_drop(format!("ANALYZE TABLE {table}")).await.expect("statistics");
    }
    if make == Make::MySql {
        // MariaDB has no other way; MySQL 9 explains in sentences unless it is asked not to.
        shell.query_drop("SET SESSION explain_format = 'TRADITIONAL'").await.expect("MySQL 8.0.32 or later");
    }
    let mut seen = 0;
    for (file, sql) in queries() {
        let plan: Vec<Row> = match shell.query(format!("EXPLAIN {sql}")).await {
            Ok(plan) => plan,
            Err(error) => panic!("{file} cannot be explained: {error}\n{sql}"),
        };
        for row in plan {
            let of = |column: &str| row.get::<Option<String>, _>(column).flatten().unwrap_or_default();
            let (table, how) = (of("table"), of("type"));
            if of("select_type") == "INSERT" || !LARGE.contains(&table.as_str()) {
                continue;
            }
            seen += 1;
            assert!(!["ALL", "index"].contains(&how.as_str()), "{file} reads all of {table} ({how})\n{sql}");
        }
    }
    assert!(seen > 20, "only {seen} looks into large tables were explained");
}

/// Queries that look for rows, with values in the places of their parameters.
fn queries() -> Vec<(String, String)> {
    let folder = format!("{}/src/mysql", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut queries: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|end| end == "sql"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("a query")))
        .map(|(file, sql)| (file, filled(&sql)))
        .filter(|(_, sql)| ["SELECT", "UPDATE", "DELETE", "INSERT"].iter().any(|verb| sql.starts_with(verb)))
        // What is found by the key of the row that is written is no search.
        .filter(|(_, sql)| !sql.contains("VALUES"))
        .collect();
    queries.sort();
    queries
}

fn filled(sql: &str) -> String {
    let lines: Vec<&str> = sql.lines().filter(|line| !line.starts_with("--")).collect();
    let sql = lines
        .join("\n")
        .replace("(?)", "('1', '2')")
        .replace(" = ?", " = '1'")
        .replace("CAST(?", "CAST('1'")
        .replace(":rows", "'[]'")
        .replace(":ids", "'[1, 2]'")
        .replace(":limit", "10");
    let mut filled = String::new();
    let mut rest = sql.as_str();
    while let Some((before, behind)) = rest.split_once(':') {
        filled += before;
        filled += "'1'";
        rest = behind.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
    }
    filled + rest
}
