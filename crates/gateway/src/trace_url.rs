//! Where a job's trace can be looked at.

use url::Url;

/// Stands for the trace's id.
const PLACE: &str = "{trace_id}";

/// An address of somebody else's, with a place for the id of a trace: `https://tempo.example/trace/{trace_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl(String);

/// A text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" leads to no trace; use a URL with {{trace_id}} in it, such as https://tempo.example/trace/{{trace_id}}"
)]
pub struct InvalidTraceUrl(String);

impl std::str::FromStr for TraceUrl {
    type Err = InvalidTraceUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Self(text.to_owned());
        // The place must not choose the site.
        let of = |id: &str| Url::parse(&url.with(id)).ok();
        let good = match (of("0"), of("1")) {
            (Some(one), Some(two)) => {
                matches!(one.scheme(), "http" | "https")
                    && one.origin() == two.origin()
                    && one.has_host()
                    && text.contains(PLACE)
            }
            _ => false,
        };
        if good {
            Ok(url)
        } else {
            Err(InvalidTraceUrl(text.chars().take(128).collect()))
        }
    }
}

impl TraceUrl {
    /// The address of a trace; `None` for what is no id of one.
    pub(crate) fn of(&self, trace_id: &str) -> Option<String> {
        let is_id = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| self.with(trace_id))
    }

    fn with(&self, id: &str) -> String {
        self.0.replace(PLACE, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_with_a_place_for_the_id_is_taken() {
        for good in [
            "https://tempo.example/trace/{trace_id}",
            "http://127.0.0.1:16686/trace/{trace_id}?x={trace_id}",
            "https://grafana.example/explore?left=%5B%22{trace_id}%22%5D#top",
        ] {
            assert!(good.parse::<TraceUrl>().is_ok(), "{good}");
        }
        for wrong in [
            "",
            "https://tempo.example/trace/",
            "tempo.example/{trace_id}",
            "javascript:alert('{trace_id}')",
            "https://{trace_id}.example/",
        ] {
            assert!(wrong.parse::<TraceUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_an_id_of_a_trace_gets_into_the_address() {
        let url: TraceUrl = "https://tempo.example/trace/{trace_id}".parse().unwrap();
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(url.of(id).unwrap(), format!("https://tempo.example/trace/{id}"));
        assert_eq!(url.of("../../x"), None);
        assert_eq!(url.of(""), None);
    }
}
