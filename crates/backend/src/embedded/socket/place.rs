//! Where the socket is.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Longest path that every Unix takes for a socket (108 bytes on Linux, 104 on macOS, with the closing zero).
const PATH_BYTES_MAX: usize = 100;
/// The socket's name in the folder.
const SOCKET: &str = "socket";
/// Where the socket is when the folder's own path is too long.
const ELSEWHERE: &str = "socket.path";

/// A bound socket; dropping it takes it away.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    /// The folder that was made for it, and the file that names it.
    elsewhere: Option<(PathBuf, PathBuf)>,
}

/// Binds the socket of a folder. The caller owns the folder, so whatever lies there is left over.
pub(super) fn bind(folder: &Path, nonce: u64) -> io::Result<(UnixListener, Place)> {
    let own = folder.join(SOCKET);
    let note = folder.join(ELSEWHERE);
    for path in [&own, &note] {
        remove(path)?;
    }
    // The name is used only once the mode is set.
    if own.as_os_str().len() + ".new".len() <= PATH_BYTES_MAX {
        let listener = bind_private(&own)?;
        return Ok((
            listener,
            Place {
                socket: own,
                elsewhere: None,
            },
        ));
    }
    let parent = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let private = parent.join(format!("longshore-{nonce:016x}"));
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let socket = private.join(SOCKET);
    let place = Place {
        socket: socket.clone(),
        elsewhere: Some((private, note.clone())),
    };
    let listener = bind_private(&socket)?;
    std::fs::write(note, socket.as_os_str().as_bytes())?;
    Ok((listener, place))
}

fn bind_private(socket: &Path) -> io::Result<UnixListener> {
    let new = socket.with_extension("new");
    remove(&new)?;
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, socket)?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where a client finds the socket of a folder.
pub(super) fn find(folder: &Path) -> io::Result<PathBuf> {
    match std::fs::read(folder.join(ELSEWHERE)) {
        Ok(path) => Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder.join(SOCKET)),
        Err(error) => Err(error),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be taken away is taken away by the next owner, or by whoever cleans the temporary files.
        remove(&self.socket).ok();
        if let Some((private, note)) = &self.elsewhere {
            remove(note).ok();
            std::fs::remove_dir(private).ok();
        }
    }
}
