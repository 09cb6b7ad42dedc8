//! Which errors are alike.

use serde::{Deserialize, Serialize};

use crate::outcome::ErrorInfo;

/// Fewest hexadecimal digits, one of them a decimal, that make a word an id rather than a word.
const HEX_DIGITS_MIN: usize = 8;
/// Longest quoted part, in bytes; a quote mark without its partner is an apostrophe.
const QUOTED_BYTES_MAX: usize = 1024;

/// What errors of one cause have in common: a hash over the error's type and its message, in which numbers, ids,
/// hexadecimal digits, quoted parts and paths count as the same. Stable over releases; twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of an error; no error has one too.
    pub fn of(error: Option<&ErrorInfo>) -> Self {
        let (error_type, message) = error.map_or(("", ""), |error| (&error.error_type, &error.message));
        let mut hasher = blake3::Hasher::new();
        hasher.update(error_type.as_bytes());
        hasher.update(&[0]);
        hasher.update(normalised(message).as_bytes());
        let mut first = [0_u8; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_be_bytes(first) >> 16)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a fingerprint; it has 12 hexadecimal digits, as `longshore dlq ls --group` prints it"
)]
pub struct InvalidFingerprint(pub String);

impl std::str::FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or_else(|| InvalidFingerprint(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The message without what differs from one failure to the next.
fn normalised(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(bytes) = quoted(rest, in_word) {
            out.push_str("<quoted>");
            bytes
        } else if is_part_of_word(first) {
            let bytes = rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len());
            let (word, tail) = trimmed(rest.get(..bytes).unwrap_or(rest));
            put_word(&mut out, word);
            out.push_str(tail);
            bytes
        } else {
            // One blank is as good as many.
            if !first.is_whitespace() {
                out.push(first);
            } else if !out.ends_with(' ') {
                out.push(' ');
            }
            first.len_utf8()
        };
        in_word = first.is_alphanumeric();
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.trim().to_owned()
}

/// How long the quoted part is that the text begins with.
fn quoted(text: &str, in_word: bool) -> Option<usize> {
    let mark = text
        .chars()
        .next()
        .filter(|mark| matches!(mark, '"' | '\'' | '`'))?;
    // "can't" opens nothing.
    if mark == '\'' && in_word {
        return None;
    }
    let inner = text.get(mark.len_utf8()..)?;
    let end = inner.find(mark).filter(|end| *end <= QUOTED_BYTES_MAX)?;
    Some(end + 2 * mark.len_utf8())
}

fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            '_' | '-' | '.' | '/' | '\\' | ':' | '@' | '~' | '%' | '+' | '?' | '&' | '=' | '#'
        )
}

/// The word without the punctuation at its end, and that.
fn trimmed(word: &str) -> (&str, &str) {
    let kept = word.trim_end_matches(['.', ':', '?']);
    word.split_at(kept.len())
}

fn put_word(out: &mut String, word: &str) {
    if word.len() > 1 && word.contains(['/', '\\']) {
        out.push_str("<path>");
    } else if is_hex(word) {
        out.push_str("<id>");
    } else {
        put_digits(out, word);
    }
}

/// A UUID, a digest, an address: hexadecimal digits with or without dashes, `0x` and a decimal among them.
fn is_hex(word: &str) -> bool {
    let (digits, least) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 1),
        None => (word, HEX_DIGITS_MIN),
    };
    let count = digits.bytes().filter(u8::is_ascii_hexdigit).count();
    let decimals = digits.bytes().any(|byte| byte.is_ascii_digit());
    let letters = digits.bytes().any(|byte| byte.is_ascii_alphabetic());
    let all = digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    all && count >= least && (least == 1 || (decimals && letters))
}

/// Digits become `<n>`, with their fraction; a word in which they come twice between letters is an id.
fn put_digits(out: &mut String, word: &str) {
    let mut text = String::new();
    let mut runs = 0;
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii_digit() {
            text.push(c);
            continue;
        }
        while chars.next_if(|c| c.is_ascii_digit() || *c == '.').is_some() {}
        text.push_str("<n>");
        runs += 1;
    }
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if runs >= 2 && is_plain {
        out.push_str("<id>");
    } else {
        out.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(message: &str) -> Fingerprint {
        Fingerprint::of(Some(&ErrorInfo::new("io", message)))
    }

    #[test]
    fn what_differs_from_failure_to_failure_counts_as_the_same() {
        let alike = [
            ("user 17 not found", "user 4711 not found"),
            ("took 1.5s of 2s", "took 31.25s of 3s"),
            ("no such file: /tmp/a/b.txt", "no such file: /var/lib/x"),
            (
                "GET https://a.example/x?id=1: 500",
                "GET https://b.example/y: 500",
            ),
            (
                "job 0193f0a1-7c5e-8001-9313-0242ac120002 is gone",
                "job 7d44b840-9dc0-11d1-b245-5ffdce74fad2 is gone",
            ),
            ("segment at 0xdeadbeef", "segment at 0x7f"),
            ("unknown key \"a b\" in 'x'", "unknown key \"c\" in 'long one'"),
            ("10.0.0.1:5432 refused", "192.168.1.77:80 refused"),
            ("token a9f8k7b2 expired", "token z1x2y3 expired"),
            ("two  blanks\nand lines", "two blanks and lines"),
        ];
        for (one, other) in alike {
            assert_eq!(normalised(one), normalised(other));
            assert_eq!(print(one), print(other));
        }
    }

    #[test]
    fn what_says_something_else_differs() {
        assert_ne!(print("user 17 not found"), print("order 17 not found"));
        assert_ne!(print("decade"), print("facade"));
        assert_ne!(
            print("gone"),
            Fingerprint::of(Some(&ErrorInfo::new("http", "gone")))
        );
        assert_eq!(normalised("can't open it, won't try"), "can't open it, won't try");
    }

    #[test]
    fn it_is_stable_and_reads_back() {
        assert_eq!(
            normalised("user 17 of `x` at /a: 0xff"),
            "user <n> of <quoted> at <path>: <id>"
        );
        let known = print("user 17 not found");
        assert_eq!(known.to_string().parse(), Ok(known));
        assert_eq!(known.to_string().len(), 12);
        assert!("12".parse::<Fingerprint>().is_err());
    }
}
