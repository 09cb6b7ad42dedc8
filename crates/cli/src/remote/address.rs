//! Where a gateway is.

use longshore_service::config::Secret;
use longshore_service::exit::ExitCode;
use url::{Host, Url};

use crate::failure::Failure;

/// Whether a text is the address of a gateway.
///
/// # Errors
/// What is wrong and the fix, without the text.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && !url.cannot_be_a_base());
    // The text is not repeated: what is no address may be a secret that came to the wrong place.
    let url = url.as_mut().ok_or(
        "is no address of a gateway: it begins with https:// (or http:// on this machine), as in \
         https://jobs.example/longshore/",
    )?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or password; leave it out, and give the token as api.token".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment; end it with the gateway's base path".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url.clone())
}

/// The address, if a token may travel there.
///
/// # Errors
/// When it is none, or the token would be read by everybody on the way.
pub(super) fn of(text: &str, token: Option<&Secret>) -> Result<Url, Failure> {
    let url = parse(text).map_err(|problem| config(&format!("api.url: {problem}")))?;
    if url.scheme() == "http" && token.is_some() && !is_loopback(&url) {
        return Err(config(&format!(
            "api.url: http would show api.token to everybody on the way to {}; use https, or a tunnel to 127.0.0.1",
            url.host_str().unwrap_or_default()
        )));
    }
    Ok(url)
}

/// Whether what is sent stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn config(problem: &str) -> Failure {
    Failure::new(ExitCode::Config, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_with_a_slash_and_has_no_secret() {
        assert_eq!(parse("https://h/a").unwrap().as_str(), "https://h/a/");
        for wrong in [
            "ftp://h",
            "h:80",
            "https://u:s3cret@h",
            "https://h/?s3cret",
            "s3cret",
        ] {
            let problem = check(wrong).unwrap_err();
            assert!(!problem.contains("s3cret"), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_token_travels_in_the_clear_on_this_machine_alone() {
        let token = Secret::new("lsk_s3cret");
        for fine in [
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost",
            "https://jobs.example",
        ] {
            assert!(of(fine, Some(&token)).is_ok(), "{fine}");
        }
        let refused = of("http://jobs.example/x", Some(&token)).unwrap_err();
        assert_eq!(refused.code, ExitCode::Config);
        assert!(refused.message.contains("use https"), "{}", refused.message);
        assert!(!refused.message.contains("s3cret"), "{}", refused.message);
        assert!(of("http://jobs.example", None).is_ok(), "nothing is shown");
    }
}
