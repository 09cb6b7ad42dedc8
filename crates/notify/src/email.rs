//! Letters by e-mail.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use longshore_core::notice::post::Addressee;
use longshore_core::notice::{Kind, Letter};
use longshore_core::port::notify::{ChannelPort, NotSent, Retry, Sent};

use crate::smtp::{Delivered, Refused, Server};
use crate::{Invalid, later, never, one_line, text};

/// Most recipients of one channel.
const RECIPIENTS_MAX: usize = 50;
/// Letters of which it is remembered who got them; of an older one some may get it again, with the same id.
const PARTLY_MAX: usize = 256;
/// How much of a server's refusal is kept.
const REASON_CHARS_MAX: usize = 300;

/// How the connection to the mail server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Plain first, TLS before anything of worth is said; a server without it is refused. The default.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// None: for a server on this machine, or when `allow_plain` says so.
    None,
}

impl Encryption {
    /// The port that is usual for it.
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// What an e-mail channel needs to know. Its debug output shows no password.
#[derive(Clone)]
pub struct EmailSettings {
    /// The channel's name.
    pub name: String,
    /// What it wants to know of.
    pub kinds: BTreeSet<Kind>,
    /// Host of the mail server.
    pub host: String,
    /// Its port; the usual one when `None`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Unencrypted also to other machines.
    pub allow_plain: bool,
    /// PEM file with the certificate authority of the server; the system's when `None`.
    pub ca_file: Option<PathBuf>,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// Who sends.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// How long one try may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for EmailSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailSettings")
            .field("name", &self.name)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// An e-mail channel.
pub struct Email {
    name: String,
    kinds: BTreeSet<Kind>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    server: Server,
    /// Who got a letter of which others have to wait: they do not get it again with the next try.
    partly: Mutex<VecDeque<(String, BTreeSet<String>)>>,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Email {
    /// A channel that is ready to send; nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the settings: the first field that is.
    pub fn new(settings: EmailSettings) -> Result<Self, Invalid> {
        let server = server(&settings)?;
        let from = address("from", &settings.from)?;
        if settings.to.is_empty() || settings.to.len() > RECIPIENTS_MAX {
            let problem = format!(
                "names {} recipients; name 1 to {RECIPIENTS_MAX}",
                settings.to.len()
            );
            return Err(Invalid::new("to", problem));
        }
        let to = settings
            .to
            .iter()
            .map(|to| address("to", to))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: settings.name,
            kinds: settings.kinds,
            from,
            to,
            timeout: settings.timeout,
            server,
            partly: Mutex::default(),
        })
    }

    /// The mail of a letter: the same for every try.
    fn message(&self, letter: &Letter) -> Result<Message, lettre::error::Error> {
        let date = UNIX_EPOCH + Duration::from_millis(letter.last_at.millis());
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .date(date)
            .from(self.from.clone())
            .subject(format!("[longshore] {}", text::title(letter)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        // No answer by a machine, please.
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        let message = builder.raw_header(automatic).body(text::plain(letter))?;
        debug_assert!(message.headers().get::<header::MessageId>().is_some());
        Ok(message)
    }

    async fn bring(&self, letter: Letter) -> Result<Sent, NotSent> {
        let message = self
            .message(&letter)
            .map_err(|error| never(format!("the mail cannot be made: {error}")))?;
        let had = self.had(&letter.id);
        let to: Vec<_> = self
            .to
            .iter()
            .filter(|to| !had.contains(&to.email.to_string()))
            .collect();
        let brought = self.server.bring(&self.from, &to, &message);
        match tokio::time::timeout(self.timeout, brought).await {
            Ok(Ok(delivered)) => self.conclude(&letter.id, had, delivered),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(later(format!(
                "the mail server did not answer within {:?}",
                self.timeout
            ))),
        }
    }

    /// What it means that some recipients were accepted and some refused. Who has to wait gets the next try alone.
    fn conclude(&self, id: &str, mut had: BTreeSet<String>, delivered: Delivered) -> Result<Sent, NotSent> {
        had.extend(delivered.accepted);
        if delivered.refused.is_empty() {
            return Ok(Sent::default());
        }
        let (count, all) = (had.len(), self.to.len());
        let told = delivered
            .refused
            .iter()
            .map(|refused| format!("{}: {}", refused.to, refusal(&refused.error).reason));
        let told = told.collect::<Vec<_>>().join("; ");
        let note = one_line(
            &format!("{count} of {all} recipients got it; {told}"),
            REASON_CHARS_MAX,
        );
        let waits = |refused: &Refused| refusal(&refused.error).retry != Retry::Never;
        if delivered.refused.iter().any(waits) {
            if !had.is_empty() {
                self.remember(id, had);
            }
            return Err(later(note));
        }
        if had.is_empty() {
            return Err(never(note));
        }
        Ok(Sent { note: Some(note) })
    }

    fn had(&self, id: &str) -> BTreeSet<String> {
        let partly = self.partly.lock().unwrap_or_else(PoisonError::into_inner);
        let found = partly.iter().find(|(of, _)| of == id);
        found.map(|(_, had)| had.clone()).unwrap_or_default()
    }

    fn remember(&self, id: &str, had: BTreeSet<String>) {
        let mut partly = self.partly.lock().unwrap_or_else(PoisonError::into_inner);
        partly.retain(|(of, _)| of != id);
        if partly.len() == PARTLY_MAX {
            partly.pop_front();
        }
        partly.push_back((id.to_owned(), had));
    }
}

impl ChannelPort for Email {
    fn addressee(&self) -> Addressee {
        Addressee {
            name: self.name.clone(),
            kinds: self.kinds.clone(),
        }
    }

    fn send(
        &self,
        letter: Letter,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Sent, NotSent>> + Send + '_>> {
        Box::pin(self.bring(letter))
    }
}

/// Codes of the 5xx class are final. All else, authentication too, may be mended on the other side.
fn refusal(error: &lettre::transport::smtp::Error) -> NotSent {
    let mut reason = format!("the mail server: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !reason.contains(&cause_text) {
            reason = format!("{reason}: {cause_text}");
        }
        source = cause.source();
    }
    let reason = one_line(&reason, REASON_CHARS_MAX);
    let is_login = error
        .status()
        .is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
    if error.is_permanent() && !is_login {
        never(reason)
    } else {
        later(reason)
    }
}

fn server(settings: &EmailSettings) -> Result<Server, Invalid> {
    let host = settings.host.trim();
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(Invalid::new(
            "host",
            "is not a host; use a name such as smtp.example.com",
        ));
    }
    let tls = match settings.encryption {
        Encryption::StartTls => Tls::Required(parameters(settings, host)?),
        Encryption::Implicit => Tls::Wrapper(parameters(settings, host)?),
        Encryption::None if settings.allow_plain || is_this_machine(host) => Tls::None,
        Encryption::None => {
            let problem = "none would send mails and passwords unencrypted to another machine; use starttls or \
                           implicit, or set allow_plain = true and accept it";
            return Err(Invalid::new("tls", problem));
        }
    };
    let credentials = settings
        .credentials
        .clone()
        .map(|(user, password)| Credentials::new(user, password));
    Ok(Server {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: settings.port.unwrap_or(settings.encryption.port()),
        tls,
        credentials,
        timeout: settings.timeout,
    })
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn parameters(settings: &EmailSettings, host: &str) -> Result<TlsParameters, Invalid> {
    let mut builder = TlsParameters::builder(host.trim_matches(['[', ']']).to_owned());
    if let Some(path) = &settings.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| Invalid::new("ca_file", format!("{shown} cannot be read: {error}")))?;
        let wrong = || Invalid::new("ca_file", format!("{shown} is no PEM file with a certificate"));
        let text = String::from_utf8(pem).map_err(|_| wrong())?;
        let mut found = 0;
        for certificate in text.split_inclusive("-----END CERTIFICATE-----") {
            if certificate.contains("-----BEGIN CERTIFICATE-----") {
                let certificate =
                    Certificate::from_pem(certificate.trim().as_bytes()).map_err(|_| wrong())?;
                builder = builder.add_root_certificate(certificate);
                found += 1;
            }
        }
        if found == 0 {
            return Err(wrong());
        }
        builder = builder.certificate_store(CertificateStore::None);
    }
    builder
        .build_rustls()
        .map_err(|error| Invalid::new("host", format!("cannot be used for TLS: {error}")))
}

fn address(field: &'static str, text: &str) -> Result<Mailbox, Invalid> {
    text.trim().parse().map_err(|error| {
        let shown = one_line(text, 100);
        let example = "use jobs@example.com or Jobs <jobs@example.com>";
        Invalid::new(
            field,
            format!("\"{shown}\" is not an address ({error}); {example}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> EmailSettings {
        EmailSettings {
            name: "ops".to_owned(),
            kinds: Kind::ALL.into(),
            host: "smtp.example.com".to_owned(),
            port: None,
            encryption: Encryption::StartTls,
            allow_plain: false,
            ca_file: None,
            credentials: Some(("jobs".to_owned(), "s3cret".to_owned())),
            from: "Jobs <jobs@example.com>".to_owned(),
            to: vec!["admin@example.com".to_owned()],
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_mail_has_a_stable_id_and_its_subject_is_one_line() {
        let email = Email::new(settings()).unwrap();
        let letter = text::tests::letter("disk full\r\nBcc: thief@example.com", 2);
        let mail = String::from_utf8(email.message(&letter).unwrap().formatted()).unwrap();
        assert!(
            mail.contains("Message-ID: <00112233445566778899aabbccddeeff@example.com>\r\n"),
            "{mail}"
        );
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        let again = String::from_utf8(email.message(&letter).unwrap().formatted()).unwrap();
        assert_eq!(mail, again);
    }

    #[test]
    fn wrong_settings_are_told_with_field_and_fix() {
        type Spoil = fn(&mut EmailSettings);
        let cases: [(&str, &str, Spoil); 6] = [
            ("from", "jobs@example.com", |settings| {
                settings.from = "jobs".to_owned();
            }),
            ("to", "jobs@example.com", |settings| {
                settings.to = vec!["a@b, c@d".to_owned()];
            }),
            ("to", "name 1", |settings| settings.to.clear()),
            ("tls", "allow_plain", |settings| {
                settings.encryption = Encryption::None;
            }),
            ("ca_file", "cannot be read", |settings| {
                settings.ca_file = Some("/nowhere/ca.pem".into());
            }),
            ("host", "smtp.example.com", |settings| {
                settings.host = "http://smtp".to_owned();
            }),
        ];
        for (field, fix, spoil) in cases {
            let mut settings = settings();
            spoil(&mut settings);
            let told = Email::new(settings).unwrap_err();
            assert_eq!(told.field, field, "{told}");
            assert!(told.problem.contains(fix), "{told}");
        }
    }

    #[test]
    fn unencrypted_is_for_this_machine_or_for_who_says_so() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            let settings = EmailSettings {
                host: host.to_owned(),
                encryption: Encryption::None,
                ..settings()
            };
            assert!(Email::new(settings).is_ok(), "{host}");
        }
        let settings = EmailSettings {
            encryption: Encryption::None,
            allow_plain: true,
            ..settings()
        };
        assert!(Email::new(settings).is_ok());
    }

    #[test]
    fn a_password_is_not_in_the_debug_output() {
        let shown = format!("{:?} {:?}", settings(), Email::new(settings()).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
