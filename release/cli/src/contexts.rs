//! Changing the contexts of `config.toml` without losing what a person wrote there: comments and order stay.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::config::Config;
use crate::refusal::refusal;
use crate::{config, swap};

/// Makes a context of these keys, or changes one, and takes it into use.
pub(crate) fn make(config_dir: &Path, name: &str, keys: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    if name.is_empty() || !name.chars().all(is_sign_of_a_name) {
        let text = format!("{name:?} is no name for a context: use letters, digits and the signs . _ -");
        return Err(refusal(Exit::Usage, text));
    }
    change(config_dir, |document| {
        put(document, name, keys);
        taken(document, Some(name));
    })
}

/// Makes a context of these keys that is not taken into use. Its name is `wished`, as far as signs and other contexts allow.
pub(crate) fn add(config: &Config, config_dir: &Path, wished: &str, keys: &[(&str, &str)]) -> anyhow::Result<String> {
    let name = free_name(wished, |name| config.contexts.contains_key(name));
    change(config_dir, |document| put(document, &name, keys))?;
    Ok(name)
}

/// The first of `grid`, `grid-2`, `grid-3` … that is not taken.
fn free_name(wished: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let plain: String = wished.chars().map(|c| if is_sign_of_a_name(c) { c } else { '-' }).collect();
    let numbered = (2..).map(|number: u32| format!("{plain}-{number}"));
    std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

fn is_sign_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Takes a context into use; `None`: the keys outside of contexts.
pub(crate) fn take(config_dir: &Path, name: Option<&str>) -> anyhow::Result<PathBuf> {
    change(config_dir, |document| taken(document, name))
}

/// Writes keys of a context, which is made when it is not there.
fn put(document: &mut DocumentMut, name: &str, keys: &[(&str, &str)]) {
    let contexts = document.entry("contexts").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    for (key, said) in keys {
        contexts[name][key] = value(*said);
    }
    if let Some(context) = contexts[name].as_inline_table().cloned() {
        contexts[name] = Item::Table(context.into_table());
    }
}

fn taken(document: &mut DocumentMut, name: Option<&str>) {
    match name {
        Some(name) => document["context"] = value(name),
        None => {
            document.remove("context");
        }
    }
}

/// Reads the file, has it changed, and writes it whole.
fn change(config_dir: &Path, change: impl FnOnce(&mut DocumentMut)) -> anyhow::Result<PathBuf> {
    let path = config::path(config_dir);
    let doing = || format!("changing {}", path.display());
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(doing)?,
    };
    let mut document: DocumentMut = text.parse().with_context(doing)?;
    change(&mut document);
    fs::create_dir_all(config_dir).with_context(doing)?;
    let beside = path.with_extension("toml.new");
    fs::write(&beside, document.to_string()).with_context(doing)?;
    swap::replace_file(&beside, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "# mine\njobserver = \"http://a\" # the old one\n";

    #[test]
    fn a_context_is_made_and_taken_into_use_and_what_stood_there_stays() {
        let mut document: DocumentMut = WRITTEN.parse().expect("TOML");
        put(&mut document, "office", &[("jobserver", "https://office:7070")]);
        put(&mut document, "lab", &[("jobserver", "https://lab:7070"), ("repository", "git@lab:grid")]);
        put(&mut document, "office", &[("jobserver", "https://new:7070")]);
        taken(&mut document, Some("office"));
        assert_eq!(
            document.to_string(),
            "# mine\njobserver = \"http://a\" # the old one\ncontext = \"office\"\n\n[contexts.office]\n\
             jobserver = \"https://new:7070\"\n\n[contexts.lab]\njobserver = \"https://lab:7070\"\n\
             repository = \"git@lab:grid\"\n"
        );
        taken(&mut document, None);
        assert!(!document.to_string().contains("context ="), "{document}");
    }

    #[test]
    fn a_wished_name_becomes_one_that_nobody_has() {
        assert_eq!(free_name("our grid", |_| false), "our-grid");
        assert_eq!(free_name("grid", |name| name != "grid-3"), "grid-3");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let error =
            make(folder.path(), "our office", &[("jobserver", "https://office")]).expect_err("a blank").to_string();
        assert!(error.contains("letters, digits"), "{error}");
        assert!(!config::path(folder.path()).exists());
    }
}
