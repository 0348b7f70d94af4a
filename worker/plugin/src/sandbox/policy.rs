//! Whether a program may run with what the machine locks it in by. Pure.

use nightshift_contract::protections::Protections;

/// Whether the program of `plugin` may run; `allowed` are the plugins that worker.toml lets run in any case. The error says
/// what to do.
///
/// # Errors
/// When nothing keeps it from the worker's files.
pub fn may_run(protections: &Protections, allowed: &[String], plugin: &str) -> Result<(), String> {
    if protections.keep_from_files() || allowed.iter().any(|name| name == plugin) {
        return Ok(());
    }
    Err(format!(
        "this machine has neither bubblewrap nor landlock, so nothing would keep the program of {plugin} from the worker's \
         files: install bubblewrap, or write allow_unsandboxed = [\"{plugin}\"] into worker.toml if you trust it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_landlock_and_bubblewrap_only_programs_that_are_allowed_by_name_run() {
        let nothing = Protections { seccomp: true, own_user: true, ..Protections::default() };
        let error = may_run(&nothing, &["other".to_owned()], "count").expect_err("not allowed");
        assert!(error.contains("allow_unsandboxed = [\"count\"]"), "{error}");
        assert_eq!(may_run(&nothing, &["other".to_owned(), "count".to_owned()], "count"), Ok(()));
        for enough in [Protections { landlock: 1, ..nothing }, Protections { bubblewrap: true, ..nothing }] {
            assert_eq!(may_run(&enough, &[], "count"), Ok(()));
        }
    }
}
