//! A block on the replica: what the query sees of it, and what becomes of its rows.

use nightshift_plugin::BlockError;
use nightshift_testbed::database::Make;

use super::site::{COUNT, MANIFEST, Site, Tree, block, shown};

#[test]
fn a_query_sees_the_block_and_the_tables_of_the_replica_and_every_record_gets_its_result_in_order() {
    for site in Site::each() {
        let tree = Tree::new(COUNT);
        assert_eq!(tree.outcomes(site, &[("Anna", "1"), ("Cleo", ""), ("Bert", "3")]), ["2", "0", "1"]);
        assert_eq!(tree.outcomes(site, &[]), [""; 0]);
    }
}

#[test]
fn a_query_may_begin_with_comments_and_with_and_look_at_the_block_twice() {
    for site in Site::each() {
        let query = "-- counts\n/* twice */ WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)\n\
                     SELECT r.record_id, (SELECT count(*) FROM records) + (SELECT max(i) FROM n) AS hits FROM records r;\n-- end";
        assert_eq!(Tree::new(query).outcomes(site, &[("a", "1"), ("b", "1")]), ["6", "6"]);
    }
}

#[test]
fn texts_and_numbers_reach_the_query_as_they_are() {
    for site in Site::each() {
        let query = "SELECT record_id, CASE WHEN name = 'a\\0b\"\\\\c\u{10ffff}' AND age = -9223372036854775808 THEN 1 \
                     WHEN name = '' AND age IS NULL THEN 2 WHEN age = 9223372036854775807 THEN 3 END AS hits FROM records";
        let records = [("a\0b\"\\c\u{10ffff}", "-9223372036854775808"), ("", ""), ("x", "9223372036854775807")];
        assert_eq!(Tree::new(query).outcomes(site, &records), ["1", "2", "3"]);
    }
}

#[test]
fn an_instance_sees_what_replication_brings_between_two_blocks() {
    for site in Site::each() {
        site.administer("CREATE TABLE company.growing (name VARCHAR(100))");
        let mut plugin = Tree::new(&COUNT.replace("people", "growing")).open(&site.host()).expect("opens");
        let mut hits = || shown(plugin.process(&block(&[("Anna", "1")])).expect("has results"));
        assert_eq!(hits(), ["0"]);
        site.administer("INSERT INTO company.growing VALUES ('Anna')");
        assert_eq!(hits(), ["1"]);
        site.administer("DROP TABLE company.growing");
    }
}

#[test]
fn the_open_script_fills_temporary_tables_that_stay_from_block_to_block() {
    for site in Site::each() {
        let tree = Tree::new(
            "SELECT record_id, people AS hits FROM records JOIN nightshift_scratch.tally AS tally USING (name)",
        )
        .with(
            "open.mysql.sql",
            "CREATE TEMPORARY TABLE nightshift_scratch.tally (name VARCHAR(100) PRIMARY KEY, people INT);\n\
             INSERT INTO nightshift_scratch.tally SELECT name, count(*) FROM people GROUP BY name; -- done\n",
        );
        let mut plugin = tree.open(&site.host()).expect("opens");
        for _ in 0..2 {
            assert_eq!(
                shown(plugin.process(&block(&[("Anna", "1"), ("Bert", "1")])).expect("has results")),
                ["2", "1"]
            );
        }
    }
}

#[test]
fn a_decimal_a_date_and_bytes_are_taken_where_they_fit_and_named_where_they_do_not() {
    for site in Site::each() {
        let answer = |value: &str, declared: &str| {
            let manifest = MANIFEST.replace("hits = \"integer\"", &format!("hits = \"{declared}\""));
            let tree = Tree::new(&format!("SELECT record_id, {value} AS hits FROM records"));
            tree.with("plugin.toml", &manifest).outcomes(site, &[("a", "1")]).remove(0)
        };
        for (value, declared, expected) in [
            ("(SELECT sum(person_id) FROM people)", "integer", "6"),
            ("(SELECT avg(person_id) FROM people)", "real", "2.0"),
            ("1.50", "text", "\"1.50\""),
            ("CAST('2026-02-03' AS DATE)", "text", "\"2026-02-03\""),
            ("CAST('2026-02-03 04:05:06' AS DATETIME)", "text", "\"2026-02-03 04:05:06\""),
            ("CAST('2026-02-03 04:05:06.25' AS DATETIME(2))", "text", "\"2026-02-03 04:05:06.25\""),
            ("CAST('-30:00:01' AS TIME)", "text", "\"-30:00:01\""),
            ("JSON_OBJECT('a', 1)", "text", "\"{\\\"a\\\": 1}\""),
            ("1 = 1", "integer", "1"),
        ] {
            assert_eq!(answer(value, declared), expected, "{value} on {:?}", site.make());
        }
        for (value, declared, says) in [
            ("1.5", "integer", "the decimal 1.5 as hits, which [output] declares as integer"),
            ("'one'", "integer", "the text \"one\" as hits"),
            ("18446744073709551615", "integer", "the integer 18446744073709551615, beyond 64 bits"),
            ("CAST('2026-02-03' AS DATE)", "integer", "the text \"2026-02-03\""),
            ("X'ff00'", "text", "2 bytes that are no text"),
            ("CAST('a' AS BINARY)", "text", "1 bytes that are no text"),
        ] {
            let found = answer(value, declared);
            assert!(found.contains(says), "{value} on {:?}: {found}", site.make());
        }
    }
}

#[test]
fn a_record_without_a_row_or_with_several_gets_an_error_of_its_own_on_the_replica_too() {
    for site in Site::each() {
        let tree = Tree::new("SELECT record_id, 1 AS hits FROM records, people WHERE people.name = records.name");
        let expected =
            ["the plugin returned 2 results for this record", "the plugin returned no result for this record", "1"];
        assert_eq!(tree.outcomes(site, &[("Anna", "1"), ("Cleo", "1"), ("Bert", "1")]), expected);
    }
}

#[test]
fn a_row_for_a_record_of_another_block_fails_the_block_on_the_replica_too() {
    for site in Site::each() {
        let tree = Tree::new("SELECT record_id + 1 AS record_id, 1 AS hits FROM records");
        let mut plugin = tree.open(&site.host()).expect("opens");
        for _ in 0..2 {
            let error = plugin.process(&block(&[("a", "1")])).expect_err("no row has a record");
            assert!(matches!(&error, BlockError::ForeignRow { found, .. } if found == "1001"), "{error}");
        }
    }
}

#[test]
fn texts_are_compared_by_the_collation_that_the_plugin_declares() {
    for site in Site::each() {
        let query = "SELECT record_id, name = 'anna' AS hits FROM records";
        let with = |collation: &str| {
            let data = format!("tables = [\"people\"]\ncollation = \"{collation}\"");
            Tree::new(query).with("plugin.toml", &MANIFEST.replace("tables = [\"people\"]", &data))
        };
        assert_eq!(with("utf8mb4_general_ci").outcomes(site, &[("Anna", "1")]), ["1"]);
        assert_eq!(with("utf8mb4_bin").outcomes(site, &[("Anna", "1")]), ["0"]);
        for unknown in ["utf8mb4_klingon_ci", "latin1_bin"] {
            let message = with(unknown).refusal(site);
            assert!(
                message.starts_with("plugins/p/plugin.toml: collation: ") && message.contains(unknown),
                "{message}"
            );
        }
        let clash = if site.make() == Make::MariaDb { "utf8mb4_swedish_ci" } else { "utf8mb4_general_ci" };
        let data = format!("tables = [\"people\"]\ncollation = \"{clash}\"");
        let message =
            Tree::new(COUNT).with("plugin.toml", &MANIFEST.replace("tables = [\"people\"]", &data)).refusal(site);
        assert!(message.contains("name the collation of the table's column"), "{message}");
    }
}

#[test]
fn a_poisonous_record_costs_only_its_own_result_on_the_replica_too() {
    for site in Site::each() {
        // The sum has more digits than a number can hold, for one record alone.
        let query = "SELECT record_id, CASE name WHEN 'poison' THEN 9223372036854775807 + age ELSE age END AS hits FROM records";
        let mut records = vec![("good", "1"); 40];
        records[17].0 = "poison";
        let outcomes = Tree::new(query).outcomes(site, &records);
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "1").count(), 39, "{outcomes:?}");
        assert!(outcomes[17].starts_with("the query failed: BIGINT value is out of range"), "{}", outcomes[17]);
    }
}

#[test]
fn a_block_longer_than_a_packet_of_the_server_is_halved_and_a_record_longer_than_one_gets_an_error() {
    for site in Site::each() {
        let most: u64 = site.administer("SELECT @@max_allowed_packet")[0].get(0).expect("a number");
        let (long, half) = ("x".repeat(most as usize + 1), "y".repeat(most as usize / 2));
        let query = "SELECT record_id, char_length(name) AS hits FROM records";
        let manifest = MANIFEST.replace("seconds_per_block = 2", "seconds_per_block = 60");
        let records = [(half.as_str(), "1"), (long.as_str(), "1"), (half.as_str(), "1"), ("a", "1")];
        let outcomes = Tree::new(query).with("plugin.toml", &manifest).outcomes(site, &records);
        assert_eq!(outcomes[0], half.len().to_string());
        assert!(outcomes[1].contains("the server's max_allowed_packet is"), "{:.200}", outcomes[1]);
        assert_eq!((&outcomes[2], outcomes[3].as_str()), (&outcomes[0], "1"));
    }
}
