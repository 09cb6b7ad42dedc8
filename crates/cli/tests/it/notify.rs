//! `longshore notify` and `[notify]`, without servers: the embedded store, a mail server, an HTTP receiver.

use std::process::Output;

use longshore_testkit::servers::{Answer, MailOptions, MailServer, Receiver};
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};

use crate::binary::{Folder, LONG};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn configured(text: &str) -> Folder {
    let folder = Folder::new();
    folder.file("longshore.toml", text);
    folder
}

/// A mail account and a webhook of the test's servers.
fn channels(mail: &MailServer, hook: &Receiver) -> String {
    format!(
        "[notify]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\nsend_timeout = \"2s\"\n\
         [notify.email.ops]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"jobs@example.com\"\n\
         to = [\"admin@example.com\"]\n\
         [notify.webhook.hook]\nurl = \"{}\"\nsecret = \"planted-s3cret\"\nallow_addresses = [\"127.0.0.1\"]\n",
        mail.port(),
        hook.url("/planted-t0ken"),
    )
}

#[test]
fn a_webhook_to_the_metadata_address_is_refused_however_it_is_written() {
    for url in [
        "http://169.254.169.254/planted-t0ken",
        "http://2852039166/planted-t0ken",
        "http://0xa9.254.169.254/planted-t0ken",
        "http://[::ffff:169.254.169.254]/planted-t0ken",
    ] {
        let folder = configured(&format!("[notify.webhook.hook]\nurl = \"{url}\"\n"));
        for args in [&["config", "check"][..], &["notify", "test"], &["scheduler"]] {
            let output = folder.run(args);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
            assert!(said.contains("notify.webhook.hook.url"), "{said}");
            assert!(
                said.contains("169.254.169.254") && said.contains("allow_addresses"),
                "{said}"
            );
            assert!(!said.contains("planted-"), "{said}");
        }
    }
}

#[test]
fn wrong_channels_are_told_with_key_and_fix_and_no_secret() {
    let folder = configured(
        r#"
        [notify]
        letters_per_hour = 0
        [notify.email.ops]
        host = "smtp.example.com"
        password = "planted-s3cret"
        [notify.webhook.ops]
        url = "ftp://planted-t0ken@h"
        secret = "whsec_planted!"
        events = ["dead_leter"]
        [notify.webhook."a b"]
        url = "https://hooks.example.com/planted"
        [notify.webhook.hook]
        ulr = "https://hooks.example.com/planted"
        "#,
    );
    let output = folder.run(&["config", "check"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for expected in [
        "notify.letters_per_hour",
        "notify.email.ops.from",
        "notify.email.ops.to",
        "notify.email.ops.user",
        "notify.webhook.ops.url",
        "notify.webhook.ops.secret",
        "did you mean dead_letter?",
        "notify.webhook.a b",
        "did you mean notify.webhook.hook.url?",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("planted"), "{said}");

    let folder = configured(
        "[notify.email.a]\nhost = \"smtp.example.com\"\ntls = \"none\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n\
         [notify.email.b]\nhost = \"smtp.example.com\"\nfrom = \"nobody\"\nto = \"b@example.com\"\n\
         [notify.webhook.a]\nurl = \"https://hooks.example.com\"\nallow_addresses = [\"10.0.0.0/99\"]\n",
    );
    let told = said_of(&folder, &["config", "check"]);
    assert!(
        told.contains("notify.webhook.a: notify.email.a has the same name"),
        "{told}"
    );
    let folder = configured(
        "[notify.email.a]\nhost = \"smtp.example.com\"\ntls = \"none\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n\
         [notify.email.b]\nhost = \"smtp.example.com\"\nfrom = \"nobody\"\nto = \"b@example.com\"\n\
         [notify.webhook.c]\nurl = \"https://hooks.example.com\"\nallow_addresses = [\"10.0.0.0/99\"]\n",
    );
    let told = said_of(&folder, &["config", "check"]);
    for expected in [
        "notify.email.a.tls",
        "allow_plain",
        "notify.email.b.from",
        "notify.webhook.c.allow_addresses",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

fn said_of(folder: &Folder, args: &[&str]) -> String {
    said(&folder.run(args))
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let folder = configured(
        "[notify.email.ops]\nhost = \"smtp.example.com\"\nuser = \"jobs\"\npassword = \"planted-s3cret\"\n\
         from = \"a@example.com\"\nto = [\"b@example.com\", \"c@example.com\"]\n\
         [notify.webhook.hook]\nurl = \"https://hooks.slack.com/services/planted/t0ken\"\nsecret = \"planted-key\"\n",
    );
    let shown = folder.ok(&["config", "show"]);
    assert!(!shown.contains("planted"), "{shown}");
    assert!(
        shown.contains("https://hooks.slack.com") && shown.contains("[\"b@example.com\", \"c@example.com\"]"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_reaches_every_channel_or_says_which_one_it_does_not() {
    let mail = MailServer::start(MailOptions::default()).await.unwrap();
    let hook = Receiver::start().await.unwrap();
    let folder = configured(&channels(&mail, &hook));
    // Where no store is, and a proxy of the environment that leads nowhere.
    let mut command = folder.command(&["notify", "test", "-o", "json"]);
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
    ] {
        command.env(name, "http://127.0.0.1:9");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sent[0]["channel"], "ops");
    assert_eq!((&sent[0]["sent"], &sent[1]["sent"]), (&json!(true), &json!(true)));
    let mails = mail.mails().unwrap();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].header("Subject").unwrap().contains("this is a test"));
    let id = format!("<{}@example.com>", sent[0]["id"].as_str().unwrap());
    assert_eq!(mails[0].header("Message-ID").unwrap(), id);
    let post = hook.received().remove(0);
    let body: Value = serde_json::from_slice(&post.body).unwrap();
    assert_eq!(body["type"], "longshore.test");

    hook.answer(Answer::status(404));
    let output = folder.run(&["notify", "test"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("404") && printed.contains("sent"), "{printed}");
    let told = said(&output);
    assert!(
        told.contains("1 of 2 channels") && !told.contains("planted") && !printed.contains("planted"),
        "{told}"
    );
    let output = folder.run(&["notify", "test", "hok"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(
        said(&output).contains("hook, ops") || said(&output).contains("ops, hook"),
        "{}",
        said(&output)
    );
    let bare = Folder::new();
    assert_eq!(bare.run(&["notify", "test"]).status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_tells_of_a_death_over_kill_9_and_lists_what_it_did() {
    let mail = MailServer::start(MailOptions::default()).await.unwrap();
    let hook = Receiver::start().await.unwrap();
    let fails =
        "[worker.commands.fails]\nprogram = \"sh\"\nargs = [\"-c\", \"echo broken valve >&2; exit 1\"]\n";
    let folder = configured(&format!("{fails}{}", channels(&mail, &hook)));
    hook.answer(Answer::Hold);
    let dev = folder.dev(&["--samples", "off"]).await;
    let die = || {
        folder.json(&["enqueue", "fails", "--max-retries", "0"])["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    eventually(LONG, "the webhook has a letter", || async {
        die();
        !hook.received().is_empty()
    })
    .await
    .unwrap();
    dev.kill9();
    hook.answer(Answer::status(200));
    let again = folder.dev(&["--samples", "off"]).await;
    let first = hook.received().remove(0);
    eventually(LONG, "it comes again", || async {
        let id =
            |request: &longshore_testkit::servers::Received| request.header("webhook-id").map(str::to_owned);
        hook.received()
            .iter()
            .skip(1)
            .any(|request| id(request) == id(&first) && request.body == first.body)
    })
    .await
    .unwrap();
    let listed = || async {
        let channels = folder.json(&["notify", "ls"]);
        let of = |name: &str| {
            channels
                .as_array()
                .unwrap()
                .iter()
                .find(|channel| channel["channel"] == name)
                .cloned()
        };
        let (ops, hook) = (of("ops").unwrap(), of("hook").unwrap());
        let idle = ops["waiting"] == 0 && hook["waiting"] == 0;
        (idle && ops["sent"].as_u64() >= Some(1) && hook["sent"].as_u64() >= Some(1)).then_some(ops)
    };
    let ops = eventually(LONG, "everything was sent", listed).await.unwrap();
    assert_eq!((&ops["type"], &ops["given_up"]), (&json!("email"), &json!(0)));
    assert!(folder.ok(&["notify", "ls"]).contains("LAST SENT"));
    hook.answer(Answer::status(400));
    die();
    let given_up = || async {
        let channels = folder.json(&["notify", "ls"]);
        let hook = channels
            .as_array()
            .unwrap()
            .iter()
            .find(|channel| channel["channel"] == "hook")
            .cloned();
        hook.filter(|hook| hook["given_up"] == 1)
    };
    let hook = eventually(LONG, "a refused one is given up", given_up)
        .await
        .unwrap();
    assert_eq!(hook["notifications"][0]["state"], "given_up");
    let log = again.log_text();
    assert!(log.contains("GIVEN UP") && !log.contains("planted-"), "{log}");
}

#[test]
fn the_examples_of_the_page_are_configurations_without_a_problem() {
    let page = include_str!("../../../../docs/reference/notifications.md");
    let readme = include_str!("../../../../README.md");
    let blocks = [page, readme].map(|text| {
        let blocks = text
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        blocks
            .filter(|block| block.contains("[notify."))
            .collect::<Vec<_>>()
    });
    let blocks = blocks.concat();
    assert_eq!(
        blocks.len(),
        4,
        "e-mail, webhooks, an endpoint inside, and those of the README"
    );
    for block in blocks {
        let folder = configured(block);
        assert_eq!(
            folder.ok(&["config", "check"]),
            "the configuration has no problems\n",
            "{block}"
        );
    }
}
