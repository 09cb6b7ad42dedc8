//! Several processes, one folder: the first owns it, the others are its guests.

use std::path::Path;
use std::time::Duration;

use longshore_core::port::{self, Ports};

use super::{OpenError, Options, Store, socket};

/// How long a folder that is just changing hands is waited for.
const HANDOVER_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries.
const HANDOVER_STEP: Duration = Duration::from_millis(50);

/// What a process is to a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds the data; jobs run here.
    Owner,
    /// It asks the owner: it may enqueue, look and cancel, but not run jobs.
    Guest,
}

/// A folder, opened or connected to.
#[derive(Debug)]
pub struct Embedded {
    /// What it offers. A guest's worker and scheduler ports answer with a clear refusal.
    pub ports: Ports,
    /// What this process is to it.
    pub role: Role,
    store: Option<Store>,
}

impl Embedded {
    /// Ends it: an owner's folder is free; a guest's connection ends with its last port.
    ///
    /// # Errors
    /// When the disk does not take what is left.
    pub fn close(self) -> Result<(), port::Error> {
        self.store.map_or(Ok(()), Store::close)
    }
}

/// Opens a folder and serves it, or connects to the process that owns it.
///
/// # Errors
/// When the folder can be neither opened nor, being owned, connected to.
pub async fn open_or_connect(folder: &Path, options: Options) -> Result<Embedded, OpenError> {
    let deadline = tokio::time::Instant::now() + HANDOVER_MAX;
    loop {
        let owner = match Store::open(folder, options.clone()) {
            Ok(store) => return own(folder, store),
            Err(OpenError::Owned { pid, .. }) => pid,
            Err(error) => return Err(error),
        };
        match connect(folder).await {
            Ok(ports) => {
                return Ok(Embedded {
                    ports,
                    role: Role::Guest,
                    store: None,
                });
            }
            // The owner has not bound its socket yet, or has just ended.
            Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(HANDOVER_STEP).await,
            Err(reason) => {
                return Err(OpenError::Silent {
                    folder: folder.to_owned(),
                    pid: owner,
                    reason,
                });
            }
        }
    }
}

fn own(folder: &Path, store: Store) -> Result<Embedded, OpenError> {
    store.serve().map_err(|reason| OpenError::Io {
        folder: folder.to_owned(),
        reason,
    })?;
    Ok(Embedded {
        ports: store.ports(),
        role: Role::Owner,
        store: Some(store),
    })
}

/// Connects to the process that owns a folder. The connection is made anew when it breaks.
///
/// # Errors
/// When nobody serves the folder.
pub async fn connect(folder: &Path) -> Result<Ports, port::Error> {
    socket::connect(folder).await
}
