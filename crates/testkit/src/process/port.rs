//! Loopback ports that nobody else takes, neither another test process nor an outgoing connection.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Error;

/// Below Linux' range for outgoing connections (from 32768), so that a server that restarts finds its port free.
const PORTS: Range<u16> = 15_000..32_000;
/// How many random ports are tried.
const TRIES: usize = 200;

/// A free port of 127.0.0.1, reserved among all test processes of this user until dropped.
///
/// The reservation is a lock on a file: the kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    _lock: File,
}

impl PortLease {
    /// Reserves a free port.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreePort`] after 200 tries, or the lock folder cannot be written.
    pub fn take() -> Result<Self, Error> {
        let folder = lock_folder()?;
        for _ in 0..TRIES {
            let port = rand::random_range(PORTS);
            if let Some(lock) = try_lock(&folder, port)?
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            {
                return Ok(Self { port, _lock: lock });
            }
        }
        Err(Error::NoFreePort)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

/// The folder of lock files that all test processes of this user share.
pub(crate) fn lock_folder() -> Result<PathBuf, Error> {
    let user = std::env::var("USER").unwrap_or_else(|_| "any".to_owned());
    let folder = std::env::temp_dir().join(format!("longshore-locks-{user}"));
    std::fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
    Ok(folder)
}

fn try_lock(folder: &Path, port: u16) -> Result<Option<File>, Error> {
    let path = folder.join(port.to_string());
    let file = File::create(&path).map_err(Error::io("open", &path))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leases_never_share_a_port() {
        let first = PortLease::take().unwrap();
        let folder = lock_folder().unwrap();
        assert!(try_lock(&folder, first.port()).unwrap().is_none());
        let port = first.port();
        drop(first);
        assert!(try_lock(&folder, port).unwrap().is_some());
    }
}
