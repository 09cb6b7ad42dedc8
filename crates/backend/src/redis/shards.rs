//! The number of shards: fixed when a store is made, and the same for everybody.

use longshore_core::port::Error;
use longshore_core::shard::Shards;

use super::link::{Link, text};
use super::reply::parse_number;
use super::{Config, ConnectError};

/// What belongs to no shard.
const META: &str = "longshore:meta";

/// Takes the store's number, or makes it the one that is asked for.
pub(super) async fn agree(link: &Link, config: &Config) -> Result<Shards, ConnectError> {
    let usual = if link.is_cluster() {
        Shards::CLUSTER
    } else {
        Shards::STANDALONE
    };
    let wanted = config.shards.unwrap_or(usual);
    keep(link, wanted).await?;
    let mut get = redis::cmd("HGET");
    get.arg(META).arg("shards");
    let stored = text(&link.command(&get).await?)?;
    let stored = parse_number(stored.as_bytes())?;
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

/// Writes the number unless there is one. Whoever beats does it too: a store that was wiped under live processes must
/// not be given another number by the next one that connects.
pub(super) async fn keep(link: &Link, shards: Shards) -> Result<(), Error> {
    let mut put = redis::cmd("HSETNX");
    put.arg(META).arg("shards").arg(shards.count());
    link.command(&put).await.map(drop)
}
