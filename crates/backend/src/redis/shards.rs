//! The number of shards: fixed when a store is made, and the same for everybody.

use std::time::Duration;

use longshore_core::port::Error;
use longshore_core::shard::Shards;

use super::call::Call;
use super::fault::unknown;
use super::link::Link;
use super::reply::Reader;
use super::{Config, ConnectError, script};

/// What belongs to no shard.
const META: &str = "longshore:meta";

/// How long whoever asks every shard waits for one of them. Beats and leases, which wait for all the others meanwhile, must
/// come again in time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Awaits one of many shards, but not for long.
pub(super) async fn soon<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| Err(unknown()))
}

/// Takes the store's number, or makes it the one that is asked for.
pub(super) async fn agree(link: &Link, config: &Config) -> Result<Shards, ConnectError> {
    let usual = if link.is_cluster() {
        Shards::CLUSTER
    } else {
        Shards::STANDALONE
    };
    let wanted = config.shards.unwrap_or(usual);
    let stored = keep(link, wanted).await?;
    let shards = Shards::new(stored).map_err(|error| Error::Corrupt(error.to_string()))?;
    match config.shards {
        Some(asked) if asked != shards => Err(ConnectError::Shards {
            url: config.url.clone(),
            stored: shards.count(),
            asked: asked.count(),
        }),
        _ => Ok(shards),
    }
}

/// Writes the number unless there is one, and answers which one holds. Whoever beats does it too: a store that was wiped under live processes must
/// not be given another number by the next one that connects.
pub(super) async fn keep(link: &Link, shards: Shards) -> Result<u64, Error> {
    let mut call = Call::with_keys(&script::KEEP_SHARDS, &[META]);
    call.arg(shards.count());
    Reader::of_one(link.run(&call).await?).number()
}
