//! HTTP by hand: what a client library would not send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes, and reads until the other side closes or `patience` is over.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8], patience: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early closes before everything is written.
    stream.write_all(bytes).await.ok();
    read(&mut stream, patience).await
}

/// Reads until the other side closes or `patience` is over.
pub(crate) async fn read(stream: &mut TcpStream, patience: Duration) -> String {
    let mut answer = Vec::new();
    let reading = async {
        let mut chunk = [0_u8; 4096];
        while let Ok(count) = stream.read(&mut chunk).await {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(patience, reading).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}
