//! A fleet that is full of secrets: private servers with passwords, and processes that tell everything at `trace`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use longshore_testkit::process::{PortLease, Proc, ServerDir};
use longshore_testkit::servers::{
    Answer, MailOptions, MailServer, MailTls, Receiver, Redis, RedisOptions, SharedServers,
};
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};

use super::planted::{
    AMQP, ARGS, CRON_ARGS, ERROR, HOOK_PATH, HOOK_SECRET, HTTP_HEADER, HTTP_PATH, HTTP_SECRET, METADATA,
    OIDC, OTLP, PROGRAM_ENV, PROGRESS, REDIS, RESULT, SMTP,
};
use crate::probed::LONG;
use crate::tap::Tap;

/// Says a secret wherever a handler can: its result, its progress, and its error where it is told to fail.
const TALKS: &str = r#"
args=$(cat)
echo '{"progress": 0.5, "message": "half", "fields": {"pin": "@PROGRESS@"}}'
case "$args" in *fail*) echo '{"error": "declined: @ERROR@"}'; exit 1 ;; *again*) exit 75 ;; esac
echo '{"result": {"iban": "@RESULT@"}}'
"#;

pub(crate) struct Place {
    pub(crate) redis: Redis,
    pub(crate) mail: MailServer,
    pub(crate) hook: Receiver,
    pub(crate) endpoint: Receiver,
    pub(crate) provider: Receiver,
    pub(crate) tap: Tap,
    pub(crate) gateway: PortLease,
    pub(crate) servers: SharedServers,
    pub(crate) amqp_user: String,
    dir: ServerDir,
    env: BTreeMap<String, String>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let servers = SharedServers::get().await.unwrap();
        let amqp_user = format!("planted-{}", servers.vhost().name());
        let rights = [".*", ".*", ".*"];
        let amqp = servers.vhost().add_user(&amqp_user, AMQP, rights).await.unwrap();
        let redis = Redis::start(RedisOptions::default().password(REDIS))
            .await
            .unwrap();
        let mail = MailOptions {
            tls: MailTls::StartTls,
            login: Some(("jobs", SMTP)),
        };
        let mut place = Self {
            mail: MailServer::start(mail).await.unwrap(),
            hook: Receiver::start().await.unwrap(),
            endpoint: Receiver::start().await.unwrap(),
            provider: Receiver::start().await.unwrap(),
            tap: Tap::start().await,
            gateway: PortLease::take().unwrap(),
            dir: ServerDir::new("secrets").unwrap(),
            env: BTreeMap::new(),
            servers,
            amqp_user,
            redis,
        };
        place.set("LONGSHORE_AMQP_URL", &amqp);
        place.set("LONGSHORE_REDIS_URL", &place.redis.url());
        place.provider.answer(place.provider_says());
        let program = TALKS
            .replace("@PROGRESS@", PROGRESS)
            .replace("@ERROR@", ERROR)
            .replace("@RESULT@", RESULT);
        std::fs::write(place.path("talks.sh"), program).unwrap();
        std::fs::write(place.path("longshore.toml"), place.configuration()).unwrap();
        place
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn home(&self) -> String {
        format!("http://{}", self.gateway.addr())
    }

    /// A provider of which everything is to be had but a token: what it says of itself is its answer to everything.
    fn provider_says(&self) -> Answer {
        let issuer = self.provider.url("");
        let said = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"), "keys": [],
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let kind = vec![("content-type", "application/json".to_owned())];
        Answer::Status(200, kind, said.to_string().into_bytes())
    }

    fn configuration(&self) -> String {
        let talks = self.path("talks.sh");
        format!(
            r#"
            [log]
            level = "trace"
            [worker.commands.talks]
            program = "sh"
            args = [{talks:?}]
            env = {{ TOKEN = "{PROGRAM_ENV}" }}
            [worker.commands.nowhere]
            program = "/no/such/program"
            args = ["--token={PROGRAM_ENV}"]
            [worker.http.bill]
            url = "{endpoint}"
            secret = "{HTTP_SECRET}"
            headers = {{ authorization = "Bearer {HTTP_HEADER}" }}
            [scheduler.intervals]
            send_notifications = "50ms"
            lease_shards = "200ms"
            [cron.nightly]
            expression = "0 3 * * *"
            function = "talks"
            args = '{{"card": "{CRON_ARGS}"}}'
            [notify]
            group_wait = "0s"
            group_interval = "0s"
            send_timeout = "2s"
            [notify.email.ops]
            host = "localhost"
            port = {mail}
            ca_file = {ca:?}
            user = "jobs"
            password = "{SMTP}"
            from = "jobs@example.com"
            to = ["admin@example.com"]
            [notify.webhook.hook]
            url = "{hook}"
            secret = "{HOOK_SECRET}"
            allow_addresses = ["127.0.0.1"]
            [gateway]
            public_url = "{home}"
            hide = ["args.card", "metadata.ssn", "result.iban", "progress.pin", "error.message"]
            [gateway.oidc]
            issuer = "{issuer}"
            client_id = "longshore"
            client_secret = "{OIDC}"
            roles = ["admin:platform"]
            [telemetry]
            endpoint = "{tap}"
            protocol = "http"
            metrics_interval = "1s"
            headers = {{ authorization = "Bearer {OTLP}" }}
            "#,
            endpoint = self.endpoint.url(&format!("/bills?key={HTTP_PATH}")),
            mail = self.mail.port(),
            ca = self.mail.ca_file().unwrap(),
            hook = self.hook.url(&format!("/services/{HOOK_PATH}")),
            home = self.home(),
            issuer = self.provider.url(""),
            tap = self.tap.endpoint(),
        )
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("LONGSHORE_SOAK_SECONDS")
            .env_remove("LONGSHORE_SOAK_SEED")
            .envs(&self.env);
        command
    }

    /// Starts a process that answers probes, and gives where.
    pub(crate) fn start(&self, args: &[&str], format: &str) -> (Proc, PortLease) {
        let probes = PortLease::take().unwrap();
        let mut command = self.command(args);
        command
            .env("LONGSHORE_HEALTH__LISTEN", probes.addr().to_string())
            .env("LONGSHORE_LOG__FORMAT", format);
        let log = self.path(&format!("{}.log", args[0]));
        (Proc::spawn(command, log).unwrap(), probes)
    }

    /// Runs a command of these variables to its end; gives its code and everything that it said.
    pub(crate) async fn says(&self, args: &[&str], env: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        said_by(command).await
    }

    /// Runs a command that must succeed; gives what it printed.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let mut command = self.command(args);
        command.env("LONGSHORE_LOG__LEVEL", "error");
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.unwrap().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Hands over a job with secrets in it; gives its id.
    pub(crate) async fn enqueue(&self, function: &str, what: &str, more: &[&str]) -> String {
        let args = json!({"card": ARGS, "what": what}).to_string();
        let secret = format!("ssn={METADATA}");
        let line = [
            &["enqueue", function, &args, "--metadata", &secret, "-o", "json"],
            more,
        ]
        .concat();
        let said: Value = serde_json::from_str(&self.ok(&line).await).unwrap();
        said["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn becomes(&self, id: &str, status: &str) {
        eventually(LONG, &format!("a job is {status}"), || async {
            let job: Value =
                serde_json::from_str(&self.ok(&["job", "show", id, "-o", "json"]).await).unwrap();
            if job["status"] == status {
                Ok(())
            } else {
                Err(job.to_string())
            }
        })
        .await
        .unwrap();
    }
}

/// Runs a command to its end; gives its code and everything that it said.
pub(crate) async fn said_by(mut command: Command) -> (i32, String) {
    command.stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
