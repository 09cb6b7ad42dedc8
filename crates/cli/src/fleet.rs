//! What operators' commands ask: the servers, through the SDK, or a gateway, by HTTP. Commands know neither.

pub(crate) mod access;
pub(crate) mod cron;
pub(crate) mod dead;
pub(crate) mod enqueue;
mod jobs;
pub(crate) mod purge;
mod queues;

use longshore::Client;
use longshore_core::port::Ports;

use crate::remote::Remote;
use crate::remote::events::Seen;

/// Where commands ask.
#[derive(Debug)]
pub(crate) enum Fleet {
    /// The servers, or the embedded store.
    Direct {
        /// The SDK.
        client: Client,
        /// What the SDK has no word for.
        ports: Ports,
    },
    /// A gateway.
    Remote {
        /// The gateway.
        remote: Remote,
        /// Where its streams of events ended.
        seen: Seen,
    },
}

impl Fleet {
    pub(crate) const fn direct(client: Client, ports: Ports) -> Self {
        Self::Direct { client, ports }
    }

    pub(crate) fn remote(remote: Remote) -> Self {
        Self::Remote {
            remote,
            seen: Seen::default(),
        }
    }

    /// Ends what was begun.
    pub(crate) async fn close(&self) {
        if let Self::Direct { client, .. } = self {
            client.close().await;
        }
    }
}
