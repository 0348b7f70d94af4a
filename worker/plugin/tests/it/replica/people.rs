//! The sample plugins on a replica: as good as on SQLite.

use std::fs::{self, File};

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Data, Host};
use nightshift_testbed::database::Make;
use nightshift_testbed::people::{self, COLUMNS, Person};

use super::site::Site;
use crate::sample_plugins::{judge, run_open, sample_tree};

/// The plugin with its queries for MySQL alone and its data on the replica, `people` as its table there.
fn tree_with(plugin: &str, people: &[Person]) -> (tempfile::TempDir, PluginManifest) {
    let tree = tempfile::tempdir().expect("a temporary folder");
    let (from, to) = (sample_tree().join("plugins").join(plugin), tree.path().join("plugins").join(plugin));
    fs::create_dir_all(&to).expect("creates the plugin's folder");
    for file in ["open.mysql.sql", "query.mysql.sql"] {
        fs::copy(from.join(file), to.join(file)).expect("copies the plugin's file");
    }
    fs::create_dir(tree.path().join("data")).expect("creates the data folder");
    let table = File::create(tree.path().join("data/people.csv")).expect("creates the table");
    people::write_people(people, table).expect("writes the table");
    let manifest = fs::read_to_string(from.join("plugin.toml")).expect("reads the manifest");
    let manifest = manifest.replace("source = \"repo\"", "source = \"replica\"");
    (tree, PluginManifest::parse(plugin, &manifest).expect("a good manifest"))
}

#[test]
fn match_person_finds_on_a_replica_whom_it_finds_on_sqlite() {
    for site in [Make::MariaDb, Make::MySql].into_iter().filter_map(Site::fresh) {
        let (people, records) = people::febrl_or_generated().expect("reads the people");
        let (tree, manifest) = tree_with("match-person", &people);
        let (private, _alone) = site.private();
        let host = Host { private_server: Some(private), ..Host::default() };
        let mut plugin = nightshift_plugin::open(tree.path(), &manifest, Data::Samples, &host).expect("opens");
        let values = records.iter().map(|record| record.fields.0.to_vec()).collect();
        let matching = judge(&records, &run_open(&mut *plugin, &manifest, &COLUMNS, values));
        assert!(matching.precision() >= 0.999 && matching.recall(&records) >= 0.999, "{:?}: {matching}", site.make());
    }
}
