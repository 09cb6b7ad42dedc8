//! Letters by webhook: a signed POST of JSON, to vetted addresses alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::clock::{Clock, SystemClock};
use longshore_core::notice::post::Addressee;
use longshore_core::notice::{Kind, Letter};
use longshore_core::port::notify::{ChannelPort, NotSent, Retry, Sent};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::guard::{Allowed, Forbidden, Lookup, VettingResolver, is_clear, system_lookup, vet_url};
use crate::signature::{ID, Key, SIGNATURE, TIMESTAMP};
use crate::{Invalid, later, never, one_line, text};

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of a refusal is kept.
const REASON_CHARS_MAX: usize = 200;
/// The longest `Retry-After` that is kept to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What the other side takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Every fact of the letter, in fields. The default.
    #[default]
    Json,
    /// A text for Slack, Mattermost, Rocket.Chat and whatever else takes `{"text": …}`.
    Slack,
}

/// What a webhook needs to know. Its debug output shows neither URL nor key.
#[derive(Clone)]
pub struct WebhookSettings {
    /// The channel's name.
    pub name: String,
    /// What it wants to know of.
    pub kinds: BTreeSet<Kind>,
    /// Where to post; it may carry a token.
    pub url: String,
    /// Key of the signature; unsigned when `None`.
    pub key: Option<Key>,
    /// What is posted.
    pub body: Body,
    /// Addresses that are not public and are meant all the same.
    pub allowed: Allowed,
    /// How long one try may take.
    pub timeout: Duration,
    /// The time in `webhook-timestamp`.
    pub clock: Arc<dyn Clock>,
    /// How names become addresses.
    pub lookup: Lookup,
}

impl WebhookSettings {
    /// A generic webhook without a signature that wants to know of everything.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kinds: Kind::ALL.into(),
            url: url.into(),
            key: None,
            body: Body::Json,
            allowed: Allowed::default(),
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
            lookup: system_lookup(),
        }
    }
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A webhook.
pub struct Webhook {
    settings: WebhookSettings,
    url: Url,
    client: Client,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// A channel that is ready to send; nothing is connected or resolved yet.
    ///
    /// # Errors
    /// What is wrong with the settings; a host that cannot be public is told here already.
    pub fn new(settings: WebhookSettings) -> Result<Self, Invalid> {
        let url = check_url(&settings.url).map_err(|problem| Invalid::new("url", problem))?;
        vet_url(&url, &settings.allowed).map_err(|forbidden| Invalid::new("url", forbidden.to_string()))?;
        let client = client(&settings, is_clear(&url))?;
        Ok(Self {
            settings,
            url,
            client,
        })
    }

    /// The bytes of a letter: the same for every try.
    fn body(&self, letter: &Letter) -> Vec<u8> {
        let document = match self.settings.body {
            Body::Json => text::document(letter),
            Body::Slack => text::slack(letter),
        };
        document.to_string().into_bytes()
    }

    async fn bring(&self, letter: Letter) -> Result<(), NotSent> {
        // Here too: it costs nothing, and the client asks no resolver for a host that is an address.
        vet_url(&self.url, &self.settings.allowed).map_err(|forbidden| never(forbidden.to_string()))?;
        let body = self.body(&letter);
        let (id, timestamp) = (
            format!("msg_{}", letter.id),
            self.settings.clock.now().millis() / 1_000,
        );
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, &id)
            .header(TIMESTAMP, timestamp.to_string());
        if let Some(key) = &self.settings.key {
            request = request.header(SIGNATURE, key.sign(&id, timestamp, &body));
        }
        let answer = request.body(body).send().await.map_err(unanswered)?;
        conclude(answer).await
    }
}

impl ChannelPort for Webhook {
    fn addressee(&self) -> Addressee {
        Addressee {
            name: self.settings.name.clone(),
            kinds: self.settings.kinds.clone(),
        }
    }

    fn send(
        &self,
        letter: Letter,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Sent, NotSent>> + Send + '_>> {
        Box::pin(async move { self.bring(letter).await.map(|()| Sent::default()) })
    }
}

/// Whether requests could go to this URL, as far as its writing goes.
///
/// # Errors
/// What is wrong with it and the fix; never the URL itself.
pub fn check_url(text: &str) -> Result<Url, String> {
    let example = "use https://host/path";
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}); {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme: String = url.scheme().chars().take(32).collect();
        return Err(format!("has the scheme \"{scheme}\"; {example}"));
    }
    Ok(url)
}

/// One client a webhook: its connections go to the addresses that were vetted, and to nowhere that an answer or the
/// environment says.
fn client(settings: &WebhookSettings, is_clear: bool) -> Result<Client, Invalid> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Ring in the whole process; whoever was faster has installed the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(VettingResolver {
            lookup: settings.lookup.clone(),
            allowed: settings.allowed.clone(),
            is_clear,
        })
        .timeout(settings.timeout)
        .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
        // What was vetted is not kept for long.
        .pool_idle_timeout(Duration::from_secs(5))
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Invalid::new("url", format!("no client can be made: {error}")))
}

/// No answer came. The URL is left out: it may carry a token.
fn unanswered(error: reqwest::Error) -> NotSent {
    let error = error.without_url();
    let mut reasons = vec![error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return never(forbidden.to_string());
        }
        reasons.push(cause.to_string());
        source = cause.source();
    }
    reasons.dedup();
    later(one_line(
        &format!("no answer: {}", reasons.join(": ")),
        REASON_CHARS_MAX,
    ))
}

async fn conclude(answer: Response) -> Result<(), NotSent> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = retry_after(answer.headers());
    let said = one_line(
        &String::from_utf8_lossy(&beginning(answer).await),
        REASON_CHARS_MAX,
    );
    let reason = if status.is_redirection() {
        format!(
            "the endpoint answered {status}: redirects are not followed; configure the address that it points to"
        )
    } else {
        format!("the endpoint answered {status}: {said}")
    };
    Err(match after {
        _ if !is_transient(status) => never(reason),
        Some(pause) => NotSent {
            reason,
            retry: Retry::After(pause.min(RETRY_AFTER_MAX)),
        },
        None => later(reason),
    })
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Seconds of `Retry-After`; its other form, a date, is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The beginning of an answer; what cannot be read of it is no news.
async fn beginning(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(
                chunk
                    .get(..chunk.len().min(ANSWER_BYTES_MAX - body.len()))
                    .unwrap_or_default(),
            ),
            _ => break,
        }
    }
    body
}
