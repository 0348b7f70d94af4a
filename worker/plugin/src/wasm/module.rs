//! What a module must export and may import: read from the compiled module before anything of it runs.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;
use wasmtime::{ExternType, FuncType, Module, ValType};

use crate::OpenError;
use crate::wasm::imports::IMPORTS;

/// No module is larger, in bytes.
const LARGEST_MODULE: u64 = 16 << 20;
/// The module that the imports come from.
pub(super) const NIGHTSHIFT: &str = "nightshift";
/// The export that says which version of the ABI a module is written for.
pub(super) const VERSION: &str = "nightshift_abi";
/// The memory that blocks and answers stand in.
pub(super) const MEMORY: &str = "memory";
/// Gives a place for bytes of the host's.
pub(super) const ALLOC: &str = "alloc";
/// Processes a block.
pub(super) const PROCESS: &str = "process";
/// Prepares, where it is there.
pub(super) const OPEN: &str = "open";
/// Takes the rows of a query, where one is asked.
pub(super) const ROWS: &str = "rows";

/// The module's file as the release's tree names it.
pub(super) fn name(manifest: &PluginManifest) -> String {
    format!("plugins/{}/{}", manifest.name, manifest.module)
}

/// The bytes of the module of the plugin in `folder`.
pub(super) fn read(folder: &Path, manifest: &PluginManifest) -> Result<Vec<u8>, OpenError> {
    let file = name(manifest);
    let mut bytes = Vec::new();
    File::open(folder.join(&manifest.module))
        .and_then(|module| module.take(LARGEST_MODULE + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let problem = "the module is missing: build it, or name another with module = in plugin.toml";
                FileError::whole(&file, problem).into()
            }
            _ => OpenError::Read { file: file.clone(), source: error },
        })?;
    match bytes.len() as u64 > LARGEST_MODULE {
        true => {
            let problem =
                format!("the module has more than {} MiB: strip it, or make it smaller", LARGEST_MODULE >> 20);
            Err(FileError::whole(&file, problem).into())
        }
        false => Ok(bytes),
    }
}

/// Whether the module imports the query.
pub(super) fn asks(module: &Module) -> bool {
    module.imports().any(|import| import.module() == NIGHTSHIFT && import.name() == IMPORTS[0].0)
}

/// Checks what the module imports and exports; the error says what to do.
pub(super) fn check(module: &Module) -> Result<(), String> {
    use ValType::{I32, I64};
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let known = IMPORTS.iter().find(|(known, _)| from == NIGHTSHIFT && name == *known);
        let Some((_, parameters)) = known else {
            return Err(format!(
                "it imports {from}.{name}, and there is only {} and {} of {NIGHTSHIFT}: build it without WASI and without \
                 what needs an operating system",
                IMPORTS[0].0, IMPORTS[1].0
            ));
        };
        let parameters = vec![I32; *parameters];
        if !matches!(import.ty(), ExternType::Func(found) if has_type(&found, &parameters, None)) {
            return Err(format!("its import {name} is not {}", signature(&parameters, None)));
        }
    }
    if !matches!(module.get_export(MEMORY), Some(ExternType::Memory(_))) {
        return Err(format!("it does not export its memory as {MEMORY}"));
    }
    let asks = asks(module);
    for (name, parameters, result, is_needed) in [
        (VERSION, &[][..], I32, true),
        (ALLOC, &[I32][..], I32, true),
        (PROCESS, &[I32, I32][..], I64, true),
        (OPEN, &[][..], I64, false),
        (ROWS, &[I32, I32, I32][..], I32, asks),
    ] {
        match module.get_export(name) {
            Some(ExternType::Func(found)) if has_type(&found, parameters, Some(&result)) => {}
            Some(_) => return Err(format!("its export {name} is not {}", signature(parameters, Some(&result)))),
            None if is_needed => {
                return Err(format!("it does not export {name}, {}", signature(parameters, Some(&result))));
            }
            None => {}
        }
    }
    Ok(())
}

fn has_type(found: &FuncType, parameters: &[ValType], result: Option<&ValType>) -> bool {
    let same = |(one, other): (ValType, &ValType)| ValType::eq(&one, other);
    found.params().len() == parameters.len()
        && found.params().zip(parameters).all(same)
        && found.results().len() == usize::from(result.is_some())
        && found.results().zip(result).all(same)
}

fn signature(parameters: &[ValType], result: Option<&ValType>) -> String {
    let parameters: Vec<String> = parameters.iter().map(ToString::to_string).collect();
    let result = result.map(|result| format!(" -> {result}")).unwrap_or_default();
    format!("a function ({}){result}", parameters.join(", "))
}
