//! Whether the program that plugin.toml names is there and can be run, asked before anything is started: a sentence about the
//! command, and not an error of each record.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Any of the rights to run a file.
const MAY_BE_RUN: u32 = 0o111;

/// Looks for the program of `command`: in the plugin's `folder` when it has a slash, else in the folders of `path`.
///
/// # Errors
/// What is missing, and what to do.
pub(super) fn check(command: &[String], folder: &Path, path: &str) -> Result<(), String> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    if program.contains('/') {
        return match fs::metadata(folder.join(program)) {
            Err(error) => Err(format!("{program} cannot be found ({error}): add it, or mend command in plugin.toml")),
            Ok(file) if !file.is_file() => Err(format!("{program} is no file: mend command in plugin.toml")),
            Ok(file) if file.permissions().mode() & MAY_BE_RUN == 0 => {
                Err(format!("{program} may not be run: `chmod +x` it"))
            }
            Ok(_) => Ok(()),
        };
    }
    let is_there = |place: &str| {
        let file = fs::metadata(Path::new(place).join(program));
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & MAY_BE_RUN != 0)
    };
    if path.split(':').any(is_there) {
        return Ok(());
    }
    match folder.join(program).is_file() {
        true => Err(format!("{program} is a file of the plugin: write \"./{program}\" as its command in plugin.toml")),
        false => Err(format!(
            "there is no {program} in {path}: install it on every worker, or name another program as command in plugin.toml"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_or_cannot_be_run_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("count.py"), "#!/usr/bin/python3\n").expect("a file");
        let check = |program: &str| check(&[program.to_owned()], folder.path(), "/bin:/usr/bin");
        assert_eq!(check("sh"), Ok(()));
        assert!(check("count.py").is_err_and(|why| why.contains("write \"./count.py\"")));
        assert!(
            check("no-such-program").is_err_and(|why| why.contains("there is no no-such-program in /bin:/usr/bin"))
        );
        assert!(check("./count.py").is_err_and(|why| why.contains("chmod +x")));
        assert!(check("./other.py").is_err_and(|why| why.contains("./other.py cannot be found")));
        fs::set_permissions(folder.path().join("count.py"), fs::Permissions::from_mode(0o755)).expect("a program");
        assert_eq!(check("./count.py"), Ok(()));
    }
}
