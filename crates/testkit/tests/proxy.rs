//! The proxy misbehaves exactly as told.
#![cfg(test)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use longshore_testkit::proxy::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(200);

/// Answers every byte with the same byte, and reports what it has received.
async fn echo() -> (SocketAddr, mpsc::UnboundedReceiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, sightings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                while let Ok(byte) = socket.read_u8().await {
                    // What has arrived counts, also when nobody is left to hear the answer.
                    drop((seen.send(byte), socket.write_u8(byte).await));
                }
            });
        }
    });
    (addr, sightings)
}

async fn exchange(socket: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    socket.write_u8(byte).await?;
    timeout(SOON, socket.read_u8()).await.expect("an answer")
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end() {
    let (server, _seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(exchange(&mut socket, 7).await.unwrap(), 7);
    socket.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, socket.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_cut_resets_open_connections_and_lets_new_ones_in() {
    let (server, _seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    exchange(&mut socket, 1).await.unwrap();
    proxy.cut();
    assert_eq!(
        timeout(SOON, socket.read_u8()).await.unwrap().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(exchange(&mut socket, 2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_half_open_connection_is_silent_and_reset_when_healed() {
    let (server, mut seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut torn = TcpStream::connect(proxy.addr()).await.unwrap();
    let mut whole = TcpStream::connect(proxy.addr()).await.unwrap();
    exchange(&mut torn, 1).await.unwrap();
    exchange(&mut whole, 2).await.unwrap();
    proxy.half_open();
    torn.write_u8(3).await.unwrap();
    timeout(SILENCE, torn.read_u8()).await.unwrap_err();
    proxy.heal().await.unwrap();
    assert_eq!(
        timeout(SOON, torn.read_u8()).await.unwrap().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(exchange(&mut whole, 4).await.unwrap(), 4);
    let arrived: Vec<_> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
    assert_eq!(arrived, [1, 2, 4]);
}

#[tokio::test]
async fn dropped_replies_leave_the_request_done() {
    let (server, mut seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.drop_replies();
    socket.write_u8(9).await.unwrap();
    assert_eq!(timeout(SOON, seen.recv()).await.unwrap(), Some(9));
    timeout(SILENCE, socket.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn dropped_requests_leave_the_other_way_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_u8(1).await.unwrap();
    assert_eq!(timeout(SOON, server.read_u8()).await.unwrap().unwrap(), 1);
    proxy.drop_requests();
    client.write_u8(2).await.unwrap();
    server.write_u8(3).await.unwrap();
    assert_eq!(timeout(SOON, client.read_u8()).await.unwrap().unwrap(), 3);
    timeout(SILENCE, server.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn latency_delays_each_way_without_limiting_how_much_is_on_its_way() {
    let (server, _seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.latency(Duration::from_millis(100));
    let start = Instant::now();
    exchange(&mut socket, 1).await.unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_cut_after_some_bytes_lets_exactly_these_through() {
    let (server, mut seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    exchange(&mut socket, 1).await.unwrap();
    proxy.cut_after(3);
    socket.write_all(&[2, 3, 4, 5, 6]).await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, socket.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap_err();
    let mut arrived = Vec::new();
    while arrived.len() < 4 {
        arrived.push(timeout(SOON, seen.recv()).await.unwrap().unwrap());
    }
    assert_eq!(arrived, [1, 2, 3, 4]);
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(exchange(&mut socket, 7).await.unwrap(), 7);
    assert_eq!(seen.recv().await, Some(7));
}

#[tokio::test]
async fn a_refusing_proxy_takes_nobody_until_healed() {
    let (server, _seen) = echo().await;
    let proxy = Proxy::start(server).await.unwrap();
    let mut open = TcpStream::connect(proxy.addr()).await.unwrap();
    exchange(&mut open, 1).await.unwrap();
    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(exchange(&mut open, 2).await.unwrap(), 2);
    proxy.heal().await.unwrap();
    let mut socket = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(exchange(&mut socket, 3).await.unwrap(), 3);
}
