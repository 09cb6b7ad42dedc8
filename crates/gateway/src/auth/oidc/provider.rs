//! The provider: what it says of itself, where people are sent, and what it tells of them.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use longshore_core::Timestamp;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AsyncHttpClient, AuthorizationCode, ClaimsVerificationError, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::attempt::Attempt;
use super::{OidcSettings, SKEW_MAX};
use crate::error::{Error, ErrorCode};

/// How long what the provider says of itself is believed.
const METADATA_KEPT: Duration = Duration::from_secs(600);
/// How often its keys are asked for anew because a token was signed with one that is not known.
const METADATA_PAUSE: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Claims that no standard names: groups, roles.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Claims(Map<String, Value>);

impl openidconnect::AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type TokenResponse = StandardTokenResponse<Fields, CoreTokenType>;
type Refusal = StandardErrorResponse<CoreErrorResponseType>;
type RelyingParty = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Refusal,
    TokenResponse,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider, as this gateway knows it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(super) settings: OidcSettings,
    /// Where it sends browsers back to.
    callback: Url,
    http: Http,
    /// What it last said of itself, its keys among it.
    metadata: Mutex<Option<(CoreProviderMetadata, Timestamp)>>,
}

impl Provider {
    /// Nothing is asked of it yet: a provider that is away keeps no gateway from starting.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub(crate) fn new(settings: OidcSettings, callback: Url) -> Result<Self, reqwest::Error> {
        Ok(Self {
            settings,
            callback,
            http: Http::new()?,
            metadata: Mutex::default(),
        })
    }

    /// What the button that leads to it says.
    pub(crate) fn label(&self) -> &str {
        &self.settings.label
    }

    /// Where somebody is sent to sign in.
    pub(super) async fn sign_in_url(&self, attempt: &Attempt, now: Timestamp) -> Result<Url, Error> {
        let party = self.party(now, METADATA_KEPT).await?;
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier()));
        let scopes = self.settings.scopes.iter().cloned().map(Scope::new);
        let (url, ..) = party
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        Ok(url)
    }

    /// Whether this is the provider's name, as RFC 9207 lets it tell.
    pub(super) fn is_called(&self, issuer: &str) -> bool {
        issuer.trim_end_matches('/') == self.settings.issuer.as_str().trim_end_matches('/')
    }

    /// What the provider tells of whoever came back with a code.
    pub(super) async fn claims(
        &self,
        code: String,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Error> {
        let party = self.party(now, METADATA_KEPT).await?;
        let request = party
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| refused("names no token endpoint", &error))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier()));
        let answer = request.request_async(&self.http).await.map_err(not_exchanged)?;
        let nonce = Nonce::new(attempt.nonce());
        let claims = match verified(&party, &answer, &nonce, now) {
            // It may sign with a key that is newer than what it last said.
            Err(Unproven::UnknownKey) => {
                let party = self.party(now, METADATA_PAUSE).await?;
                verified(&party, &answer, &nonce, now)
            }
            known => known,
        };
        let claims = claims.map_err(Unproven::told)?;
        if super::role::find(&claims, &self.settings.role_claim).is_some() {
            return Ok(claims);
        }
        self.with_user_info(&party, &answer, claims).await
    }

    /// Some providers tell groups at the user info endpoint alone.
    async fn with_user_info(
        &self,
        party: &RelyingParty,
        answer: &TokenResponse,
        mut claims: Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let subject = openidconnect::SubjectIdentifier::new(subject.to_owned());
        let Ok(request) = party.user_info(answer.access_token().clone(), Some(subject)) else {
            return Ok(claims);
        };
        let told: UserInfoClaims<Claims, CoreGenderClaim> = request
            .request_async(&self.http)
            .await
            .map_err(|error| refused("did not tell who you are", &error))?;
        if let Ok(Value::Object(told)) = serde_json::to_value(&told) {
            // What is signed counts before what is not.
            for (claim, value) in told {
                claims.entry(claim).or_insert(value);
            }
        }
        Ok(claims)
    }

    /// The provider, as it said at most `age` ago that it is.
    async fn party(&self, now: Timestamp, age: Duration) -> Result<RelyingParty, Error> {
        let metadata = self.metadata(now, age).await?;
        let settings = &self.settings;
        let secret = settings.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let party =
            RelyingParty::from_provider_metadata(metadata, ClientId::new(settings.client_id.clone()), secret);
        Ok(party.set_redirect_uri(RedirectUrl::from_url(self.callback.clone())))
    }

    async fn metadata(&self, now: Timestamp, age: Duration) -> Result<CoreProviderMetadata, Error> {
        // Whoever comes while it is asked waits for the one answer.
        let mut place = self.metadata.lock().await;
        if let Some((known, at)) = place.as_ref()
            && now.since(*at) < age
        {
            return Ok(known.clone());
        }
        let issuer = IssuerUrl::new(self.issuer()).map_err(Error::internal)?;
        match CoreProviderMetadata::discover_async(issuer, &self.http).await {
            Ok(found) => {
                *place = Some((found.clone(), now));
                Ok(found)
            }
            Err(error) => Err(Error {
                internal: Some(chain(&error)),
                retry_after: Some(5),
                ..Error::new(
                    ErrorCode::Unavailable,
                    "the OpenID provider does not answer; try again, or sign in with a token",
                )
            }),
        }
    }

    /// As it stands in the configuration: `Url` puts a slash behind a host, and most issuers have none.
    fn issuer(&self) -> String {
        let text = self.settings.issuer.as_str();
        let bare = self.settings.issuer.path() == "/";
        (if bare { text.trim_end_matches('/') } else { text }).to_owned()
    }
}

/// Why a token proves nothing.
enum Unproven {
    /// It is signed with a key that the provider did not name.
    UnknownKey,
    /// Something else is wrong with it.
    Wrong(String),
}

impl Unproven {
    fn told(self) -> Error {
        let cause = match self {
            Self::UnknownKey => "signed with a key that the provider does not name".to_owned(),
            Self::Wrong(cause) => cause,
        };
        Error {
            internal: Some(cause),
            ..Error::forbidden("the OpenID provider's word could not be verified; sign in again")
        }
    }
}

/// The claims of a token that the provider has signed for us, now, and for this browser.
fn verified(
    party: &RelyingParty,
    answer: &TokenResponse,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<Map<String, Value>, Unproven> {
    let wrong = |cause: String| Unproven::Wrong(cause);
    let token = answer.id_token().ok_or_else(|| wrong("no ID token".to_owned()))?;
    let time = |at: Timestamp| {
        let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
        chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default()
    };
    let (earliest, latest) = (time(now.before(SKEW_MAX)), time(now.after(SKEW_MAX)));
    let verifier = party
        .id_token_verifier()
        .set_allowed_algs(signatures())
        .set_time_fn(move || earliest)
        .set_issue_time_verifier_fn(move |issued| {
            if issued <= latest {
                Ok(())
            } else {
                Err("issued in the future; set the clocks".to_owned())
            }
        });
    let claims = token.claims(&verifier, nonce).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            Unproven::UnknownKey
        }
        error => wrong(chain(&error)),
    })?;
    if let Some(expected) = claims.access_token_hash() {
        let of = || {
            let (algorithm, key) = (token.signing_alg().ok()?, token.signing_key(&verifier).ok()?);
            AccessTokenHash::from_token(answer.access_token(), algorithm, key).ok()
        };
        if of().as_ref() != Some(expected) {
            return Err(wrong("the access token is another's".to_owned()));
        }
    }
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(wrong("the claims cannot be read".to_owned())),
    }
}

/// Signatures by a key of the provider's alone: neither none, nor one by the client's secret.
fn signatures() -> [CoreJwsSigningAlgorithm; 9] {
    use CoreJwsSigningAlgorithm as Signature;
    [
        Signature::RsaSsaPkcs1V15Sha256,
        Signature::RsaSsaPkcs1V15Sha384,
        Signature::RsaSsaPkcs1V15Sha512,
        Signature::RsaSsaPssSha256,
        Signature::RsaSsaPssSha384,
        Signature::RsaSsaPssSha512,
        Signature::EcdsaP256Sha256,
        Signature::EcdsaP384Sha384,
        Signature::EdDsa,
    ]
}

fn not_exchanged(error: RequestTokenError<HttpError, Refusal>) -> Error {
    match error {
        RequestTokenError::Request(error) => Error {
            internal: Some(chain(&error)),
            retry_after: Some(5),
            ..Error::new(
                ErrorCode::Unavailable,
                "the OpenID provider does not answer; sign in again",
            )
        },
        RequestTokenError::ServerResponse(refusal) => Error {
            internal: Some(format!("the provider answered {}", refusal.error().as_ref())),
            ..Error::forbidden(
                "the OpenID provider did not take the code: it is used up or too old; sign in again",
            )
        },
        error => refused("gave an answer that cannot be read", &error),
    }
}

fn refused(what: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    Error {
        internal: Some(chain(error)),
        ..Error::forbidden(format!("the OpenID provider {what}; ask who runs it"))
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let chain: Vec<_> = longshore_core::classify::chain(error)
        .map(ToString::to_string)
        .collect();
    chain.join(": ")
}

/// Asks the provider: no redirects, within a time, and no more than can be read of an honest answer.
#[derive(Debug)]
struct Http(reqwest::Client);

/// Why the provider gave no answer.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error(transparent)]
    Transport(#[from] reqwest::Error),
    #[error(transparent)]
    Form(#[from] http::Error),
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

impl Http {
    fn new() -> Result<Self, reqwest::Error> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Ring in the whole process; whoever was faster has installed the same.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_MAX)
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut builder = http::Response::builder().status(answer.status());
        if let Some(headers) = builder.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(HttpError::TooLarge);
            }
        }
        Ok(builder.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
