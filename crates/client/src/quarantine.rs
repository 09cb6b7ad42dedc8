//! Messages that nobody could handle.

use std::collections::VecDeque;

use longshore_core::limits::QUARANTINE_PAGE_MAX;
use longshore_core::port::inspect::QuarantineEntry;

use crate::client::Client;
use crate::error::ClientError;

/// The quarantine, message by message in the order of their ids; made by [`Client::quarantine`].
#[derive(Debug)]
pub struct Quarantine {
    client: Client,
    ready: VecDeque<QuarantineEntry>,
    after: Option<String>,
}

impl Quarantine {
    pub(crate) const fn new(client: Client) -> Self {
        Self {
            client,
            ready: VecDeque::new(),
            after: None,
        }
    }

    /// Goes on after the message of this id; from the first one when `None`.
    #[must_use]
    pub fn after(mut self, message_id: Option<String>) -> Self {
        self.after = message_id;
        self
    }

    /// The next message; `None` at the end. After an error it may be asked for again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next(&mut self) -> Result<Option<QuarantineEntry>, ClientError> {
        if self.ready.is_empty() {
            let page = self
                .client
                .asking(|ports| ports.inspect.quarantined(self.after.clone(), QUARANTINE_PAGE_MAX));
            self.ready = page.await?.into();
        }
        let next = self.ready.pop_front();
        if let Some(entry) = &next {
            self.after = Some(entry.message.message_id.clone());
        }
        Ok(next)
    }
}
