//! What keeps a plugin on the replica from being opened, in the words its author or the admin reads.

use nightshift_plugin::{Host, OpenError};

use super::site::{COUNT, Site, Tree};

#[test]
fn a_plugin_that_needs_a_replica_where_there_is_none_says_what_to_write() {
    let error = Tree::new(COUNT).open(&Host::default()).err().expect("no replica");
    assert!(matches!(error, OpenError::NoReplica { .. }));
    assert!(error.to_string().contains("and there is none here: `nightshift-worker doctor` says why"), "{error}");
}

#[test]
fn an_account_that_can_write_is_refused_with_the_statements_that_cure_it() {
    for site in Site::each() {
        site.administer("CREATE USER writer@'127.0.0.1'");
        site.administer("GRANT SELECT, INSERT ON company.* TO writer@'127.0.0.1'");
        let host = Host { replica: Some(site.replica_as("writer")), ..Host::default() };
        let message = Tree::new(COUNT).open(&host).err().expect("it can write").to_string();
        assert!(message.contains("'writer'@'127.0.0.1' can do more than read (INSERT)"), "{message}");
        // The cure is what it says it is.
        let cure =
            message.split("on the primary: ").nth(1).expect("a cure").split("; and when").next().expect("a cure");
        cure.split("; ").for_each(|statement| drop(site.administer(statement)));
        assert!(Tree::new(COUNT).open(&host).is_ok(), "cured on {:?}", site.make());
        site.administer("CREATE ROLE powerful");
        site.administer("GRANT INSERT ON company.* TO powerful");
        site.administer("GRANT powerful TO writer@'127.0.0.1'");
        let message = Tree::new(COUNT).open(&host).err().expect("it can write").to_string();
        assert!(message.contains("it has a role"), "{message}");
        site.administer("DROP USER writer@'127.0.0.1'");
        site.administer("DROP ROLE powerful");
    }
}

#[test]
fn a_query_that_returns_other_columns_is_refused() {
    for site in Site::each() {
        for (query, says) in [
            ("SELECT record_id FROM records", "does not return hits"),
            ("SELECT 1 AS hits FROM records", "does not return record_id"),
            ("SELECT record_id, 1 AS hits, 2 AS more FROM records", "returns more, which [output] does not name"),
            ("SELECT record_id, 1 AS hits, 2 AS hits FROM records", "returns hits twice"),
        ] {
            let message = Tree::new(query).refusal(site);
            assert!(message.starts_with("plugins/p/query.mysql.sql: ") && message.contains(says), "{message}");
        }
    }
}

#[test]
fn a_mistake_in_the_sql_of_a_server_is_reported_with_its_file_and_line() {
    for site in Site::each() {
        let message = Tree::new("-- counts\nSELECT record_id,\n  1 AS hits\nFORM records").refusal(site);
        assert!(message.starts_with("plugins/p/query.mysql.sql, line 4: "), "{message}");
        let message = Tree::new("SELECT record_id, nmae AS hits FROM records").refusal(site);
        assert!(message.contains("Unknown column 'nmae'"), "{message}");
        let message = Tree::new("SELECT record_id, 1 AS hits FROM records, peple").refusal(site);
        assert!(message.contains("the replica has no such table"), "{message}");
        let script =
            "\nCREATE TEMPORARY TABLE nightshift_scratch.t (a INT);\n\nINSERT INTO nightshift_scratch.t VALUES (1,\n);";
        let message = Tree::new(COUNT).with("open.mysql.sql", script).refusal(site);
        assert!(message.starts_with("plugins/p/open.mysql.sql, line 5: "), "{message}");
        let script = "SELECT 1";
        let message = Tree::new(COUNT).with("open.mysql.sql", script).refusal(site);
        assert!(
            message.starts_with("plugins/p/open.mysql.sql, line 1: not allowed: SELECT 1; make, fill"),
            "{message}"
        );
    }
}

#[test]
fn an_open_script_that_touches_more_than_temporary_tables_does_not_open() {
    for site in Site::each() {
        for (script, says) in [
            ("CREATE TABLE company.t (a INT);", "not allowed: CREATE TABLE"),
            ("INSERT INTO company.written VALUES (1);", "denied"),
            ("UPDATE company.people SET name = '';", "denied"),
            ("ALTER TABLE company.people ADD COLUMN x INT;", "denied"),
            ("CREATE TEMPORARY TABLE company.t (a INT);", "Access denied"),
            ("SET GLOBAL max_connections = 1;", "not allowed: SET GLOBAL"),
            ("SET SESSION TRANSACTION READ WRITE;", "not allowed: SET SESSION"),
            ("CREATE TEMPORARY TABLE nightshift_scratch.t AS SELECT company.writes() AS a;", "denied"),
        ] {
            let message = Tree::new(COUNT).with("open.mysql.sql", script).refusal(site);
            assert!(message.starts_with("plugins/p/open.mysql.sql, line 1: ") && message.contains(says), "{message}");
        }
    }
}
