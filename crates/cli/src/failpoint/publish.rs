//! What goes out: messages, dead letters, and letters to people.

use std::pin::Pin;
use std::sync::Arc;

use longshore_core::message::Message;
use longshore_core::notice::Letter;
use longshore_core::notice::post::Addressee;
use longshore_core::port::PublishPort;
use longshore_core::port::broker::Published;
use longshore_core::port::notify::{ChannelPort, NotSent, Sent};
use longshore_core::port::schedule::DeadLetter;

use super::point::{Armed, Point, forward};

pub(super) struct PublishPoints {
    pub(super) inner: Arc<dyn PublishPort>,
    pub(super) armed: Arc<Armed>,
}

impl PublishPort for PublishPoints {
    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        if !letters.is_empty() {
            self.armed.pass(Point::BeforeCopy);
        }
        self.inner.archive(letters)
    }

    forward! {
        publish(messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>>;
        is_ready() -> bool;
    }
}

#[derive(Debug)]
pub(super) struct ChannelPoints {
    pub(super) inner: Arc<dyn ChannelPort>,
    pub(super) armed: Arc<Armed>,
}

impl ChannelPort for ChannelPoints {
    fn send(&self, letter: Letter) -> Pin<Box<dyn Future<Output = Result<Sent, NotSent>> + Send + '_>> {
        Box::pin(async move {
            let sent = self.inner.send(letter).await?;
            self.armed.pass(Point::AfterLetter);
            Ok(sent)
        })
    }

    forward! {
        addressee() -> Addressee;
    }
}
