//! A small HTTP server that writes down every request and answers as a test says.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::process::Error;

/// Largest body that is read.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, with these header lines and this body.
    Status(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing until the answer is changed: the request is written down, and nobody is told.
    Hold,
}

impl Answer {
    /// A status without anything else.
    pub const fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), Vec::new())
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Method and path.
    pub target: String,
    /// Header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

/// A running server. Ended when dropped.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answer: watch::Sender<Answer>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Starts a server that answers 200.
    ///
    /// # Errors
    ///
    /// No loopback port can be bound.
    pub async fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(Error::io("bind", "127.0.0.1"))?;
        let addr = listener
            .local_addr()
            .map_err(Error::io("look at", "a listener"))?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let (answer, answers) = watch::channel(Answer::status(200));
        let task = tokio::spawn(accept(listener, received.clone(), answers));
        Ok(Self {
            addr,
            received,
            answer,
            task,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:port` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Answers so from now on, also to what is held.
    pub fn answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    /// Every request so far, in the order in which they came.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }
}

async fn accept(
    listener: TcpListener,
    received: Arc<Mutex<Vec<Received>>>,
    answers: watch::Receiver<Answer>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (received, answers) = (received.clone(), answers.clone());
        connections.spawn(async move {
            // A client that goes away is no failure of the server.
            converse(stream, &received, answers).await.ok();
        });
    }
}

async fn converse(
    stream: TcpStream,
    received: &Mutex<Vec<Received>>,
    mut answers: watch::Receiver<Answer>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        received.lock().push(request);
        let said = answers.wait_for(|answer| *answer != Answer::Hold).await;
        let Ok(Answer::Status(status, headers, body)) = said.map(|answer| answer.clone()) else {
            return Ok(());
        };
        let mut text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.extend([name, ": ", value.as_str(), "\r\n"]);
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).await?;
        stream.write_all(&body).await?;
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let target = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; BODY_BYTES_MAX.min(length)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received {
        target,
        headers,
        body,
    }))
}
