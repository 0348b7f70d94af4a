//! The samples of plugins on the replica: on SQLite by a twin, on a private server, or not at all.

use nightshift_plugin::{Host, samples};

use super::site::{COUNT, Site, Tree};

fn with_samples() -> Tree {
    Tree::new(COUNT)
        .with("samples/records.csv", "name,age\nAnna,1\nBert,\n")
        .with("samples/expected.csv", "hits\n3\n0\n")
        .with("samples/people.csv", "name\nAnna\nAnna\nAnna\n")
}

#[test]
fn samples_run_on_a_private_server_with_the_plugins_sample_tables() {
    for site in Site::each() {
        let (private, _alone) = site.private();
        let host = Host { private_server: Some(private), ..Host::default() };
        let tree = with_samples();
        assert!(samples::need_server(&tree.folder()).expect("a good manifest"));
        for _ in 0..2 {
            let report = samples::run(&tree.folder(), &tree.folder(), &host).expect("runs");
            assert!(report.is_good() && report.records == 2, "{:?}: {:?}", site.make(), report.differences);
        }
        let tree = tree.with("samples/expected.csv", "hits\n3\n1\n");
        let report = samples::run(&tree.folder(), &tree.folder(), &host).expect("runs");
        assert_eq!(report.differences.len(), 1, "{:?}", report.differences);
    }
}

#[test]
fn samples_run_on_sqlite_where_the_query_has_a_twin() {
    let tree = with_samples().with("query.sqlite.sql", COUNT);
    assert!(!samples::need_server(&tree.folder()).expect("a good manifest"));
    assert!(samples::run(&tree.folder(), &tree.folder(), &Host::default()).expect("runs").is_good());
}

#[test]
fn samples_that_find_no_server_are_neither_good_nor_bad() {
    let error =
        samples::run(&with_samples().folder(), &with_samples().folder(), &Host::default()).expect_err("no server");
    assert!(error.is_for_want_of_a_server(), "{error}");
    assert!(error.to_string().starts_with("the samples of plugin p were not run: "), "{error}");
}
