//! The version of the broker, which it tells before anybody logs in. The client library keeps it to itself.

use std::time::Duration;

use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::secret::SecretUrl;

/// Which protocol a client speaks: its first bytes.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Before the table of the broker's properties: class, method and the protocol's version.
const BEFORE_TABLE: usize = 6;
/// Type, channel and size of a frame.
const HEAD: usize = 7;
/// Largest first frame that is read, in bytes.
const FRAME_BYTES_MAX: usize = 64 * 1024;
/// How long the broker may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Where a plain broker listens unless the URL says otherwise.
const PORT: u16 = 5672;

/// What the broker calls its version; `None` where the greeting is under TLS, or is none.
pub(super) async fn of(url: &SecretUrl) -> Option<String> {
    if url.scheme() != "amqp" {
        return None;
    }
    tokio::time::timeout(TIMEOUT, greeting(url.hosts())).await.ok()?
}

async fn greeting(hosts: &str) -> Option<String> {
    let is_whole = hosts
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let mut stream = if is_whole {
        TcpStream::connect(hosts).await.ok()?
    } else {
        let host = hosts.trim_matches(['[', ']']);
        TcpStream::connect((host, PORT)).await.ok()?
    };
    stream.write_all(HELLO).await.ok()?;
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await.ok()?;
    let [.., a, b, c, d] = head;
    let bytes = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if bytes > FRAME_BYTES_MAX {
        return None;
    }
    let mut frame = vec![0; bytes];
    stream.read_exact(&mut frame).await.ok()?;
    let (_, properties): (_, FieldTable) = parse_field_table(frame.get(BEFORE_TABLE..)?).ok()?;
    match properties.inner().get("version")? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}
