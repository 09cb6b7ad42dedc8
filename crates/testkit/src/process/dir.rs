//! A server's temporary folder.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Error, guard};

/// A folder under `TMPDIR` that goes away with this value, or with the process.
///
/// With `LONGSHORE_TEST_KEEP` set it stays, for a look at the logs.
#[derive(Debug)]
pub struct ServerDir(TempDir);

impl ServerDir {
    /// Makes a folder whose name starts with `longshore-` and `name`.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or the guard process cannot be started.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut dir = tempfile::Builder::new()
            .prefix(&format!("longshore-{name}-"))
            .tempdir()
            .map_err(Error::io("make a temporary folder for", name))?;
        if std::env::var_os("LONGSHORE_TEST_KEEP").is_some() {
            dir.disable_cleanup(true);
        } else {
            guard::remove_at_exit(dir.path())?;
        }
        Ok(Self(dir))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a folder inside and returns its path.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).map_err(Error::io("make", &path))?;
        Ok(path)
    }

    /// Writes a file inside and returns its path.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path().join(name);
        std::fs::write(&path, text).map_err(Error::io("write", &path))?;
        Ok(path)
    }
}
