//! Secrets that are planted in a fleet: its servers' passwords, its tokens, the keys of its channels, and fields of jobs that
//! are hidden. It works and fails in every way, and nothing that it says holds one of them.

#[path = "secrets/browser.rs"]
mod browser;
#[path = "secrets/mistakes.rs"]
mod mistakes;
#[path = "secrets/place.rs"]
mod place;
#[path = "secrets/planted.rs"]
mod planted;

use futures_util::future::join_all;
use longshore_testkit::process::{PortLease, Proc};
use longshore_testkit::servers::Answer;
use longshore_testkit::wait::eventually;

use self::browser::Browser;
use self::place::Place;
use self::planted::{AMQP, API_TOKEN, ERROR, Heard, Reader};
use crate::probed::LONG;

/// What people look at, and what a process tells of itself.
const LOOKS: &[&[&str]] = &[
    &["config", "show"],
    &["config", "check"],
    &["--dump-config"],
    &["doctor"],
    &["job", "ls"],
    &["dlq", "ls"],
    &["queue", "ls"],
    &["cron", "ls"],
    &["worker", "ls"],
    &["notify", "ls"],
    &["notify", "test"],
    &["audit", "ls"],
    &["token", "ls"],
];
/// What is tried while servers refuse or are away.
const TRIES: &[&[&str]] = &[
    &["job", "ls"],
    &["doctor"],
    &["enqueue", "talks"],
    &["worker"],
    &["scheduler"],
    &["gateway", "--listen", "127.0.0.1:0"],
];

/// A process with its probes.
struct Member {
    name: &'static str,
    process: Proc,
    probes: PortLease,
}

impl Member {
    fn start(place: &Place, name: &'static str, args: &[&str], format: &str) -> Self {
        let (process, probes) = place.start(args, format);
        Self {
            name,
            process,
            probes,
        }
    }

    /// The answer of a probe; nothing when there is none.
    async fn probe(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.probes.addr());
        match reqwest::get(url).await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    async fn becomes(&self, status: u16, heard: &mut Heard) {
        let ready = || async {
            let (found, said) = self.probe("/readyz").await;
            if found == status { Ok(()) } else { Err(said) }
        };
        eventually(LONG, &format!("{} answers {status}", self.name), ready)
            .await
            .unwrap();
        self.hear(heard).await;
    }

    /// Everything that its probes say.
    async fn hear(&self, heard: &mut Heard) {
        for path in ["/readyz", "/livez", "/metrics"] {
            let said = self.probe(path).await.1;
            assert!(!said.is_empty(), "{} {path}", self.name);
            heard.add(format!("{} {path}", self.name), Reader::Anybody, said);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: scripts/test soak"]
async fn real_servers_soak_nothing_that_a_fleet_says_holds_a_planted_secret() {
    // An error means that another test has chosen.
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new().await;
    let mut heard = Heard::default();
    let listen = place.gateway.addr().to_string();
    let members = [
        Member::start(&place, "worker", &["worker"], "json"),
        Member::start(&place, "scheduler", &["scheduler"], "text"),
        Member::start(&place, "gateway", &["gateway", "--listen", &listen], "json"),
    ];
    for member in &members {
        member.becomes(200, &mut heard).await;
    }
    let jobs = work(&place).await;
    browse(&place, &jobs, &mut heard).await;
    listen_to(&place, "a working fleet", LOOKS, &[], &mut heard).await;
    channels_fail(&place, &members[1], &mut heard).await;
    servers_refuse(&place, &members, &mut heard).await;
    servers_are_away(&place, &members, &mut heard).await;
    let home = dev(&place).await;
    mistakes::hear(&place, &mut heard).await;
    for member in members {
        member.process.term();
        member.process.wait(LONG).await.unwrap();
        heard.add(
            format!("log of the {}", member.name),
            Reader::Anybody,
            member.process.log_text(),
        );
    }
    // Who works with it sees the jobs whole.
    heard.add("log of dev", Reader::Operator, home);
    heard.add("traces and metrics", Reader::Anybody, place.tap.text());

    let leaks = heard.leaks();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    // It heard what it thinks that it heard.
    for (from, word) in [
        ("log of the worker", "TRACE"),
        ("log of the worker", "talks"),
        ("log of the scheduler", "a notification was not taken"),
        ("log of the gateway", "/api/v1/jobs"),
        ("log of dev", "worker started"),
        ("worker /metrics", "longshore_"),
        ("gateway as viewer /api/v1/jobs", "[hidden]"),
        ("traces and metrics", "\"process\""),
        ("a working fleet: config show", "***"),
    ] {
        assert!(heard.of(from).contains(word), "{from} does not say {word}");
    }
    let (texts, bytes) = heard.size();
    eprintln!("{texts} texts of {bytes} bytes");
    assert!(texts > 100 && bytes > 1_000_000, "{texts} texts of {bytes} bytes");
}

/// Jobs that end in every way; gives one that was completed and one that was given up.
async fn work(place: &Place) -> [String; 2] {
    let done = place.enqueue("talks", "work", &[]).await;
    let dead = place.enqueue("talks", "fail", &[]).await;
    let retried = place
        .enqueue("talks", "again", &["--max-retries", "1", "--retry-delay", "10ms"])
        .await;
    let missing = place.enqueue("nowhere", "work", &[]).await;
    let billed = place.enqueue("bill", "work", &[]).await;
    place.becomes(&done, "completed").await;
    place.becomes(&billed, "completed").await;
    for id in [&dead, &retried, &missing] {
        place.becomes(id, "failed").await;
    }
    let refusal = format!("{{\"detail\": \"card declined: {ERROR}\"}}").into_bytes();
    place.endpoint.answer(Answer::Status(400, Vec::new(), refusal));
    let refused = place.enqueue("bill", "work", &[]).await;
    place.becomes(&refused, "failed").await;
    [done, dead]
}

/// Answers of the gateway to nobody, to somebody with a wrong token, and to a viewer.
async fn browse(place: &Place, jobs: &[String; 2], heard: &mut Heard) {
    let mut tokens = Vec::new();
    for role in ["admin", "viewer"] {
        let token = place.ok(&["token", "create", role, "--role", role]).await;
        tokens.push(token.trim().to_owned());
    }
    let link = place.ok(&["job", "link", &jobs[0]]).await;
    let browser = Browser::new(&place.home());
    browser.strangers(heard).await;
    browser.signs_in_through_the_provider(heard).await;
    browser.viewer(&tokens[1], jobs, heard).await;
    browser.watcher(link.trim(), &jobs[0], heard).await;
    browser.admin(&tokens[0], &jobs[1], heard).await;
    for token in tokens.iter().chain([&link]) {
        heard.plant(token.trim());
    }
}

/// Runs commands side by side, and hears them.
async fn listen_to(place: &Place, when: &str, lines: &[&[&str]], env: &[(&str, &str)], heard: &mut Heard) {
    let said = join_all(lines.iter().map(|args| place.says(args, env))).await;
    for (args, (code, said)) in lines.iter().zip(said) {
        heard.add(
            format!("{when}: {}", args.join(" ")),
            Reader::Operator,
            format!("{code}\n{said}"),
        );
    }
}

/// Mail server and webhook that refuse, one after the other word.
async fn channels_fail(place: &Place, scheduler: &Member, heard: &mut Heard) {
    place.mail.begin("refuse").unwrap();
    place.hook.answer(Answer::status(503));
    let before = scheduler
        .process
        .log_text()
        .matches("a notification was not taken")
        .count();
    place.enqueue("talks", "fail once more", &[]).await;
    eventually(LONG, "both channels refuse", || async {
        scheduler
            .process
            .log_text()
            .matches("a notification was not taken")
            .count()
            >= before + 2
    })
    .await
    .unwrap();
    let wrong = [("LONGSHORE_NOTIFY__EMAIL__OPS__USER", "somebody-else")];
    listen_to(
        place,
        "channels that refuse",
        &[&["notify", "test"], &["notify", "ls"]],
        &wrong,
        heard,
    )
    .await;
}

/// Both servers have other passwords now, and hang up.
async fn servers_refuse(place: &Place, members: &[Member], heard: &mut Heard) {
    place.redis.config_set("requirepass", "another").await.unwrap();
    let hang_up = std::process::Command::new("redis-cli")
        .args([
            "-p",
            &place.redis.port().to_string(),
            "-a",
            "another",
            "--no-auth-warning",
        ])
        .args(["client", "kill", "type", "normal"])
        .output()
        .unwrap();
    assert!(hang_up.status.success(), "{hang_up:?}");
    let change = format!(
        "rabbit_auth_backend_internal:change_password(<<\"{}\">>, <<\"another\">>, <<\"testkit\">>)",
        place.amqp_user
    );
    place.servers.vhost().control().eval(&change).await.unwrap();
    place.servers.vhost().close_all_connections().await.unwrap();
    members[0].becomes(503, heard).await;
    for member in members {
        member.hear(heard).await;
    }
    listen_to(place, "servers that refuse", TRIES, &[], heard).await;
    let home = place.home();
    let api = [
        ("LONGSHORE_API__URL", home.as_str()),
        ("LONGSHORE_API__TOKEN", API_TOKEN),
    ];
    listen_to(
        place,
        "a gateway that refuses",
        &[&["job", "ls"], &["queue", "ls"]],
        &api,
        heard,
    )
    .await;
}

/// Redis is gone, and nobody listens where the broker is said to be.
async fn servers_are_away(place: &Place, members: &[Member], heard: &mut Heard) {
    place.redis.kill9();
    let amqp = format!("amqp://jobs:{AMQP}@127.0.0.1:1/jobs");
    listen_to(
        place,
        "servers that are away",
        TRIES,
        &[("LONGSHORE_AMQP_URL", &amqp)],
        heard,
    )
    .await;
    let api = [
        ("LONGSHORE_API__URL", "http://127.0.0.1:1"),
        ("LONGSHORE_API__TOKEN", API_TOKEN),
    ];
    listen_to(place, "a gateway that is away", &[&["job", "ls"]], &api, heard).await;
    for member in members {
        heard.add(
            format!("{} /readyz", member.name),
            Reader::Anybody,
            member.probe("/readyz").await.1,
        );
    }
    // With the password that its file has, so that the fleet can say good-bye.
    place.redis.restart().await.unwrap();
}

/// Everything in one process; gives its log.
async fn dev(place: &Place) -> String {
    let mut command = place.command(&["dev", "--samples", "off", "--listen", "127.0.0.1:0"]);
    let at_home = |command: &mut std::process::Command| {
        for name in ["LONGSHORE_AMQP_URL", "LONGSHORE_REDIS_URL"] {
            command.env_remove(name);
        }
        command.env("LONGSHORE_EMBEDDED", place.path("store"));
    };
    at_home(&mut command);
    let process = Proc::spawn(command, place.path("dev.log")).unwrap();
    eventually(LONG, "dev is up", || async {
        process.log_text().contains("worker started")
    })
    .await
    .unwrap();
    let mut enqueue = place.command(&["enqueue", "talks", "{\"what\": \"fail\"}", "--watch"]);
    at_home(&mut enqueue);
    let output = tokio::task::spawn_blocking(move || enqueue.output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    process.term();
    assert!(
        process.wait(LONG).await.unwrap().success(),
        "{}",
        process.log_tail()
    );
    process.log_text()
}
