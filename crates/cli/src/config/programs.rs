//! Whether the programs of command functions are there. On the worker's machine they must be; the configuration may be
//! checked on another one, so that a missing one is a warning.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use longshore_service::config::Config;
use serde_json::{Value, json};

/// What to say of one function.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    key: String,
    message: String,
}

impl Missing {
    pub(super) fn document(&self) -> Value {
        json!({ "key": self.key, "message": self.message })
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// The functions whose programs cannot be run here.
pub(super) fn missing(config: &Config) -> Vec<Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let commands = config.worker.commands.iter();
    let missing = commands.filter_map(|(name, command)| {
        let message = problem(&command.program, command.cwd.as_deref(), &folders)?;
        let key = format!("worker.commands.{name}.program");
        Some(Missing { key, message })
    });
    missing.collect()
}

fn problem(program: &Path, cwd: Option<&Path>, folders: &[PathBuf]) -> Option<String> {
    let shown = program.display();
    if program.components().count() == 1 && !program.has_root() {
        let is_there = folders.iter().any(|folder| is_program(&folder.join(program)));
        let told = || format!("{shown} is in no folder of PATH here; every job of it would fail");
        return (!is_there).then(told);
    }
    let place = cwd.map_or_else(|| program.to_owned(), |cwd| cwd.join(program));
    if !place.exists() {
        return Some(format!("{shown} is not there; every job of it would fail"));
    }
    let told = || format!("{shown} may not be run as a program; every job of it would fail (chmod +x)");
    (!is_program(&place)).then(told)
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_it_would_be_run() {
        let folders = [PathBuf::from("/nowhere"), PathBuf::from("/bin")];
        let said = |program: &str| problem(Path::new(program), None, &folders);
        assert_eq!(said("sh"), None);
        assert_eq!(said("/bin/sh"), None);
        assert!(said("no-such-program").unwrap().contains("PATH"));
        assert!(said("/bin/no-such-program").unwrap().contains("not there"));
        assert!(said("/etc/passwd").unwrap().contains("chmod"));
        assert!(said("/etc").unwrap().contains("chmod"));
        let (program, cwd) = (Path::new("./sh"), Some(Path::new("/bin")));
        assert_eq!(problem(program, cwd, &[]), None);
    }
}
