//! Which addresses a webhook may go to. Whoever can name a URL must not reach what only this machine can: other
//! services of the network, the machine itself, the metadata of its cloud.
//!
//! A host is resolved once for each connection, every address of the answer is vetted, and the connection goes to one of
//! just those. A name that resolves to a forbidden address among others is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// An address that no webhook goes to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is not public.
    #[error(
        "{host} is {address}, {kind}; webhooks go to public addresses only: if this one is meant, add \"{address}\" to allow_addresses of the webhook"
    )]
    NotPublic {
        /// The host as it was written, or `the host`.
        host: String,
        /// Its address.
        address: IpAddr,
        /// What kind of address it is.
        kind: &'static str,
    },
    /// It is public, and what goes there goes in the clear.
    #[error(
        "{host} is {address}, and http:// would bring events and the URL there in the clear: use https://, or if it is meant, add \"{address}\" to allow_addresses of the webhook"
    )]
    InTheClear {
        /// The host as it was written, or `the host`.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// It has no host.
    #[error("has no host; use https://host/path")]
    NoHost,
}

/// Networks that a webhook may go to although they are not public. None of them is an IPv4 network that is written as
/// IPv6: such a one is read as what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<(IpAddr, u8)>);

impl Allowed {
    /// Whether an address is in one of the networks.
    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, bits)| match (*network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let host_bits = 32_u32.checked_sub(u32::from(*bits));
                let Some(host_bits) = host_bits else {
                    return false;
                };
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let host_bits = 128_u32.checked_sub(u32::from(*bits));
                let Some(host_bits) = host_bits else {
                    return false;
                };
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        })
    }
}

impl FromStr for Allowed {
    type Err = String;

    /// Reads addresses and networks, separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || {
        let shown: String = text.chars().take(64).collect();
        let shown = shown.escape_debug().to_string();
        format!("\"{shown}\" is neither an address nor a network; use 10.1.2.3, 10.0.0.0/8 or fd00::/8")
    };
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
    if bits > most {
        return Err(wrong());
    }
    match (address, plain(address)) {
        // An IPv4 network that is dressed as IPv6: its first 96 bits are the dress.
        (IpAddr::V6(_), IpAddr::V4(inner)) => {
            let bits = bits.checked_sub(96).ok_or_else(wrong)?;
            Ok((IpAddr::V4(inner), bits))
        }
        _ => Ok((address, bits)),
    }
}

/// Vets one address.
///
/// # Errors
/// When it is neither public nor allowed.
pub fn vet(host: &str, address: IpAddr, allowed: &Allowed) -> Result<(), Forbidden> {
    let address = plain(address);
    match kind(address) {
        Some(kind) if !allowed.has(address) => Err(Forbidden::NotPublic {
            host: host.to_owned(),
            address,
            kind,
        }),
        _ => Ok(()),
    }
}

/// Vets one address for a URL: without TLS it must be one that is allowed.
///
/// # Errors
/// When it is neither public nor allowed, and when it is not allowed and would be reached in the clear.
fn vet_for(is_clear: bool, host: &str, address: IpAddr, allowed: &Allowed) -> Result<(), Forbidden> {
    vet(host, address, allowed)?;
    let address = plain(address);
    if is_clear && !allowed.has(address) {
        return Err(Forbidden::InTheClear {
            host: host.to_owned(),
            address,
        });
    }
    Ok(())
}

/// Whether a URL's bytes can be read on their way.
pub(crate) fn is_clear(url: &Url) -> bool {
    url.scheme() == "http"
}

/// Vets what a URL says without asking anybody: a host that is an address in whatever writing, and the names of this
/// machine.
///
/// # Errors
/// When it cannot be public and is not allowed, and when it is an address that is not allowed and would be reached in the
/// clear.
pub fn vet_url(url: &Url, allowed: &Allowed) -> Result<(), Forbidden> {
    match url.host() {
        None => Err(Forbidden::NoHost),
        Some(Host::Ipv4(address)) => vet_for(is_clear(url), "the host", address.into(), allowed),
        Some(Host::Ipv6(address)) => vet_for(is_clear(url), "the host", address.into(), allowed),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") {
                return vet(&name, Ipv4Addr::LOCALHOST.into(), allowed);
            }
            Ok(())
        }
    }
}

/// An IPv4 address that is dressed as IPv6 is what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// What kind of address it is, when it is not public.
fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (169, 254, _) => "a link-local address, where clouds keep their metadata",
        _ if address.is_private() => "a private address",
        _ if address.is_loopback() => "this machine",
        (100, 64..=127, _) => "an address shared behind a carrier",
        (0, ..) => "an address of no host",
        _ if address.is_multicast() => "a multicast address",
        (240..=255, ..) => "a reserved address",
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18 | 19, _) | (192, 88, 99) => {
            "an address for special use"
        }
        _ => return None,
    })
}

fn kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = address.segments();
    Some(match (first, second) {
        _ if address.is_loopback() => "this machine",
        _ if address.is_multicast() => "a multicast address",
        (0xfe80..=0xfeff, _) => "a link-local address",
        (0xfc00..=0xfdff, _) => "a private address",
        // Addresses that carry an IPv4 address, which may be any: 6to4, Teredo and NAT64 are refused as a whole.
        (0x2002, _) | (0x2001, 0) | (0x0064, 0xff9b) => "an address that stands for an IPv4 address",
        (0x2001, 1..=0x01ff | 0x0db8) | (0x3fff, 0..=0x0fff) => "an address for special use",
        (0x2000..=0x3fff, _) => return None,
        _ => "a reserved address",
    })
}

/// Finds the addresses of a name.
pub type Lookup =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// The system's way to find the addresses of a name.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Resolves names for an HTTP client and lets through only what is vetted: the client connects to just these.
pub(crate) struct VettingResolver {
    pub(crate) lookup: Lookup,
    pub(crate) allowed: Allowed,
    /// What goes to the addresses can be read on its way.
    pub(crate) is_clear: bool,
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allowed) = ((self.lookup)(name.as_str().to_owned()), self.allowed.clone());
        let is_clear = self.is_clear;
        Box::pin(async move {
            let addresses = lookup.await?;
            for address in &addresses {
                vet_for(is_clear, "the host", *address, &allowed)?;
            }
            let addresses = addresses
                .into_iter()
                .map(|address| SocketAddr::new(plain(address), 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vetted(url: &str, allowed: &str) -> Result<(), Forbidden> {
        vet_url(&Url::parse(url).unwrap(), &allowed.parse().unwrap())
    }

    #[test]
    fn an_address_that_is_not_public_is_refused_however_it_is_written() {
        let refused = [
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://2852039166/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://224.0.0.1/",
            "http://240.0.0.1/",
            "http://255.255.255.255/",
            "http://192.0.2.1/",
            "http://198.18.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[::127.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[fd00:ec2::254]/",
            "http://[ff02::1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:1::1]/",
            "http://[2001:db8::1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://user:pass@127.0.0.1/",
            "http://\u{ff11}27.0.0.1/",
        ];
        for url in refused {
            assert!(vetted(url, "").is_err(), "{url}");
        }
    }

    #[test]
    fn public_addresses_and_names_pass() {
        let passing = [
            "https://hooks.slack.com/services/T/B/x",
            "https://1.1.1.1/",
            "https://172.32.0.1/",
            "https://100.63.0.1/",
            "https://[2606:4700::1111]/",
            "https://[::ffff:1.1.1.1]/",
            "http://localhost.example.com/",
        ];
        for url in passing {
            assert_eq!(vetted(url, ""), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_public_address_is_reached_in_the_clear_only_when_it_is_allowed() {
        for url in ["http://1.1.1.1/", "http://[2606:4700::1111]/"] {
            let told = vetted(url, "").unwrap_err().to_string();
            assert!(
                told.contains("https://") && told.contains("allow_addresses"),
                "{told}"
            );
            assert_eq!(vetted(url, "1.1.1.0/24, 2606:4700::/32"), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_allowed_passes_and_nothing_beside_it() {
        let allowed = "10.1.0.0/16, 127.0.0.1,fd00::/8";
        for url in [
            "http://10.1.255.9/",
            "http://127.0.0.1/",
            "http://[::ffff:10.1.2.3]/",
            "http://[fd12::1]/",
            "http://localhost/",
        ] {
            assert_eq!(vetted(url, allowed), Ok(()), "{url}");
        }
        for url in [
            "http://10.2.0.1/",
            "http://127.0.0.2/",
            "http://[fe80::1]/",
            "http://[::1]/",
        ] {
            assert!(vetted(url, allowed).is_err(), "{url}");
        }
        assert_eq!(vetted("http://192.168.0.1/", "0.0.0.0/0"), Ok(()));
    }

    #[test]
    fn an_ipv4_network_that_is_written_as_ipv6_allows_just_that_network() {
        let allowed = "::ffff:10.0.0.0/104, ::ffff:127.0.0.1";
        for url in [
            "http://10.255.0.1/",
            "http://[::ffff:10.1.2.3]/",
            "http://127.0.0.1/",
        ] {
            assert_eq!(vetted(url, allowed), Ok(()), "{url}");
        }
        for url in [
            "http://169.254.169.254/",
            "http://192.168.0.1/",
            "http://127.0.0.2/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::1]/",
        ] {
            assert!(vetted(url, allowed).is_err(), "{url}");
        }
        assert_eq!(vetted("http://192.168.0.1/", "::ffff:0.0.0.0/96"), Ok(()));
        assert!("::ffff:10.0.0.0/95".parse::<Allowed>().is_err());
    }

    #[test]
    fn a_network_with_a_typo_is_told_with_the_fix() {
        for wrong in ["10.0.0.0/33", "ten", "10.0.0", "fd00::/129", "10.0.0.0/x"] {
            let told = wrong.parse::<Allowed>().unwrap_err();
            assert!(told.contains("10.0.0.0/8"), "{wrong}: {told}");
        }
    }

    #[test]
    fn the_refusal_of_the_metadata_address_says_what_and_how_to_allow_it() {
        let told = vetted("http://169.254.169.254/", "").unwrap_err().to_string();
        assert!(
            told.contains("169.254.169.254") && told.contains("metadata") && told.contains("allow_addresses"),
            "{told}"
        );
    }
}
