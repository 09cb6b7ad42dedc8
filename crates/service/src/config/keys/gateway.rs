//! `[gateway]`

use super::{DAY, Key, Kind, SECOND, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "gateway.listen",
        Kind::Text("address and port"),
        "127.0.0.1:8080",
        "Where the gateway serves; `0.0.0.0:8080` for every address.",
    ),
    key(
        "gateway.dashboard",
        Kind::Switch,
        "true",
        "Serve the dashboard, or the API alone.",
    ),
    key(
        "gateway.base_path",
        Kind::Text("path"),
        "",
        "The path below which everything is served, such as `/longshore`, where a proxy hands on a part of a site.",
    ),
    key(
        "gateway.public_url",
        Kind::Text("URL (http, https)"),
        "",
        "How browsers reach the gateway, where a proxy asks it by another name. With `https` the session's cookie travels by TLS alone.",
    ),
    key(
        "gateway.trace_url",
        Kind::Text("URL (http, https)"),
        "",
        "Where a job's trace can be looked at, with `{trace_id}` for its id, such as `https://tempo.example/trace/{trace_id}`: the job's page links to it.",
    ),
    key(
        "gateway.cors_origins",
        Kind::Texts("origins"),
        "",
        "Origins, such as `https://shop.example`, whose pages may use watch links.",
    ),
    key(
        "gateway.trust_forwarded",
        Kind::Switch,
        "false",
        "Believe `X-Forwarded-For` and `X-Forwarded-Proto`: only behind a proxy that sets them.",
    ),
    key(
        "gateway.session_lifetime",
        Kind::Time(60 * SECOND, 30 * DAY),
        "12h",
        "How long a browser's session lasts; its token's own end and revocation end it before.",
    ),
    key(
        "gateway.rate_limit",
        Kind::Count(0, 1_000_000),
        "100",
        "Requests a second of one token, or of one address without any; twice as many at once. 0 for any number.",
    ),
    key(
        "gateway.streams_max",
        Kind::Count(0, 1_000_000),
        "500",
        "Event streams and long polls at once of one token, session or watch link, and of one address with watch links. 0 for any number.",
    ),
    key(
        "gateway.body_bytes_max",
        Kind::Count(1_024, 256 * 1_024 * 1_024),
        "4194304",
        "Largest body of a request, in bytes.",
    ),
    key(
        "gateway.connections_max",
        Kind::Count(1, 1_000_000),
        "2048",
        "Connections at once; more wait.",
    ),
    key(
        "gateway.connections_per_address",
        Kind::Count(0, 1_000_000),
        "1024",
        "Connections at once of one address; more are refused with 429. 0 for any number, and for behind a proxy (`trust_forwarded` says that there is one).",
    ),
    key(
        "gateway.request_timeout",
        Kind::Time(SECOND, 3_600 * SECOND),
        "30s",
        "How long a request may take, its body included; long polls and event streams take their time besides.",
    ),
    key(
        "gateway.hide",
        Kind::Texts("field paths"),
        "",
        "Fields of jobs that not everybody sees: paths that begin with `args`, `result`, `metadata`, `error`, `history`, `progress` or `log`, such as `args.card.number` or `args.*.email`; `ROLE:PATH` names the lowest role that sees it, admin unless said.",
    ),
    key(
        "gateway.oidc.issuer",
        Kind::Text("URL (https)"),
        "",
        "The OpenID provider through which people sign in, besides tokens: what it calls itself, letter by letter. Unset for none.",
    ),
    key(
        "gateway.oidc.client_id",
        Kind::Text("text"),
        "",
        "What the provider calls this gateway.",
    ),
    key(
        "gateway.oidc.client_secret",
        Kind::Secret,
        "",
        "What the gateway shows to the provider; unset for a public client.",
    ),
    key(
        "gateway.oidc.scopes",
        Kind::Texts("scopes"),
        "email,profile",
        "What is asked for besides `openid`; with some providers `groups` is a scope of its own.",
    ),
    key(
        "gateway.oidc.role_claim",
        Kind::Text("claim"),
        "groups",
        "The claim that gives people their roles: a text or a list of texts. Dots lead into objects: `realm_access.roles`. `email` counts only where it is verified.",
    ),
    key(
        "gateway.oidc.roles",
        Kind::Texts("role rules"),
        "",
        "What the values of that claim give, as `ROLE:VALUE`: `admin:platform-team`. The highest role counts; whoever has none is refused.",
    ),
    key(
        "gateway.oidc.name_claim",
        Kind::Text("claim"),
        "email",
        "What people are called in the audit log; `sub` where it is missing. Choose one that they cannot change themselves.",
    ),
    key(
        "gateway.oidc.label",
        Kind::Text("text"),
        "Sign in with single sign-on",
        "What the button on the login page says.",
    ),
];
