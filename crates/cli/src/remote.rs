//! A gateway, asked by HTTP: what commands need, as the API offers it.
//!
//! Answers are bounded and redirects are not followed: the token is for one address. What a gateway refuses becomes a
//! [`Failure`] with the exit code that the same refusal has without a gateway.

pub(crate) mod address;
pub(crate) mod events;
mod refusal;
pub(crate) mod view;
pub(crate) mod write;

use std::time::Duration;

use longshore_service::config::{Api, Secret};
use longshore_service::exit::ExitCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::failure::Failure;

/// Largest answer that is read: a page of a hundred messages of a megabyte each, in base64.
const ANSWER_BYTES_MAX: usize = 192 * 1024 * 1024;
/// Largest refusal that is read.
const REFUSAL_BYTES_MAX: usize = 256 * 1024;
/// How often a request that came too soon is sent again.
const TOO_SOON_MAX: u32 = 10;
/// Longest pause before that.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A gateway.
#[derive(Clone)]
pub(crate) struct Remote {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
    timeout: Duration,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// The ends of a path below `/api/v1`: names that people gave are escaped.
pub(crate) fn path(parts: &[&str]) -> String {
    let escaped = parts
        .iter()
        .map(|part| url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>());
    // A plus is a space in forms alone.
    escaped.collect::<Vec<_>>().join("/").replace('+', "%20")
}

impl Remote {
    /// A gateway as it is configured. Nothing is asked yet.
    ///
    /// # Errors
    /// When the address or the certificate authority cannot be used.
    pub(crate) fn new(api: &Api) -> Result<Self, Failure> {
        let url = api.url.as_ref().map_or("", Secret::expose);
        let base = address::of(url, api.token.as_ref())?;
        Ok(Self {
            http: client(api, &base)?,
            base,
            token: api.token.clone(),
            timeout: api.timeout,
        })
    }

    /// Where it is.
    pub(crate) fn shown(&self) -> &str {
        self.base.as_str()
    }

    /// A request below `/api/v1`, with the token.
    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.base.join(&format!("api/v1/{path}"));
        let url = url.map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
        let request = self.http.request(method, url);
        let Some(token) = &self.token else {
            return Ok(request);
        };
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| {
            Failure::new(
                ExitCode::Config,
                "api.token: has a character that no header can carry, such as a line break; use it as it was made",
            )
        })?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    /// `GET`, with a query.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let path = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let request = self.request(Method::GET, &path)?;
        self.answered(request).await
    }

    /// As [`Remote::get`]; `None` when there is no such thing.
    ///
    /// # Errors
    /// What the gateway refuses besides, or that it does not answer.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        found(self.get(path, &[]).await)
    }

    /// `POST` with a body.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, path)?.json(body);
        self.answered(request).await
    }

    /// `POST` with headers of its own.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        header: Option<(&str, &str)>,
    ) -> Result<T, Failure> {
        let mut request = self.request(Method::PUT, path)?.json(body);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        self.answered(request).await
    }

    /// `DELETE`; answers whether it was there.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(crate) async fn delete(&self, path: &str) -> Result<bool, Failure> {
        let request = self.request(Method::DELETE, path)?;
        let gone: Option<Value> = found(self.answered(request).await)?;
        Ok(gone.is_some())
    }

    async fn answered<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let request = request.timeout(self.timeout);
        let mut response = self.sent(&request).await?;
        for _ in 0..TOO_SOON_MAX {
            if response.status() != StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            // Nothing was done: it may be sent again, whatever it was.
            tokio::time::sleep(pause(&response)).await;
            response = self.sent(&request).await?;
        }
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let (is_json, asked) = (says(&response, "application/json"), response.url().clone());
        let status = response.status();
        let body = self.body(response, ANSWER_BYTES_MAX).await?;
        if status == StatusCode::NO_CONTENT {
            return serde_json::from_value(Value::Bool(true))
                .map_err(|_| self.not_ours(&asked, "it says nothing"));
        }
        if !is_json {
            return Err(self.not_ours(&asked, "its answer is not JSON"));
        }
        serde_json::from_slice(&body).map_err(|error| self.not_ours(&asked, &error.to_string()))
    }

    async fn sent(&self, request: &RequestBuilder) -> Result<Response, Failure> {
        let copy = request.try_clone();
        let copy = copy.ok_or_else(|| Failure::new(ExitCode::Failure, "a request cannot be sent twice"))?;
        copy.send().await.map_err(|error| self.unreached(error))
    }

    /// An answer within its bound.
    async fn body(&self, mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreached(error))? {
            if body.len() + chunk.len() > most {
                return Err(self.not_ours(response.url(), "its answer is over the limit"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// `None` for what does not exist.
fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.said == "not_found" => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn says(response: &Response, kind: &str) -> bool {
    let said = response.headers().get(CONTENT_TYPE);
    said.and_then(|value| value.to_str().ok())
        .is_some_and(|said| said.starts_with(kind))
}

fn pause(response: &Response) -> Duration {
    let said = response.headers().get(RETRY_AFTER);
    let seconds = said.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(PAUSE_MAX)
}

fn client(api: &Api, base: &Url) -> Result<reqwest::Client, Failure> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Ring in the whole process; whoever was faster has installed the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(api.timeout.min(Duration::from_secs(10)))
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")));
    if address::is_loopback(base) {
        builder = builder.no_proxy();
    }
    if let Some(file) = &api.ca_file {
        let wrong = |problem: String| {
            Failure::new(
                ExitCode::Config,
                format!("api.ca_file: {}: {problem}", file.display()),
            )
        };
        let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
        if roots.is_empty() {
            return Err(wrong("has no certificate; use a PEM file".to_owned()));
        }
        builder = builder.tls_certs_only(roots);
    }
    builder
        .build()
        .map_err(|error| Failure::from_error(ExitCode::Config, &error))
}
