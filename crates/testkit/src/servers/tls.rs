//! A private certificate authority and a server certificate for localhost, made when a test asks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Error, find_program, run};

const DEADLINE: Duration = Duration::from_secs(20);
const EXTENSIONS: &str = "basicConstraints=critical,CA:FALSE\n\
    keyUsage=critical,digitalSignature\n\
    extendedKeyUsage=serverAuth\n\
    subjectAltName=DNS:localhost,IP:127.0.0.1\n";

/// PEM files for a TLS listener on localhost and for the clients that trust it.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The authority's certificate: what a client trusts.
    pub ca: PathBuf,
    /// The server's certificate, for `localhost` and 127.0.0.1, valid for two days.
    pub cert: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Makes the authority and the certificate in `folder`, with the `openssl` command.
    ///
    /// # Errors
    ///
    /// `openssl` is missing or fails, or the folder cannot be written.
    pub async fn make(folder: &Path) -> Result<Self, Error> {
        let openssl = find_program("openssl", "openssl")?;
        let extensions = folder.join("server.ext");
        std::fs::write(&extensions, EXTENSIONS).map_err(Error::io("write", &extensions))?;
        for line in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=longshore-test-ca \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
             -keyout ca.key -out ca.pem",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
             -keyout server.key -out server.csr",
            "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile server.ext \
             -out server.pem",
        ] {
            let mut command = Command::new(&openssl);
            command.current_dir(folder).args(line.split_whitespace());
            run(command, DEADLINE).await?;
        }
        Ok(Self {
            ca: folder.join("ca.pem"),
            cert: folder.join("server.pem"),
            key: folder.join("server.key"),
        })
    }
}
