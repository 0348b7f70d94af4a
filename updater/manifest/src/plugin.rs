//! What a plugin says about itself: `plugins/NAME/plugin.toml`.
//!
//! Only the manifest: what its files do is `worker/plugin`'s business, whether they are there [`crate::content`]'s.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use toml::Spanned;

use crate::file_error::{FileError, read_toml};
use crate::requires::{self, Requires, RequiresTable, megabytes};

/// Why a plugin's manifest cannot be taken.
pub type PluginManifestError = FileError;

/// Columns in the order they were written, each with its type.
pub type Columns = IndexMap<String, ColumnType>;

/// The file that makes a folder under `plugins/` a plugin.
pub const PLUGIN_FILE: &str = "plugin.toml";

/// The module of a plugin of the runtime `wasm`, when its manifest names no other.
const MODULE: &str = "plugin.wasm";
/// What a plugin may take when its manifest does not say, in megabytes.
const MEMORY_MB: u64 = 512;

/// A plugin's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginManifest {
    /// The plugin's name, which is its folder's.
    pub name: String,
    /// What runs it.
    pub runtime: Runtime,
    /// The program and its arguments, where the runtime is `process`; else empty.
    pub command: Vec<String>,
    /// The module in the plugin's folder, where the runtime is `wasm`; else empty.
    pub module: String,
    /// What it does, for people; may be empty.
    pub description: String,
    /// Records it gets at once.
    pub block: u32,
    /// Columns it needs of every record.
    pub input: Columns,
    /// Columns it adds to every record.
    pub output: Columns,
    /// Where its data tables are.
    pub source: DataSource,
    /// Names of the data tables it reads.
    pub tables: Vec<String>,
    /// How texts are compared where the data are on a replica: the name of a collation of that server.
    pub collation: Option<String>,
    /// How long it may work on one block.
    pub time_per_block: Duration,
    /// How much memory it may take, in megabytes of a million bytes. Queries on SQLite share the machine's half instead.
    pub memory_mb: u64,
    /// Whether it may use the network. Programs alone are asked.
    pub network: bool,
    /// What it asks of the workers that run it.
    pub requires: Requires,
}

/// What runs a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// A query over the block and the data tables.
    Sql,
    /// A WebAssembly module.
    Wasm,
    /// Any program that reads blocks as lines of JSON.
    Process,
}

/// Where the data tables of a plugin are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSource {
    /// In the release itself: each is `data/NAME.csv` in its tree.
    #[default]
    Repo,
    /// On the worker's replica of the company's MySQL or MariaDB.
    Replica,
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A whole number, 64 bits with sign.
    Integer,
    /// A floating-point number, 64 bits.
    Real,
}

impl ColumnType {
    /// The type as `plugin.toml` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Integer => "integer",
            ColumnType::Real => "real",
        }
    }
}

impl PluginManifest {
    /// Path of a plugin's manifest in the release's tree.
    pub fn path_of(name: &str) -> String {
        format!("plugins/{name}/{PLUGIN_FILE}")
    }

    /// Paths in the release's tree of the files that this plugin cannot do without.
    pub fn needed_files(&self) -> Vec<String> {
        let program = match (self.runtime, self.source) {
            (Runtime::Sql, DataSource::Repo) => Some("query.sqlite.sql"),
            (Runtime::Sql, DataSource::Replica) => Some("query.mysql.sql"),
            (Runtime::Wasm, _) => Some(self.module.as_str()),
            // A program in the plugin's folder is named by its path there; any other is the machine's.
            (Runtime::Process, _) => self.command.first().map(String::as_str).filter(|program| program.contains('/')),
        };
        let program = program.map(|file| format!("plugins/{}/{}", self.name, file.trim_start_matches("./")));
        let tables = match self.source {
            DataSource::Repo => self.tables.as_slice(),
            DataSource::Replica => &[],
        };
        program.into_iter().chain(tables.iter().map(|table| format!("data/{table}.csv"))).collect()
    }

    /// Reads the manifest of the plugin in the folder `name`.
    pub fn parse(name: &str, text: &str) -> Result<Self, PluginManifestError> {
        let file = Self::path_of(name);
        check_plugin_name(name).map_err(|problem| FileError::whole(&file, problem))?;
        let written: PluginFile = read_toml(&file, text)?;
        let at = |span: std::ops::Range<usize>, problem: String| FileError::at(&file, text, span.start, problem);

        let block = number("block", written.block, 250, 100_000, &at)?;
        let seconds = number("seconds_per_block", written.limits.seconds_per_block, 60, 24 * 60 * 60, &at)?;
        let input = columns(written.input, &at)?;
        let output = columns(written.output, &at)?;
        for (table, columns) in [("input", &input), ("output", &output)] {
            if columns.is_empty() {
                return Err(FileError::whole(
                    &file,
                    format!("[{table}] has no column: write name = \"text\" or another"),
                ));
            }
        }
        if written.runtime == Runtime::Process && input.contains_key("id") {
            let problem = "id is the record's number on a program's line: give the input another name".to_owned();
            return Err(FileError::whole(&file, problem));
        }
        if let Some(name) = output.keys().find(|name| input.keys().any(|other| other.eq_ignore_ascii_case(name))) {
            let problem = format!("{name} is an input and an output: give the output another name");
            return Err(FileError::whole(&file, problem));
        }
        let command = command(written.runtime, written.command).map_err(|problem| FileError::whole(&file, problem))?;
        let module = module(written.runtime, written.module, &at)?;
        if let Some(network) = &written.network
            && written.runtime != Runtime::Process
        {
            return Err(at(
                network.span(),
                "network is for the process runtime, no other reaches it: remove it".to_owned(),
            ));
        }
        if let Some(memory) = &written.limits.memory
            && written.runtime == Runtime::Sql
        {
            let problem = "memory is for the runtimes wasm and process: queries run inside the worker or on its replica and \
                           share what there is, up to half of the machine; remove it, and ask for machines that have enough \
                           with memory under [requires]";
            return Err(at(memory.span(), problem.to_owned()));
        }
        let memory = written.limits.memory.map(|memory| {
            megabytes(memory.get_ref()).map_err(|problem| at(memory.span(), format!("memory: {problem}")))
        });
        let data = written.data.map(|data| data_tables(data, &at)).transpose()?.unwrap_or_default();

        Ok(Self {
            name: name.to_owned(),
            runtime: written.runtime,
            command,
            module,
            description: written.description,
            block,
            input,
            output,
            source: data.source,
            tables: data.tables,
            collation: data.collation,
            time_per_block: Duration::from_secs(u64::from(seconds)),
            memory_mb: memory.transpose()?.unwrap_or(MEMORY_MB),
            network: written.network.is_some_and(Spanned::into_inner),
            requires: requires::read(written.requires, &at)?,
        })
    }
}

type At<'a> = &'a dyn Fn(std::ops::Range<usize>, String) -> FileError;

/// Checks a plugin's name; the error says what to write.
pub fn check_plugin_name(name: &str) -> Result<(), String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.len() <= 64;
    match well_formed {
        true => Ok(()),
        false => Err(format!(
            "{name:?} is no plugin name: write lower-case letters, digits and hyphens, a letter first, as in \
             \"name-count\""
        )),
    }
}

fn columns(written: IndexMap<Spanned<String>, ColumnType>, at: At<'_>) -> Result<Columns, PluginManifestError> {
    let mut columns = Columns::new();
    for (name, column_type) in written {
        let span = name.span();
        let name = name.into_inner();
        if !is_identifier(&name) {
            let problem = format!("{name:?} is no column name: write letters, digits and underscores, a letter first");
            return Err(at(span, problem));
        }
        if ["record_id", "error"].iter().any(|taken| taken.eq_ignore_ascii_case(&name)) {
            return Err(at(span, format!("{name} has a meaning of its own: give the column another name")));
        }
        if columns.keys().any(|other| other.eq_ignore_ascii_case(&name)) {
            return Err(at(span, format!("{name} is there twice (SQL does not tell cases apart): remove one")));
        }
        columns.insert(name, column_type);
    }
    Ok(columns)
}

/// What `[data]` says, read.
#[derive(Default)]
struct Data {
    source: DataSource,
    tables: Vec<String>,
    collation: Option<String>,
}

fn data_tables(data: DataTable, at: At<'_>) -> Result<Data, PluginManifestError> {
    let DataTable { source, tables, collation } = data;
    if let Some(name) = &collation {
        if source == DataSource::Repo {
            let problem = "collation is for data on the replica: remove it, or write source = \"replica\"";
            return Err(at(name.span(), problem.to_owned()));
        }
        if !is_identifier(name.get_ref()) {
            let problem = format!("{:?} is no collation: write a name as in \"utf8mb4_general_ci\"", name.get_ref());
            return Err(at(name.span(), problem));
        }
    }
    let mut read: Vec<String> = Vec::new();
    for table in tables {
        let span = table.span();
        let table = table.into_inner();
        if !is_identifier(&table) || table.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let problem = format!("{table:?} is no table name: write lower-case letters, digits and underscores");
            return Err(at(span, problem));
        }
        if table == "records" {
            return Err(at(span, "records is the block itself: give the table another name".to_owned()));
        }
        if read.contains(&table) {
            return Err(at(span, format!("{table} is there twice: remove one")));
        }
        read.push(table);
    }
    Ok(Data { source, tables: read, collation: collation.map(Spanned::into_inner) })
}

/// The file of a runtime that is a module, and of no other.
fn module(runtime: Runtime, written: Option<Spanned<String>>, at: At<'_>) -> Result<String, PluginManifestError> {
    match (runtime, written) {
        (Runtime::Wasm, None) => Ok(MODULE.to_owned()),
        (Runtime::Wasm, Some(module)) => {
            let name = module.get_ref();
            let leads_out = name.starts_with('/') || name.split('/').any(|part| part.is_empty() || part == "..");
            match leads_out || !(name.ends_with(".wasm") || name.ends_with(".wat")) {
                true => {
                    let problem = format!(
                        "{name:?} is no module of this plugin: write a file below its folder that ends in .wasm or .wat"
                    );
                    Err(at(module.span(), problem))
                }
                false => Ok(module.into_inner()),
            }
        }
        (_, Some(module)) => {
            let problem = "module is for the wasm runtime: remove it, or write runtime = \"wasm\"";
            Err(at(module.span(), problem.to_owned()))
        }
        (_, None) => Ok(String::new()),
    }
}

/// The command of a runtime that needs one, and of no other.
fn command(runtime: Runtime, written: Option<Vec<String>>) -> Result<Vec<String>, String> {
    match (runtime, written) {
        (Runtime::Sql | Runtime::Wasm, None) => Ok(Vec::new()),
        (Runtime::Sql | Runtime::Wasm, Some(_)) => {
            Err("command is for the process runtime: remove it, or write runtime = \"process\"".to_owned())
        }
        (Runtime::Process, Some(command)) => {
            let program = command.first().map(String::as_str).unwrap_or_default();
            let leads_out = !program.starts_with('/') && program.split('/').any(|part| part == "..");
            match program.is_empty() || leads_out || command.iter().any(|part| part.contains('\0')) {
                true => Err("command names no program: write command = [\"./count\"] for a file of the plugin, or a program of \
                             the machine, as in [\"python3\", \"count.py\"]"
                    .to_owned()),
                false => Ok(command),
            }
        }
        (Runtime::Process, None) => {
            Err("command is missing: write command = [\"python3\", \"count.py\"] or another program".to_owned())
        }
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= 64
}

fn number(
    key: &str,
    value: Option<Spanned<i64>>,
    default: u32,
    most: u32,
    at: At<'_>,
) -> Result<u32, PluginManifestError> {
    let Some(value) = value else { return Ok(default) };
    u32::try_from(*value.get_ref())
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| at(value.span(), format!("{key} = {} is out of range: write 1 to {most}", value.get_ref())))
}

/// `plugin.toml` as a person wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginFile {
    runtime: Runtime,
    command: Option<Vec<String>>,
    module: Option<Spanned<String>>,
    network: Option<Spanned<bool>>,
    #[serde(default)]
    description: String,
    block: Option<Spanned<i64>>,
    input: IndexMap<Spanned<String>, ColumnType>,
    output: IndexMap<Spanned<String>, ColumnType>,
    data: Option<DataTable>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    requires: RequiresTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataTable {
    source: DataSource,
    tables: Vec<Spanned<String>>,
    collation: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    seconds_per_block: Option<Spanned<i64>>,
    memory: Option<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n";

    fn error(text: &str) -> String {
        PluginManifest::parse("name-count", text).expect_err(text).to_string()
    }

    #[test]
    fn a_manifest_needs_a_runtime_and_its_columns() {
        let manifest = PluginManifest::parse("name-count", SMALL).expect("well formed");
        assert_eq!((manifest.block, manifest.time_per_block), (250, Duration::from_secs(60)));
        assert_eq!(manifest.needed_files(), ["plugins/name-count/query.sqlite.sql"]);
        assert!(error("runtime = \"sql\"\n[input]\nname = \"text\"\n").contains("`output`"));
        assert!(error("[input]\n[output]\n").contains("`runtime`"));
        assert!(error(&SMALL.replace("name = \"text\"\n", "")).contains("[input] has no column"));
    }

    #[test]
    fn a_query_has_no_memory_of_its_own_and_is_told_so() {
        let refused = error(&format!("{SMALL}[limits]\nmemory = \"64MB\"\n"));
        assert!(refused.contains("plugin.toml, line 7: memory is for the runtimes wasm and process"), "{refused}");
        let module = SMALL.replace("\"sql\"", "\"wasm\"") + "[limits]\nmemory = \"64MB\"\n";
        assert_eq!(PluginManifest::parse("name-count", &module).expect("well formed").memory_mb, 64);
    }

    #[test]
    fn a_process_names_its_program_and_a_query_does_not() {
        let with = |command: &str| SMALL.replace("\"sql\"", &format!("\"process\"\n{command}"));
        let manifest =
            PluginManifest::parse("name-count", &with("command = [\"./count\", \"-q\"]")).expect("well formed");
        assert_eq!(
            (manifest.runtime, manifest.needed_files()),
            (Runtime::Process, vec!["plugins/name-count/count".to_owned()])
        );
        let of_machine =
            PluginManifest::parse("name-count", &with("command = [\"python3\", \"c.py\"]")).expect("well formed");
        assert_eq!(of_machine.needed_files(), [] as [&str; 0]);
        assert!(error(&with("")).contains("command is missing"));
        assert!(error(&with("command = [\"x\"]").replace("name = ", "id = ")).contains("id is the record's number"));
        assert!(error(&with("command = [\"../other/count\"]")).contains("names no program"));
        assert!(error(&with("command = []")).contains("names no program"));
        assert!(
            error(&SMALL.replace("\"sql\"", "\"sql\"\ncommand = [\"x\"]"))
                .contains("command is for the process runtime")
        );
    }

    #[test]
    fn a_module_stands_in_its_plugins_folder() {
        let with = |module: &str| SMALL.replace("\"sql\"", &format!("\"wasm\"\n{module}"));
        let manifest = PluginManifest::parse("name-count", &with("")).expect("well formed");
        assert_eq!(manifest.needed_files(), ["plugins/name-count/plugin.wasm"]);
        let text = PluginManifest::parse("name-count", &with("module = \"src/count.wat\"")).expect("well formed");
        assert_eq!(text.needed_files(), ["plugins/name-count/src/count.wat"]);
        for outside in ["../a.wasm", "/a.wasm", "a", "x//a.wasm"] {
            assert!(error(&with(&format!("module = {outside:?}"))).contains("no module of this plugin"), "{outside}");
        }
        assert!(error(&SMALL.replace("\"sql\"", "\"sql\"\nmodule = \"a.wasm\"")).contains("for the wasm runtime"));
        assert!(error(&with("network = true")).contains("network is for the process runtime"));
    }

    #[test]
    fn data_on_the_replica_need_no_file_in_the_release_and_may_have_a_collation() {
        let with = |data: &str| format!("{SMALL}[data]\n{data}\n");
        let replica = with("source = \"replica\"\ntables = [\"people\"]\ncollation = \"utf8mb4_bin\"");
        let manifest = PluginManifest::parse("name-count", &replica).expect("well formed");
        assert_eq!((manifest.source, manifest.collation.as_deref()), (DataSource::Replica, Some("utf8mb4_bin")));
        assert_eq!(manifest.needed_files(), ["plugins/name-count/query.mysql.sql"]);
        assert!(error(&replica.replace("replica", "repo")).contains("collation is for data on the replica"));
        assert!(error(&replica.replace("utf8mb4_bin", "a b")).contains("no collation"));
    }

    #[test]
    fn memory_is_limited_also_when_nothing_is_said() {
        let memory = |text: &str| PluginManifest::parse("name-count", text).map(|manifest| manifest.memory_mb);
        let module = SMALL.replace("\"sql\"", "\"wasm\"");
        assert_eq!(memory(&module), Ok(512));
        assert_eq!(memory(&format!("{module}[limits]\nmemory = \"2GB\"\n")), Ok(2_000));
        assert!(
            error(&format!("{module}[limits]\nmemory = \"much\"\n")).contains("line 7: memory: \"much\" is no amount")
        );
    }

    #[test]
    fn columns_keep_the_order_they_were_written_in() {
        let text = "runtime = \"sql\"\nblock = 10\n[input]\nzip = \"text\"\nage = \"integer\"\n[output]\nscore = \"real\"\n\
                    person = \"text\"\n[data]\nsource = \"repo\"\ntables = [\"people\"]\n[limits]\nseconds_per_block = 5\n";
        let manifest = PluginManifest::parse("match-person", text).expect("well formed");
        assert_eq!(manifest.input.keys().collect::<Vec<_>>(), ["zip", "age"]);
        assert_eq!(manifest.output.keys().collect::<Vec<_>>(), ["score", "person"]);
        assert_eq!(manifest.needed_files()[1], "data/people.csv");
        assert_eq!(manifest.time_per_block, Duration::from_secs(5));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let message = error(&format!("{SMALL}[limits]\nspeed = 5\n"));
        assert!(
            message.starts_with("plugins/name-count/plugin.toml, line 7: ") && message.contains("`speed`"),
            "{message}"
        );
        assert!(error(&SMALL.replace("sql", "cobol")).contains("`cobol`"));
        assert!(error(&SMALL.replace("integer", "money")).contains("`money`"));
    }

    #[test]
    fn column_names_that_mean_something_else_are_refused() {
        assert!(error(&SMALL.replace("hits", "error")).contains("line 5: error has a meaning of its own"));
        assert!(error(&SMALL.replace("hits", "Record_ID")).contains("a meaning of its own"));
        assert!(error(&SMALL.replace("hits", "Name")).contains("an input and an output"));
        assert!(error(&SMALL.replace("hits", "\"drop table\"")).contains("no column name"));
        assert!(error(&SMALL.replace("hits", "a = \"text\"\nA")).contains("line 6: A is there twice"));
    }

    #[test]
    fn table_names_are_plain_and_there_once() {
        let with = |tables: &str| error(&format!("{SMALL}[data]\nsource = \"repo\"\ntables = {tables}\n"));
        assert!(with("[\"../x\"]").contains("line 8: \"../x\" is no table name"));
        assert!(with("[\"records\"]").contains("the block itself"));
        assert!(with("[\"a\", \"a\"]").contains("there twice"));
    }

    #[test]
    fn a_folder_name_that_is_no_plugin_name_is_refused() {
        for name in ["Name", "1st", "a_b", "", "ä", "a.b", "-a"] {
            let error = PluginManifest::parse(name, SMALL).expect_err(name);
            assert!(error.problem.contains("no plugin name"), "{name}");
        }
    }
}
