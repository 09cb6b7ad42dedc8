//! Requests to a gateway, and what it answers to whom.

use reqwest::{Client, RequestBuilder, Response};

use super::planted::{Heard, METADATA, Reader, WRONG_TOKEN};
use crate::probed::LONG;

/// Looks through the API.
const API: [&str; 15] = [
    "jobs",
    "dead-letters",
    "dead-letters/groups",
    "queues",
    "queues/default/next",
    "cron",
    "cron/nightly",
    "workers",
    "statistics",
    "quarantine",
    "operations",
    "session",
    "audit",
    "tokens",
    "nothing-here",
];
/// Looks at pages.
const PAGES: [&str; 11] = [
    "/",
    "/jobs",
    "/dead",
    "/queues",
    "/cron",
    "/cron/nightly",
    "/workers",
    "/operations",
    "/quarantine",
    "/audit",
    "/nothing-here",
];
/// Looks at one job.
const JOB: [&str; 5] = ["", "/log", "/summary", "/why", "/wait?timeout_ms=0"];

pub(super) struct Browser {
    home: String,
    http: Client,
}

impl Browser {
    pub(super) fn new(home: &str) -> Self {
        let no_redirects = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(no_redirects).timeout(LONG);
        Self {
            home: home.to_owned(),
            http: http.build().unwrap(),
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.home))
    }

    fn post(&self, path: &str, kind: &str, body: String) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.home));
        request
            .header("content-type", kind)
            .header("origin", &self.home)
            .body(body)
    }

    /// People without a token, and with one that is none.
    pub(super) async fn strangers(&self, heard: &mut Heard) {
        let form = "application/x-www-form-urlencoded";
        let login = || self.post("/login", form, format!("token={WRONG_TOKEN}&next=/"));
        let half = format!("{{\"function_name\": 5, \"metadata\": {{\"ssn\": \"{METADATA}\"}}");
        for (what, request) in [
            ("a page", self.get("/jobs").header("accept", "text/html")),
            ("the API", self.get("/api/v1/jobs")),
            ("a wrong token", self.get("/api/v1/jobs").bearer_auth(WRONG_TOKEN)),
            (
                "a wrong password",
                self.get("/api/v1/jobs").basic_auth("jobs", Some(WRONG_TOKEN)),
            ),
            (
                "a wrong link",
                self.get(&format!(
                    "/api/v1/watch/0193f0a1-7c5e-8001-9313-0242ac120002?token={WRONG_TOKEN}"
                )),
            ),
            (
                "a wrong cookie",
                self.get("/jobs")
                    .header("cookie", format!("longshore_session={WRONG_TOKEN}")),
            ),
            ("a wrong login", login()),
            ("a page after it", login().header("accept", "text/html")),
            (
                "half a job",
                self.post("/api/v1/jobs", "application/json", half)
                    .bearer_auth(WRONG_TOKEN),
            ),
        ] {
            heard_of(
                &format!("gateway to {what}"),
                Reader::Anybody,
                request.send().await.unwrap(),
                heard,
            )
            .await;
        }
    }

    /// To a provider that gives no token, and back.
    pub(super) async fn signs_in_through_the_provider(&self, heard: &mut Heard) {
        let away = self.get("/login/oidc?next=/jobs").send().await.unwrap();
        let header = |name: &str| {
            away.headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let (to, cookie) = (header("location").unwrap(), header("set-cookie").unwrap());
        let query = |name: &str| {
            let (_, value) = to.split_once(&format!("{name}="))?;
            value.split('&').next().map(str::to_owned)
        };
        let state = query("state").unwrap();
        heard_of("gateway, the way to the provider", Reader::Anybody, away, heard).await;
        let back = self
            .get(&format!("/login/oidc/callback?code=a-code&state={state}"))
            .header("cookie", cookie.split(';').next().unwrap())
            .header("accept", "text/html");
        let back = back.send().await.unwrap();
        assert!(
            !back.status().is_redirection(),
            "nobody signs in without a token: {back:?}"
        );
        heard_of("gateway, the way back", Reader::Anybody, back, heard).await;
    }

    /// Everything that a viewer may look at, and what they may not.
    pub(super) async fn viewer(&self, token: &str, jobs: &[String; 2], heard: &mut Heard) {
        for name in API {
            self.asks("viewer", &format!("/api/v1/{name}"), token, heard)
                .await;
        }
        for (id, part) in jobs.iter().flat_map(|id| JOB.iter().map(move |part| (id, part))) {
            self.asks("viewer", &format!("/api/v1/jobs/{id}{part}"), token, heard)
                .await;
        }
        let form = format!("token={token}&next=/");
        let opened = self
            .post("/login", "application/x-www-form-urlencoded", form)
            .send()
            .await
            .unwrap();
        let cookie = opened.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let pages = PAGES.iter().map(|page| (*page).to_owned());
        let of_jobs = jobs
            .iter()
            .flat_map(|id| [format!("/jobs/{id}"), format!("/jobs/{id}/edit")]);
        for page in pages.chain(of_jobs) {
            let request = self
                .get(&page)
                .header("accept", "text/html")
                .header("cookie", &cookie);
            let answer = request.send().await.unwrap();
            heard_of(
                &format!("gateway as viewer {page}"),
                Reader::Anybody,
                answer,
                heard,
            )
            .await;
        }
        // The session is a secret of its own; the answer that opened it was its own holder's.
        heard.plant(cookie.split_once('=').unwrap().1);
    }

    /// Whoever has a watch link.
    pub(super) async fn watcher(&self, token: &str, job: &str, heard: &mut Heard) {
        let request = self.get(&format!("/api/v1/watch/{job}?token={token}"));
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        heard_of("gateway to a watcher", Reader::Anybody, answer, heard).await;
    }

    /// What an admin does, who sees the jobs whole.
    pub(super) async fn admin(&self, token: &str, dead: &str, heard: &mut Heard) {
        for path in [
            format!("jobs/{dead}/requeue"),
            "queues/default/pause".to_owned(),
            "queues/default/resume".to_owned(),
        ] {
            let request = self.post(&format!("/api/v1/{path}"), "application/json", "{}".to_owned());
            let answer = request.bearer_auth(token).send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {answer:?}");
            heard_of(
                &format!("gateway as admin {path}"),
                Reader::Operator,
                answer,
                heard,
            )
            .await;
        }
        for name in API {
            let answer = self
                .get(&format!("/api/v1/{name}"))
                .bearer_auth(token)
                .send()
                .await
                .unwrap();
            // What it tells of people and changes is for operators, who need not see what is hidden.
            let reader = if name == "audit" {
                Reader::Anybody
            } else {
                Reader::Operator
            };
            heard_of(&format!("gateway as admin {name}"), reader, answer, heard).await;
        }
    }

    async fn asks(&self, who: &str, path: &str, token: &str, heard: &mut Heard) {
        let answer = self.get(path).bearer_auth(token).send().await.unwrap();
        heard_of(
            &format!("gateway as {who} {path}"),
            Reader::Anybody,
            answer,
            heard,
        )
        .await;
    }
}

/// Head and body of an answer.
async fn heard_of(from: &str, reader: Reader, answer: Response, heard: &mut Heard) {
    let head = format!("{} {:?}", answer.status(), answer.headers());
    let body = answer.text().await.unwrap();
    heard.add(from, reader, format!("{head}\n{body}"));
}
