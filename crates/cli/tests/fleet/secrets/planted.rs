//! Texts that nobody may see, and the search for them in whatever way they are written.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Passwords, tokens and keys of the fleet itself: whoever reads a log, an answer or a page may see none of them.
pub(crate) const AMQP: &str = "pl4nted-amqp-5b0e1c77";
pub(crate) const REDIS: &str = "pl4nted-redis-93aa04d1";
pub(crate) const SMTP: &str = "pl4nted-smtp-0c66e2f8";
pub(crate) const HOOK_PATH: &str = "pl4nted-hookpath-71d0b95e";
pub(crate) const HOOK_SECRET: &str = "pl4nted-hooksecret-2fe8a613";
pub(crate) const HTTP_PATH: &str = "pl4nted-httppath-c90e7714";
pub(crate) const HTTP_SECRET: &str = "pl4nted-httpsecret-84b1f0ac";
pub(crate) const HTTP_HEADER: &str = "pl4nted-httpheader-d35c6e02";
pub(crate) const PROGRAM_ENV: &str = "pl4nted-programenv-6a17c4e9";
pub(crate) const OIDC: &str = "pl4nted-oidc-be2290f5";
pub(crate) const OTLP: &str = "pl4nted-otlp-17f3d8c4";
pub(crate) const API_TOKEN: &str = "pl4nted-apitoken-40d9ab36";
/// Shown to the gateway by somebody who has none.
pub(crate) const WRONG_TOKEN: &str = "pl4nted-wrongtoken-e8067d1b";
/// In configurations that are wrong.
pub(crate) const MISTAKE: &str = "pl4nted-mistake-f1249c70";

/// What `gateway.hide` names: for admins alone at the gateway, and in no log, metric or span.
pub(crate) const ARGS: &str = "pl4nted-args-3e5f7a90";
pub(crate) const METADATA: &str = "pl4nted-metadata-08b6d2ce";
pub(crate) const RESULT: &str = "pl4nted-result-9d41c7ef";
pub(crate) const PROGRESS: &str = "pl4nted-progress-52ce60b8";
pub(crate) const ERROR: &str = "pl4nted-error-b7730ea2";
pub(crate) const CRON_ARGS: &str = "pl4nted-cronargs-1ac8f946";

const OF_THE_FLEET: [&str; 14] = [
    AMQP,
    REDIS,
    SMTP,
    HOOK_PATH,
    HOOK_SECRET,
    HTTP_PATH,
    HTTP_SECRET,
    HTTP_HEADER,
    PROGRAM_ENV,
    OIDC,
    OTLP,
    API_TOKEN,
    WRONG_TOKEN,
    MISTAKE,
];
const OF_JOBS: [&str; 6] = [ARGS, METADATA, RESULT, PROGRESS, ERROR, CRON_ARGS];

/// Who reads a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Whoever works at the servers themselves, and sees jobs whole.
    Operator,
    /// Whoever reads logs, metrics and traces, or looks through a gateway without being an admin.
    Anybody,
}

/// Everything that was said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    texts: Vec<(String, Reader, String)>,
    /// What the fleet has made up itself, such as the tokens that it has given out.
    made: Vec<String>,
}

impl Heard {
    pub(crate) fn add(&mut self, from: impl Into<String>, reader: Reader, text: impl Into<String>) {
        self.texts.push((from.into(), reader, text.into()));
    }

    /// One more secret of the fleet, to be looked for in everything that was and will be heard.
    pub(crate) fn plant(&mut self, secret: impl Into<String>) {
        self.made.push(secret.into());
    }

    /// How many texts there are, and bytes in them.
    pub(crate) fn size(&self) -> (usize, usize) {
        let bytes = self.texts.iter().map(|(_, _, text)| text.len()).sum();
        (self.texts.len(), bytes)
    }

    /// What comes from a source of this name, to see that anything was heard of it.
    pub(crate) fn of(&self, from: &str) -> String {
        let texts = self.texts.iter().filter(|(name, _, _)| name.starts_with(from));
        texts.map(|(_, _, text)| text.as_str()).collect()
    }

    /// Every secret that somebody could read: which, where, and in which line.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let fleet = OF_THE_FLEET
            .iter()
            .copied()
            .chain(self.made.iter().map(String::as_str));
        let fleet: Vec<_> = fleet.map(|secret| (secret, forms(secret))).collect();
        let jobs: Vec<_> = OF_JOBS.iter().map(|secret| (*secret, forms(secret))).collect();
        let mut leaks = Vec::new();
        for (from, reader, text) in &self.texts {
            let of_jobs = if *reader == Reader::Anybody {
                &jobs[..]
            } else {
                &[]
            };
            for (secret, forms) in fleet.iter().chain(of_jobs) {
                let Some(at) = forms.iter().find_map(|form| text.find(form.as_str())) else {
                    continue;
                };
                let around = text.get(at.saturating_sub(400)..text.len().min(at + 200));
                leaks.push(format!("{secret} in {from}: {}", around.unwrap_or(text)));
            }
        }
        leaks
    }
}

/// A text as it is, in base64 wherever it may stand in what was encoded, in hexadecimal, and as the list of numbers that
/// `Debug` makes of bytes.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![secret.to_owned()];
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    forms.push(hex);
    let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
    forms.push(numbers.join(", "));
    forms.push(numbers.join(","));
    for before in 0..3 {
        let whole = [&[0; 3][..before], bytes].concat();
        // A letter of base64 is six bits: those that are mixed with what stands before or after are left out.
        let (first, end) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
        for engine in [&STANDARD, &URL_SAFE] {
            forms.push(engine.encode(&whole)[first..end].to_owned());
        }
    }
    forms
}

#[test]
fn a_planted_secret_is_found_however_it_is_written() {
    let basic = STANDARD.encode(format!("longshore:{OIDC}"));
    let plain = STANDARD.encode(format!("\0jobs\0{SMTP}"));
    let texts = [
        (AMQP, format!("amqp://user:{AMQP}@host")),
        (OIDC, format!("authorization: Basic {basic}")),
        (SMTP, format!("AUTH PLAIN {plain}")),
        (ARGS, format!("{:?}", ARGS.as_bytes())),
        (RESULT, format!("{:?}", bytes_of(RESULT))),
        (HOOK_SECRET, URL_SAFE.encode(format!("xy{HOOK_SECRET}z"))),
    ];
    for (secret, text) in texts {
        let mut heard = Heard::default();
        heard.add("a text", Reader::Anybody, format!("nothing\nhere {text} is\n"));
        let leaks = heard.leaks();
        assert_eq!(leaks.len(), 1, "{text}: {leaks:?}");
        assert!(leaks[0].starts_with(secret), "{leaks:?}");
    }
    let mut heard = Heard::default();
    heard.add("a job", Reader::Operator, ARGS);
    heard.add("a token", Reader::Anybody, "lsk_made-up");
    assert_eq!(heard.leaks(), Vec::<String>::new());
    heard.plant("lsk_made-up");
    assert_eq!(heard.leaks().len(), 1);
}

/// Bytes as clients of servers hold them: their `Debug` is a text.
fn bytes_of(text: &'static str) -> bytes::Bytes {
    bytes::Bytes::from_static(text.as_bytes())
}
