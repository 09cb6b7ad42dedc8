use std::path::PathBuf;
use std::time::Duration;

use longshore_core::notice::Kind;
use longshore_core::port::notify::{ChannelPort as _, NotSent, Retry, Sent};
use longshore_notify::{Email, EmailSettings, Encryption};
use longshore_testkit::servers::{MailOptions, MailServer, MailTls, TlsFiles};

use super::letter;

fn settings(server: &MailServer, encryption: Encryption) -> EmailSettings {
    EmailSettings {
        name: "ops".to_owned(),
        kinds: Kind::ALL.into(),
        host: "localhost".to_owned(),
        port: Some(server.port()),
        encryption,
        allow_plain: false,
        ca_file: server.ca_file().map(PathBuf::from),
        credentials: None,
        from: "Jobs <jobs@example.com>".to_owned(),
        to: vec!["admin@example.com".to_owned(), "b@example.com".to_owned()],
        timeout: Duration::from_secs(10),
    }
}

async fn send(settings: EmailSettings) -> Result<Sent, NotSent> {
    Email::new(settings).unwrap().send(letter()).await
}

async fn server(tls: MailTls, login: Option<(&'static str, &'static str)>) -> MailServer {
    MailServer::start(MailOptions { tls, login }).await.unwrap()
}

#[tokio::test]
async fn a_mail_arrives_with_its_stable_id_and_everything_that_it_says() {
    let server = server(MailTls::None, None).await;
    for _ in 0..2 {
        send(settings(&server, Encryption::None)).await.unwrap();
    }
    let mails = server.mails().unwrap();
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        let id = mail.header("Message-ID").unwrap();
        assert_eq!(id, "<00112233445566778899aabbccddeeff@example.com>");
        assert_eq!(mail.from, "jobs@example.com");
        assert_eq!(mail.to, ["admin@example.com", "b@example.com"]);
        assert_eq!(mail.header("Date").unwrap(), "Tue, 14 Nov 2023 22:14:20 +0000");
        assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
        let subject = mail.header("Subject").unwrap();
        assert!(subject.starts_with("[longshore] 10 dead letters"), "{subject}");
    }
    assert_eq!(mails[0].text, mails[1].text);
}

#[tokio::test]
async fn mails_go_over_tls_to_a_server_that_the_private_authority_vouches_for() {
    for (tls, encryption) in [
        (MailTls::StartTls, Encryption::StartTls),
        (MailTls::Implicit, Encryption::Implicit),
    ] {
        let server = server(tls, Some(("jobs", "s3cret"))).await;
        let mut settings = settings(&server, encryption);
        settings.credentials = Some(("jobs".to_owned(), "s3cret".to_owned()));
        send(settings.clone()).await.unwrap();
        let mail = server.mails().unwrap().remove(0);
        assert_eq!(mail.user.as_deref(), Some("jobs"), "{tls:?}");
        // aiosmtpd tells of STARTTLS alone.
        assert_eq!(mail.tls, tls == MailTls::StartTls);

        let strangers = tempfile::tempdir().unwrap();
        settings.ca_file = Some(TlsFiles::make(strangers.path()).await.unwrap().ca);
        let refused = send(settings).await.unwrap_err();
        assert!(refused.reason.contains("certificate"), "{refused:?}");
        assert_eq!(server.mails().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_again_and_never_shown() {
    let server = server(MailTls::StartTls, Some(("jobs", "right"))).await;
    let mut settings = settings(&server, Encryption::StartTls);
    settings.credentials = Some(("jobs".to_owned(), "s3cret".to_owned()));
    let refused = send(settings).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Later, "{refused:?}");
    assert!(
        !refused.reason.contains("s3cret") && !refused.reason.contains("czNjcmV0"),
        "{refused:?}"
    );
    assert!(refused.reason.contains("535"), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let server = server(MailTls::None, None).await;
    let mut settings = settings(&server, Encryption::StartTls);
    settings.credentials = Some(("jobs".to_owned(), "s3cret".to_owned()));
    send(settings).await.unwrap_err();
    assert_eq!(server.mails().unwrap(), []);
}

#[tokio::test]
async fn what_is_put_off_is_tried_again_and_what_is_refused_is_not() {
    let server = server(MailTls::None, None).await;
    server.begin("refuse").unwrap();
    let put_off = send(settings(&server, Encryption::None)).await.unwrap_err();
    assert_eq!(put_off.retry, Retry::Later);
    server.end("refuse").unwrap();
    server.begin("reject").unwrap();
    let refused = send(settings(&server, Encryption::None)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Never);
    assert!(refused.reason.contains("not from you"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    let server = server(MailTls::None, None).await;
    server.begin("hold").unwrap();
    let mut settings = settings(&server, Encryption::None);
    settings.timeout = Duration::from_secs(1);
    let left = send(settings).await.unwrap_err();
    assert_eq!(left.retry, Retry::Later, "{left:?}");
    server.end("hold").unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let gone = longshore_testkit::process::PortLease::take().unwrap();
    let server = server(MailTls::None, None).await;
    let mut settings = settings(&server, Encryption::None);
    settings.port = Some(gone.port());
    assert_eq!(send(settings).await.unwrap_err().retry, Retry::Later);
}

#[tokio::test]
async fn a_recipient_that_is_refused_for_good_does_not_keep_the_mail_from_the_others() {
    let server = server(MailTls::None, None).await;
    server.begin("reject-admin@example.com").unwrap();
    let sent = send(settings(&server, Encryption::None)).await.unwrap();
    let note = sent.note.unwrap();
    assert!(
        note.starts_with("1 of 2 recipients got it; admin@example.com: ") && note.contains("no such user"),
        "{note}"
    );
    let mails = server.mails().unwrap();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["b@example.com"]);
    assert_eq!(
        mails[0].header("Message-ID").unwrap(),
        "<00112233445566778899aabbccddeeff@example.com>"
    );
    // Nobody is left: that is a mail that was refused.
    server.begin("reject-b@example.com").unwrap();
    let refused = send(settings(&server, Encryption::None)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Never);
    assert!(refused.reason.contains("0 of 2 recipients"), "{refused:?}");
}

#[tokio::test]
async fn a_recipient_that_is_put_off_gets_the_next_try_alone() {
    let server = server(MailTls::None, None).await;
    let email = Email::new(settings(&server, Encryption::None)).unwrap();
    server.begin("refuse-b@example.com").unwrap();
    for _ in 0..2 {
        let put_off = email.send(letter()).await.unwrap_err();
        assert_eq!(put_off.retry, Retry::Later);
        assert!(put_off.reason.contains("b@example.com: "), "{put_off:?}");
        assert!(
            put_off.reason.starts_with("1 of 2 recipients got it"),
            "{put_off:?}"
        );
    }
    server.end("refuse-b@example.com").unwrap();
    assert_eq!(email.send(letter()).await.unwrap(), Sent::default());
    let mails = server.mails().unwrap();
    let to: Vec<_> = mails.iter().map(|mail| mail.to.join(" ")).collect();
    assert_eq!(to, ["admin@example.com", "b@example.com"], "each once");
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}
