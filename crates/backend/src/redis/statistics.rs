//! What happened, as the scripts count it.

use longshore_core::port::Error;
use longshore_core::stats::{Statistics, StatisticsQuery};

use super::{SERVER, Store};

impl Store {
    #[expect(clippy::unused_async, reason = "the scripts count nothing yet")]
    pub(super) async fn statistics_of(&self, _query: &StatisticsQuery) -> Result<Statistics, Error> {
        Err(Error::Refused {
            server: SERVER,
            reason: "statistics are not counted here yet".to_owned(),
        })
    }
}
