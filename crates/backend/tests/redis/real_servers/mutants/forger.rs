//! Stands between a store and its server, and puts a mistake into a script on its way. The store names scripts by
//! their digest; the server knows only the changed text, so it asks for the text each time, and gets the changed one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::table::Mutant;

pub(super) struct Forger {
    address: String,
    forged: Arc<AtomicBool>,
    listening: JoinHandle<()>,
}

impl Forger {
    pub(super) async fn start(server: String, mutant: Mutant) -> Self {
        forget_scripts(&server).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let forged = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&forged);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(&server).await else {
                    continue;
                };
                client.set_nodelay(true).unwrap();
                upstream.set_nodelay(true).unwrap();
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, to_server) = upstream.into_split();
                tokio::spawn(requests(from_client, to_server, mutant, Arc::clone(&seen)));
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            }
        });
        Self {
            address,
            forged,
            listening,
        }
    }

    /// Where it listens: host and port.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// Whether the mistake has reached the server.
    pub(super) fn has_forged(&self) -> bool {
        self.forged.load(Ordering::SeqCst)
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A script that the server knows from before is not sent again, and could not be changed.
async fn forget_scripts(server: &str) {
    let mut server = TcpStream::connect(server).await.unwrap();
    server
        .write_all(b"*2\r\n$6\r\nSCRIPT\r\n$5\r\nFLUSH\r\n")
        .await
        .unwrap();
    let mut answer = [0; 5];
    server.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mutant: Mutant, forged: Arc<AtomicBool>) {
    let mut buffer = Vec::new();
    loop {
        let mut out = Vec::new();
        let mut used = 0;
        while let Some((length, parts)) = command(&buffer[used..]) {
            let whole = &buffer[used..used + length];
            match forge(&parts, &mutant) {
                Some(text) => {
                    forged.store(true, Ordering::SeqCst);
                    encode(&mut out, &parts, text.as_bytes());
                }
                None => out.extend_from_slice(whole),
            }
            used += length;
        }
        buffer.drain(..used);
        if !out.is_empty() && to.write_all(&out).await.is_err() {
            return;
        }
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// The changed text, when this is a script's that has the mistake.
fn forge(parts: &[&[u8]], mutant: &Mutant) -> Option<String> {
    let [name, source, ..] = parts else {
        return None;
    };
    if !name.eq_ignore_ascii_case(b"EVAL") && !name.eq_ignore_ascii_case(b"EVAL_RO") {
        return None;
    }
    let source = std::str::from_utf8(source).unwrap();
    let text = mutant.text();
    // The first line of a script's own file comes before the shared parts, and those of the way of most jobs between its
    // halves.
    let own = if mutant.is_shared() {
        text
    } else {
        let body = text.split_once('\n').unwrap().1;
        let mut halves = body.split("---- direct\n");
        halves.find(|half| half.contains(mutant.needle)).unwrap()
    };
    let changed = own.replacen(mutant.needle, mutant.replacement, 1);
    source.contains(own).then(|| source.replace(own, &changed))
}

fn encode(out: &mut Vec<u8>, parts: &[&[u8]], text: &[u8]) {
    out.extend(format!("*{}\r\n", parts.len()).bytes());
    for (at, part) in parts.iter().enumerate() {
        let part: &[u8] = if at == 1 { text } else { part };
        out.extend(format!("${}\r\n", part.len()).bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first command of the bytes, when it is whole: its length and its parts.
fn command(bytes: &[u8]) -> Option<(usize, Vec<&[u8]>)> {
    let (mut at, count) = number(bytes, 0, b'*')?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (from, length) = number(bytes, at, b'$')?;
        parts.push(bytes.get(from..from + length)?);
        at = from + length + 2;
    }
    (at <= bytes.len()).then_some((at, parts))
}

fn number(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(rest[0], kind, "clients send arrays of texts");
    let number = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
    Some((at + end + 2, number))
}
