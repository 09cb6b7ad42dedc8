//! Signing in through an OpenID provider: the code flow with PKCE. What must be remembered between the two halves is in a
//! signed cookie, so that any replica can finish what another has begun.

mod attempt;
pub(crate) mod flow;
mod provider;
mod role;

use std::time::Duration;

use url::{Host, Url};

pub use role::{InvalidRoleRule, RoleRule};

use super::tokens::SecretText;
pub(crate) use provider::Provider;

/// How long somebody may take at the provider.
const ATTEMPT_MAX: Duration = Duration::from_secs(600);
/// How far the provider's clock may be from ours.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// The OpenID provider through which people sign in, and what they may then.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// What the provider calls itself; `/.well-known/openid-configuration` below it describes it.
    pub issuer: Url,
    /// What it knows this gateway by.
    pub client_id: String,
    /// What this gateway shows to the provider; `None` for a public client, which has PKCE alone.
    pub client_secret: Option<SecretText>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that is looked up in `roles`: a text or a list of texts. Dots lead into objects.
    pub role_claim: String,
    /// The claim that people are called by; `sub` where it is missing.
    pub name_claim: String,
    /// Which values of the claim give which role. Whoever has none of them is refused.
    pub roles: Vec<RoleRule>,
    /// What the button on the login page says.
    pub label: String,
}

impl OidcSettings {
    /// What is wrong with the settings: the key below `gateway.oidc`, and the problem with its fix.
    pub(crate) fn check(&self, public_url: Option<&Url>) -> Result<(), (&'static str, String)> {
        if !is_safe(&self.issuer) {
            let problem = "must begin with https:// (http:// only for this machine itself): keys and the client's secret \
                           travel on it";
            return Err(("gateway.oidc.issuer", problem.to_owned()));
        }
        if self.client_id.is_empty() {
            let problem = "is missing; set it to what the provider calls this client";
            return Err(("gateway.oidc.client_id", problem.to_owned()));
        }
        if self.roles.is_empty() {
            let problem =
                "is empty, so nobody could sign in; map a group to a role, such as admin:platform-team";
            return Err(("gateway.oidc.roles", problem.to_owned()));
        }
        if public_url.is_none() {
            let problem = "is missing; the provider sends browsers back to it, so set it to the gateway's address, such \
                           as https://jobs.example";
            return Err(("gateway.public_url", problem.to_owned()));
        }
        Ok(())
    }
}

fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}
