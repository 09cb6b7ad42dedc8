//! Connections of one address: no single machine takes the room of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often it is told at most that somebody was refused.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long a refusal may take.
const REFUSAL_MAX: Duration = Duration::from_secs(1);
/// What is told to a connection too many. Its request is not read.
const REFUSAL: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\n\
    Connection: close\r\nContent-Length: 168\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Too many requests\",\"status\":429,\"code\":\"rate_limited\",\
    \"detail\":\"this address has too many connections open; close some\",\"request_id\":\"\"}\n";

/// Who is connected. It has as many rows as there are connections at most.
#[derive(Clone, Debug)]
pub(super) struct Crowd(Arc<Table>);

#[derive(Debug)]
struct Table {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    told: Mutex<Option<Instant>>,
}

/// One of an address's connections; dropped, another may come.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    /// `max` of each address; 0 for any number.
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Table {
            max,
            open: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    /// Counts a connection; `None` when its address has enough of them.
    pub(super) fn join(&self, address: IpAddr) -> Option<Member> {
        let mut open = self.0.open.lock();
        let count = open.entry(address).or_default();
        if self.0.max > 0 && *count >= self.0.max {
            drop(open);
            self.tell(address);
            return None;
        }
        *count += 1;
        drop(open);
        Some(Member {
            crowd: self.clone(),
            address,
        })
    }

    fn tell(&self, address: IpAddr) {
        let now = Instant::now();
        let mut told = self.0.told.lock();
        if told.is_none_or(|at| now.duration_since(at) >= TELL_EVERY) {
            *told = Some(now);
            drop(told);
            tracing::warn!(
                %address,
                max = self.0.max,
                "connections are refused: an address has as many as gateway.connections_per_address allows; raise it, or set \
                 gateway.trust_forwarded = true if the address is a proxy's that sets X-Forwarded-For"
            );
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut open = self.crowd.0.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Says that it is one too many, and closes.
pub(super) async fn refuse(mut stream: TcpStream) {
    let telling = async {
        stream.write_all(REFUSAL).await?;
        stream.shutdown().await
    };
    match tokio::time::timeout(REFUSAL_MAX, telling).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection too many did not hear so"),
        Err(_) => tracing::debug!("a connection too many did not listen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_number_of_connections_and_no_other_pays_for_it() {
        let crowd = Crowd::new(2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = crowd.join(one).unwrap();
        let second = crowd.join(one).unwrap();
        assert!(crowd.join(one).is_none());
        let others = crowd.join(other).unwrap();
        drop(first);
        let third = crowd.join(one).unwrap();
        drop((second, third, others));
        assert!(crowd.0.open.lock().is_empty());
    }

    #[test]
    fn the_refusal_says_how_long_it_is() {
        let text = String::from_utf8(REFUSAL.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
