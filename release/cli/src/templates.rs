//! The files that `init` and `plugin new` write, and how their blanks are filled in. Pure.

/// `worker.toml` of a new grid.
pub(crate) const WORKER: &str = include_str!("../templates/worker.toml");
/// `jobserver.toml` of a new grid.
pub(crate) const JOBSERVER: &str = include_str!("../templates/jobserver.toml");
/// The person's `config.toml`.
pub(crate) const CONFIG: &str = include_str!("../templates/config.toml");
/// What stands above the recovery key in a grid's repository.
pub(crate) const RECOVERY: &str =
    "# The recovery key that worker.toml pins, for people to see. Workers do not read this file.\n";
/// The note on the control branch.
pub(crate) const CONTROL_README: &str = include_str!("../templates/control-README.md");

/// Files of a new grid's repository beside the samples, with their paths.
pub(crate) const GRID: [(&str, &str); 2] = [
    ("README.md", include_str!("../templates/grid/README.md")),
    (".gitattributes", include_str!("../templates/grid/.gitattributes")),
];

/// A file of a new plugin: its path in the plugin's folder, and what it holds.
pub(crate) type PluginFile = (&'static str, &'static str);

/// Files of a new sql plugin.
pub(crate) const SQL_PLUGIN: &[PluginFile] = &[
    ("plugin.toml", include_str!("../templates/plugin/plugin.toml")),
    ("query.sqlite.sql", include_str!("../templates/plugin/query.sqlite.sql")),
    ("samples/records.csv", include_str!("../templates/plugin/samples/records.csv")),
    ("samples/expected.csv", include_str!("../templates/plugin/samples/expected.csv")),
];

/// Files of a new wasm plugin: a module in text form that works as it is, and the same in C. The runtime's tests run both.
pub(crate) const WASM_PLUGIN: &[PluginFile] = &[
    ("plugin.toml", include_str!("../templates/plugin-wasm/plugin.toml")),
    ("plugin.wat", include_str!("../../../worker/plugin/guests/template/plugin.wat")),
    ("plugin.c", include_str!("../../../worker/plugin/guests/template/plugin.c")),
    ("nightshift.h", include_str!("../../../worker/plugin/guests/nightshift.h")),
    ("samples/records.csv", include_str!("../../../worker/plugin/guests/template/samples/records.csv")),
    ("samples/expected.csv", include_str!("../../../worker/plugin/guests/template/samples/expected.csv")),
];

/// Files of a new process plugin.
pub(crate) const PROCESS_PLUGIN: &[PluginFile] = &[
    ("plugin.toml", include_str!("../templates/plugin-process/plugin.toml")),
    ("plugin.py", include_str!("../templates/plugin-process/plugin.py")),
    ("samples/records.csv", include_str!("../templates/plugin-process/samples/records.csv")),
    ("samples/expected.csv", include_str!("../templates/plugin-process/samples/expected.csv")),
];

/// Puts values into a template's `{{blanks}}`.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

/// `text` as a TOML string. Without escapes as far as TOML allows it, because boot reads none.
pub(crate) fn toml_string(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_filled_and_toml_strings_avoid_escapes() {
        assert_eq!(fill("a = {{x}} # {{y}}", &[("x", "1"), ("y", "2")]), "a = 1 # 2");
        assert_eq!(toml_string("/srv/a b"), "\"/srv/a b\"");
        assert_eq!(toml_string("ada namespaces=\"git\""), "'ada namespaces=\"git\"'");
    }
}
