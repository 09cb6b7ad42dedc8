//! Who owns the folder, and what it was made for.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use longshore_core::shard::Shards;

/// Why a folder cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by process {}; stop it, or use another folder", folder.display(), pid_text(*pid))]
    Owned {
        /// The folder.
        folder: PathBuf,
        /// The owner, when its lock file says so.
        pid: Option<u32>,
    },
    /// It was made with another number of shards.
    #[error("{} has {found} shards, not {wanted}; open it with {found}", folder.display())]
    Shards {
        /// The folder.
        folder: PathBuf,
        /// How many it has.
        found: u16,
        /// How many were asked for.
        wanted: u16,
    },
    /// The file system refuses.
    #[error("{}: {reason}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What it said.
        #[source]
        reason: std::io::Error,
    },
    /// Another process has it and cannot be reached.
    #[error("{} is in use by process {}, which does not answer: {reason}", folder.display(), pid_text(*pid))]
    Silent {
        /// The folder.
        folder: PathBuf,
        /// The owner, when its lock file says so.
        pid: Option<u32>,
        /// What was tried last.
        #[source]
        reason: longshore_core::port::Error,
    },
    /// What is stored cannot be read.
    #[error("{} cannot be read: {reason}", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
}

/// The lock on a folder. Dropping it frees the folder.
#[derive(Debug)]
pub(super) struct Ownership {
    _file: File,
}

impl Ownership {
    /// Takes the folder, making it when it is new.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let io = |reason| OpenError::Io {
            folder: folder.to_owned(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let path = folder.join("owner");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Owned {
                    folder: folder.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(reason)) => return Err(io(reason)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// The number of shards that a folder has, given what it says of itself and what was asked for.
pub(super) fn agree_on_shards(
    folder: &Path,
    found: Option<u16>,
    wanted: Option<Shards>,
) -> Result<Shards, OpenError> {
    let Some(found) = found else {
        return Ok(wanted.unwrap_or(Shards::STANDALONE));
    };
    match (Shards::new(u64::from(found)), wanted) {
        (Ok(shards), None) => Ok(shards),
        (Ok(shards), Some(wanted)) if shards == wanted => Ok(shards),
        (Ok(_), Some(wanted)) => Err(OpenError::Shards {
            folder: folder.to_owned(),
            found,
            wanted: wanted.count(),
        }),
        (Err(error), _) => Err(OpenError::Damaged {
            folder: folder.to_owned(),
            reason: error.to_string(),
        }),
    }
}
