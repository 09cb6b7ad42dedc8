//! The files that the sample jobs work on, written once into the folder's `samples/`.

use std::io;
use std::path::{Path, PathBuf};

/// Texts that ship with the binary: its own documentation.
const TEXTS: [(&str, &str); 4] = [
    ("readme.txt", include_str!("../../samples/readme.txt")),
    ("architecture.txt", include_str!("../../samples/architecture.txt")),
    ("contributing.txt", include_str!("../../samples/contributing.txt")),
    ("changelog.txt", include_str!("../../samples/changelog.txt")),
];
/// Size of the file that is hashed.
const BLOB_BYTES: usize = 1024 * 1024;

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct SampleFiles {
    folder: PathBuf,
}

impl SampleFiles {
    /// Writes what is missing below `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn prepare(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?.join("samples");
        std::fs::create_dir_all(&folder)?;
        let files = Self { folder };
        for (name, text) in TEXTS {
            write_once(&files.folder.join(name), text.as_bytes())?;
        }
        let blob: Vec<u8> = (0..BLOB_BYTES)
            .map(|index| u8::try_from(index * 31 % 251).unwrap_or(0))
            .collect();
        write_once(&files.blob(), &blob)?;
        write_once(&files.ledger(), b"100\n-40\ntwelve\n7\n")?;
        Ok(files)
    }

    /// The text files.
    pub(crate) fn texts(&self) -> impl Iterator<Item = PathBuf> + '_ {
        TEXTS.iter().map(|(name, _)| self.folder.join(name))
    }

    /// A megabyte to hash.
    pub(crate) fn blob(&self) -> PathBuf {
        self.folder.join("blob.bin")
    }

    /// Numbers, one of them spelt out.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.txt")
    }

    /// The report of one round.
    pub(crate) fn report(&self, round: u64) -> PathBuf {
        self.folder.join(format!("report-{round}.txt"))
    }

    /// The spool file of one round.
    pub(crate) fn spool(&self, round: u64) -> PathBuf {
        self.folder.join(format!("spool-{round}.txt"))
    }
}

fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() {
        Ok(())
    } else {
        std::fs::write(path, bytes)
    }
}
