//! Which errors may pass: the requirement's table, applied through the whole source chain.
//!
//! Transient are time-outs, connection errors, operating-system errors, and every error whose text has one of the
//! keywords "timeout", "connection", "temporary", "unavailable". Everything else is permanent. The table's
//! `TimeoutError`, `ConnectionError` and `OSError` are `std::io::Error` in Rust, and its `TimeoutError` is also what
//! the runtime and clients say in words of their own ([`TIMED_OUT`]); its `ValueError`, `TypeError` and
//! `KeyError` are the parse, conversion and lookup errors, which are permanent unless a keyword says otherwise.

use std::error::Error;

/// The words that mark an error as transient, wherever they stand in its text, whatever their case.
pub const TRANSIENT_KEYWORDS: [&str; 4] = ["timeout", "connection", "temporary", "unavailable"];

/// How time-outs are told in Rust, where no keyword says so: reqwest, hyper and the standard library; tokio; gRPC.
pub const TIMED_OUT: [&str; 3] = ["timed out", "deadline has elapsed", "deadline exceeded"];

/// The error and every source below it, outermost first; bounded, because a chain may loop.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(32)
}

/// Whether a retry may help.
pub fn is_transient(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|link| match link.downcast_ref::<std::io::Error>() {
        Some(io) => is_transient_io(io),
        None => is_transient_text(&link.to_string()),
    })
}

/// Whether a text has one of [`TRANSIENT_KEYWORDS`], or tells of a time-out ([`TIMED_OUT`]).
pub fn is_transient_text(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut words = TRANSIENT_KEYWORDS.iter().chain(&TIMED_OUT);
    words.any(|word| lower.contains(word))
}

/// `OSError` of the table is every error that the operating system reports; an `io::Error` that merely wraps bad data
/// (`InvalidData`, `InvalidInput`) is a `ValueError` in an I/O coat.
fn is_transient_io(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::Other => {
            error.raw_os_error().is_some() || is_transient_text(&error.to_string())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<dyn Error + 'static>>);
    impl std::fmt::Display for Link {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref()
        }
    }

    #[test]
    fn the_table_of_the_requirements_holds() {
        assert!(is_transient(&io::Error::from(io::ErrorKind::TimedOut)));
        assert!(is_transient(&io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(is_transient(&io::Error::from_raw_os_error(28)));
        for word in [
            "Timeout!",
            "lost CONNECTION",
            "a temporary thing",
            "service unavailable",
        ] {
            assert!(is_transient(&Link(word.to_owned().leak(), None)), "{word}");
        }
        assert!(!is_transient(&"x".parse::<i32>().unwrap_err()));
        assert!(!is_transient(&Link("no such key", None)));
        assert!(!is_transient(&io::Error::new(
            io::ErrorKind::InvalidData,
            "bad header"
        )));
    }

    #[tokio::test]
    async fn time_outs_are_transient_in_their_own_words() {
        let never = std::future::pending::<()>();
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, never)
            .await
            .unwrap_err();
        assert!(is_transient(&elapsed), "{elapsed}");
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let silent = receiver.recv_timeout(std::time::Duration::ZERO).unwrap_err();
        drop(sender);
        assert!(is_transient(&silent), "{silent}");
        let wrapped = Link(
            "error sending request for url",
            Some(Box::new(Link("operation timed out", None))),
        );
        assert!(is_transient(&wrapped));
    }

    #[test]
    fn a_transient_source_makes_the_whole_transient() {
        let io = Box::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_transient(&Link(
            "cannot fetch",
            Some(Box::new(Link("cannot send", Some(io))))
        )));
        assert!(!is_transient(&Link(
            "cannot fetch",
            Some(Box::new(Link("bad value", None)))
        )));
    }
}
