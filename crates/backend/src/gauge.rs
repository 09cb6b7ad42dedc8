//! What Redis itself says of the processor time and memory that it takes, for measurements.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::config::{BackendConfig, Endpoints};
use crate::redis as store;

/// Reads Redis' own counters over a connection of its own.
#[derive(Clone, Debug)]
pub struct Gauge(MultiplexedConnection);

impl Gauge {
    /// Connects; `None` on the embedded store and on a cluster, which has no one answer.
    ///
    /// # Errors
    /// When Redis cannot be reached or refuses.
    pub async fn connect(config: &BackendConfig) -> Result<Option<Self>, store::ConnectError> {
        let Endpoints::Servers { redis: url, .. } = &config.endpoints else {
            return Ok(None);
        };
        let config = store::Config {
            ca_file: config.redis_ca_file.clone(),
            ..store::Config::new(url.clone())
        };
        Ok(store::dial_one(&config).await?.map(Self))
    }

    /// Processor time of Redis' main process so far; `None` when it does not say.
    pub async fn cpu(&self) -> Option<Duration> {
        let said = self.info("cpu").await?;
        let seconds = |key: &str| said.get(key)?.parse::<f64>().ok();
        Duration::try_from_secs_f64(seconds("used_cpu_sys")? + seconds("used_cpu_user")?).ok()
    }

    /// Bytes that Redis has allocated for data, without its clients' buffers; `None` when it does not say.
    pub async fn data_bytes(&self) -> Option<u64> {
        self.info("memory")
            .await?
            .get("used_memory_dataset")?
            .parse()
            .ok()
    }

    async fn info(&self, section: &str) -> Option<BTreeMap<String, String>> {
        let mut ask = redis::cmd("INFO");
        let text: String = ask.arg(section).query_async(&mut self.0.clone()).await.ok()?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Some(
            pairs
                .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }
}
