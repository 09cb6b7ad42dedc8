//! Signing in through a real OpenID provider: the npm package oidc-provider, which `scripts/test setup` installs below the
//! target folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use http::header::{COOKIE, LOCATION, SET_COOKIE};
use longshore_core::{Clock, SystemClock, Timestamp};
use longshore_gateway::{GatewayBuilder, OidcSettings, SecretText};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

use crate::rig::{LONG, Rig, Store, body, json_of};

const SECRET: &str = "a-secret-of-the-client-that-no-log-may-show";

/// A clock that a test puts forward or back.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp(
            SystemClock
                .now()
                .millis()
                .saturating_add_signed(self.0.load(Ordering::SeqCst)),
        )
    }
}

impl Shifted {
    fn set(&self, seconds: i64) {
        self.0.store(seconds * 1_000, Ordering::SeqCst);
    }
}

/// A provider in a process of its own; it ends with its stdin.
struct Provider {
    issuer: Url,
    _process: Child,
    /// Kept open: a write to a closed pipe would end it.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Provider {
    async fn start(redirects: &[String]) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let modules = target.join("oidc-modules").canonicalize().unwrap_or_default();
        assert!(
            modules.join("node_modules/oidc-provider").is_dir(),
            "the npm package oidc-provider is missing below the target folder; run scripts/test setup"
        );
        let mut process = Command::new("node")
            .arg(root.join("tests/oidc/provider.js"))
            .env("LONGSHORE_OIDC_MODULES", modules)
            .env("LONGSHORE_OIDC_REDIRECTS", redirects.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line())
            .await
            .unwrap()
            .unwrap();
        Self {
            issuer: line.expect("the provider tells its address").parse().unwrap(),
            _process: process,
            _output: lines,
        }
    }

    /// Who signs in from now on.
    async fn is_now(&self, account: &str) {
        let url = self.issuer.join(&format!("/as?account={account}")).unwrap();
        assert!(
            reqwest::Client::new()
                .post(url)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }

    fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuer: self.issuer.clone(),
            client_id: "longshore".to_owned(),
            client_secret: Some(SecretText::new(SECRET.to_owned())),
            scopes: vec!["email".to_owned(), "groups".to_owned()],
            role_claim: "groups".to_owned(),
            name_claim: "email".to_owned(),
            roles: ["admin:platform", "viewer:staff"]
                .map(|rule| rule.parse().unwrap())
                .to_vec(),
            label: "Sign in at the harbour".to_owned(),
        }
    }
}

/// A browser: it keeps cookies, and follows redirects when it is told to.
#[derive(Clone, Default)]
struct Browser {
    http: Option<reqwest::Client>,
    /// By port and name: a browser has one jar for all ports, which would mix the replicas' cookies here.
    cookies: BTreeMap<(u16, String), String>,
}

impl Browser {
    async fn get(&mut self, url: &Url) -> Response {
        let http = self.http.get_or_insert_with(|| {
            let none = reqwest::redirect::Policy::none();
            reqwest::Client::builder().redirect(none).build().unwrap()
        });
        let port = url.port().unwrap();
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == port)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let request = http.get(url.clone()).header("accept", "text/html");
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for set in response.headers().get_all(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(&(port, name.to_owned()));
            } else {
                self.cookies.insert((port, name.to_owned()), value.to_owned());
            }
        }
        response
    }

    /// Signs in at the provider; answers where it sends the browser back to.
    async fn at_the_provider(&mut self, mut url: Url, home: u16) -> Url {
        for _ in 0..8 {
            let response = self.get(&url).await;
            assert_eq!(
                response.status(),
                StatusCode::SEE_OTHER,
                "{url}: {}",
                response.text().await.unwrap()
            );
            url = url.join(response.headers()[LOCATION].to_str().unwrap()).unwrap();
            if url.port() == Some(home) {
                return url;
            }
        }
        panic!("the provider sends the browser in circles: {url}");
    }
}

/// A gateway with a provider, and a clock that can be put forward.
struct Place {
    rig: Rig,
    provider: Provider,
    clock: Arc<Shifted>,
}

impl Place {
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(set: impl FnOnce(OidcSettings) -> OidcSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        let provider = Provider::start(&[format!("{home}/login/oidc/callback")]).await;
        let clock = Arc::new(Shifted::default());
        let settings = set(provider.settings());
        let build = gateway(&home, settings, Arc::clone(&clock));
        let rig = Rig::listening(listener, Store::new(), build);
        Self { rig, provider, clock }
    }

    fn url(&self, path: &str) -> Url {
        self.rig.url(path).parse().unwrap()
    }

    /// Begins to sign in; answers where the provider is.
    async fn begin(&self, browser: &mut Browser) -> Url {
        let response = browser.get(&self.url("/login/oidc?next=/queues")).await;
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{}",
            response.text().await.unwrap()
        );
        response.headers()[LOCATION].to_str().unwrap().parse().unwrap()
    }

    /// Signs in at the provider; answers the way back, not gone yet.
    async fn there(&self, browser: &mut Browser) -> Url {
        let url = self.begin(browser).await;
        browser.at_the_provider(url, self.rig.address.port()).await
    }

    /// The way back, gone; answers status and page.
    async fn back(&self, browser: &mut Browser, url: &Url) -> (StatusCode, String) {
        let response = browser.get(url).await;
        let (status, page) = json_of(response).await;
        (status, page.to_string())
    }

    /// Who the gateway takes the browser for.
    async fn session(&self, browser: &Browser) -> (StatusCode, serde_json::Value) {
        let cookie = browser
            .cookies
            .get(&(self.rig.address.port(), "longshore_session".to_owned()));
        let cookie = format!("longshore_session={}", cookie.cloned().unwrap_or_default());
        body(self.rig.request(Method::GET, "/session").header(COOKIE, cookie)).await
    }
}

fn gateway(
    home: &str,
    settings: OidcSettings,
    clock: Arc<Shifted>,
) -> impl FnOnce(GatewayBuilder) -> GatewayBuilder + use<> {
    let home = home.parse().unwrap();
    move |gateway| gateway.public_url(Some(home)).oidc(Some(settings)).clock(clock)
}

#[tokio::test]
async fn somebody_whose_group_has_a_role_signs_in_and_out() {
    let place = Place::new().await;
    let mut browser = Browser::default();
    let page = browser.get(&place.url("/login")).await.text().await.unwrap();
    assert!(
        page.contains("Sign in at the harbour") && page.contains("/login/oidc?next="),
        "{page}"
    );

    for (account, role) in [("ann", "admin"), ("bob", "viewer")] {
        place.provider.is_now(account).await;
        let mut browser = Browser::default();
        let back = place.there(&mut browser).await;
        let response = browser.get(&back).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            response.headers()[LOCATION],
            "/queues",
            "the page that was asked for"
        );
        let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
        assert!(cookies.iter().all(|set| {
            let set = set.to_str().unwrap();
            set.contains("HttpOnly") && set.contains("SameSite=Lax")
        }));
        let (status, who) = place.session(&browser).await;
        assert_eq!((status, &who["role"]), (StatusCode::OK, &json!(role)), "{who}");
        assert_eq!(who["who"], format!("{account}@example.com"));
        let tokens = place
            .rig
            .page(Method::GET, "/audit")
            .header("accept", "text/html");
        let cookie = &browser.cookies[&(place.rig.address.port(), "longshore_session".to_owned())];
        let cookie = format!("longshore_session={cookie}");
        assert_eq!(
            tokens
                .header(COOKIE, &cookie)
                .send()
                .await
                .unwrap()
                .status()
                .is_success(),
            account == "ann"
        );

        // Out again: the cookie is worth nothing then, wherever it was copied to.
        let page = browser.get(&place.url("/")).await.text().await.unwrap();
        let csrf = page
            .split("name=\"csrf\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let out = place
            .rig
            .page(Method::POST, "/logout")
            .header(COOKIE, &cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("csrf={csrf}"));
        assert_eq!(out.send().await.unwrap().status(), StatusCode::SEE_OTHER);
        assert_eq!(place.session(&browser).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn whoever_has_no_group_with_a_role_is_refused_and_told_why() {
    let place = Place::new().await;
    for account in ["eve", "nil"] {
        place.provider.is_now(account).await;
        let mut browser = Browser::default();
        let back = place.there(&mut browser).await;
        let (status, page) = place.back(&mut browser, &back).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
        assert!(
            page.contains(&format!("{account}@example.com")) && page.contains("gateway.oidc.roles"),
            "{page}"
        );
        assert_eq!(place.session(&browser).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn another_state_nonce_browser_or_code_is_refused() {
    let place = Place::new().await;
    // The state of another attempt, and none.
    let mut browser = Browser::default();
    let back = place.there(&mut browser).await;
    for changed in ["state=x&", ""] {
        let code = back
            .query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned();
        let url = place.url(&format!("/login/oidc/callback?{changed}code={code}"));
        let (status, page) = place.back(&mut browser.clone(), &url).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{changed}: {page}");
    }
    // A browser that has begun nothing: somebody was sent a link.
    let (status, page) = place.back(&mut Browser::default(), &back).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{page}");
    // Another provider's answer.
    let iss =
        url::form_urlencoded::byte_serialize(place.provider.issuer.as_str().trim_end_matches('/').as_bytes());
    let iss: String = iss.collect();
    let mixed: Url = back
        .as_str()
        .replace(&iss, "https%3A%2F%2Fevil.example")
        .parse()
        .unwrap();
    assert_ne!(mixed, back);
    assert_eq!(
        place.back(&mut browser.clone(), &mixed).await.0,
        StatusCode::FORBIDDEN
    );
    // A code once more, with the cookie that the browser had.
    let again = browser.clone();
    assert_eq!(browser.get(&back).await.status(), StatusCode::SEE_OTHER);
    let (status, page) = place.back(&mut again.clone(), &back).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    assert!(page.contains("used up"), "{page}");

    // The nonce of another attempt: the provider signs what it was asked to sign.
    let mut browser = Browser::default();
    let url = place.begin(&mut browser).await;
    let pairs = url.query_pairs().map(|(name, value)| match &*name {
        "nonce" => (name, "another".into()),
        _ => (name, value),
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mut changed = url.clone();
    changed.set_query(Some(&query));
    let back = browser.at_the_provider(changed, place.rig.address.port()).await;
    let (status, page) = place.back(&mut browser, &back).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    assert!(page.contains("could not be verified"), "{page}");
    assert_eq!(place.session(&browser).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_the_provider_refuses_and_a_wrong_secret_are_told_without_secrets() {
    let place = Place::with(|settings| OidcSettings {
        client_secret: Some(SecretText::new("another-secret-of-the-client".to_owned())),
        ..settings
    })
    .await;
    let mut browser = Browser::default();
    let back = place.there(&mut browser).await;
    let (status, page) = place.back(&mut browser.clone(), &back).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    assert!(!page.contains("another-secret"), "{page}");
    let state = back
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let refused = place.url(&format!(
        "/login/oidc/callback?error=access_denied%3Cscript%3E&state={state}"
    ));
    let (status, page) = place.back(&mut browser, &refused).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(page.contains("refused: access_deniedscript"), "{page}");
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_an_old_attempt_or_token_is_refused() {
    let place = Place::new().await;
    let wanted = [
        (0, 0, StatusCode::SEE_OTHER),
        (-45, -45, StatusCode::SEE_OTHER),
        (-300, -300, StatusCode::FORBIDDEN),
        // The token is good for an hour.
        (3_600 + 30, 3_600 + 30, StatusCode::SEE_OTHER),
        (3_600 + 120, 3_600 + 120, StatusCode::FORBIDDEN),
        // Eleven minutes at the provider.
        (0, 660, StatusCode::BAD_REQUEST),
    ];
    for (begun, ended, expected) in wanted {
        let mut browser = Browser::default();
        place.clock.set(begun);
        let back = place.there(&mut browser).await;
        place.clock.set(ended);
        let (status, page) = place.back(&mut browser, &back).await;
        assert_eq!(status, expected, "{begun} {ended}: {page}");
    }
}

#[tokio::test]
async fn one_replica_ends_what_another_has_begun_and_a_provider_that_is_away_keeps_no_token_out() {
    let store = Store::new();
    let listeners = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let home = format!("http://{}", listeners[0].local_addr().unwrap());
    let provider = Provider::start(&[format!("{home}/login/oidc/callback")]).await;
    let [one, other] = listeners.map(|listener| {
        let build = gateway(&home, provider.settings(), Arc::default());
        Rig::listening(listener, Arc::clone(&store), build)
    });
    let place = Place {
        rig: one,
        provider,
        clock: Arc::default(),
    };
    let mut browser = Browser::default();
    let mut back = place.there(&mut browser).await;
    back.set_port(Some(other.address.port())).unwrap();
    // The balancer sends the browser, with its cookies, to the other replica.
    let moved = |browser: &Browser, port: u16| Browser {
        http: None,
        cookies: browser
            .cookies
            .iter()
            .map(|((_, name), value)| ((port, name.clone()), value.clone()))
            .collect(),
    };
    let mut there = moved(&browser, other.address.port());
    let (status, page) = place.back(&mut there, &back).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    let here = moved(&there, place.rig.address.port());
    assert_eq!(place.session(&here).await.0, StatusCode::OK);

    let Place { rig, provider, .. } = place;
    let Provider {
        _process: mut process,
        ..
    } = provider;
    process.kill().await.unwrap();
    let away = Rig::with(gateway(
        &home,
        OidcSettings {
            issuer: provider.issuer,
            ..settings_of_nobody()
        },
        Arc::default(),
    ))
    .await;
    let (status, problem) = body(away.page(Method::GET, "/login/oidc")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let token = away.token(longshore_gateway::Role::Viewer).await;
    assert_eq!(away.get(&token, "/session").await.0, StatusCode::OK);
    drop(rig);
}

fn settings_of_nobody() -> OidcSettings {
    OidcSettings {
        issuer: "http://127.0.0.1:9".parse().unwrap(),
        client_id: "longshore".to_owned(),
        client_secret: None,
        scopes: Vec::new(),
        role_claim: "groups".to_owned(),
        name_claim: "email".to_owned(),
        roles: vec!["viewer:staff".parse().unwrap()],
        label: "Sign in".to_owned(),
    }
}

type Change = fn(&mut OidcSettings);

#[tokio::test]
async fn settings_that_let_nobody_in_or_a_secret_out_are_refused() {
    let rig = Rig::new().await;
    let home: Url = "https://jobs.example".parse().unwrap();
    let cases: [(&str, Option<Url>, Change); 4] = [
        ("gateway.oidc.issuer", Some(home.clone()), |s| {
            s.issuer = "http://login.example".parse().unwrap();
        }),
        ("gateway.oidc.client_id", Some(home.clone()), |s| {
            s.client_id.clear();
        }),
        ("gateway.oidc.roles", Some(home), |s| {
            s.roles.clear();
        }),
        ("gateway.public_url", None, |_| {}),
    ];
    for (field, public_url, change) in cases {
        let mut settings = settings_of_nobody();
        change(&mut settings);
        let gateway = longshore_gateway::Gateway::builder(rig.client.clone(), rig.ports.clone());
        let refused = gateway
            .public_url(public_url)
            .oidc(Some(settings))
            .build()
            .unwrap_err();
        assert_eq!(refused.field, field);
    }
}
