//! `longshore token`, `longshore audit` and `longshore job link`.

use longshore_core::access::{AuditEntry, Token};
use longshore_core::clock::short_time;
use longshore_core::{Clock, SystemClock, Timestamp};
use longshore_gateway::{TokenError, WatchAllows, WatchLinkError};
use longshore_service::duration;
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::args::access;
use crate::dlq::confirm;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Column, Format, Give, Out, plain, warn};

/// `longshore token`
///
/// # Errors
/// When a token cannot be made, is unknown, or the store does not answer.
pub(crate) async fn token(fleet: &Fleet, command: access::Token, out: &mut Out) -> Result<(), Failure> {
    match command {
        access::Token::Create {
            name,
            role,
            expires_in,
        } => {
            let lifetime = expires_in.map(|text| duration::parse(&text)).transpose();
            let lifetime = lifetime.map_err(|error| Failure::usage(format!("--expires-in: {error}")))?;
            let (token, secret) = fleet.create_token(&name, role, lifetime).await?;
            match out.format {
                Format::Table => {
                    out.line(&secret)?;
                    warn("Keep it now: it is not shown again. Revoke it with:");
                    warn(format!("  longshore token revoke {}", token.id));
                }
                Format::Json | Format::Jsonl => {
                    let mut all = document(&token);
                    if let Value::Object(all) = &mut all {
                        all.insert("secret".to_owned(), json!(secret));
                    }
                    out.json(&all)?;
                }
            }
            Ok(())
        }
        access::Token::Ls => list(&fleet.tokens().await?, out),
        access::Token::Revoke { id } => {
            if !fleet.revoke_token(id).await? {
                let problem = format!("no token has the id {id}; list them with `longshore token ls`");
                return Err(Failure::new(ExitCode::NotFound, problem));
            }
            Ok(match out.format {
                Format::Table => out.line(format!("{id}  revoked")),
                Format::Json | Format::Jsonl => out.json(&json!({ "id": id.to_string(), "revoked": true })),
            }?)
        }
        access::Token::RotateKey { yes } => {
            confirm("end every session and watch link".to_owned(), yes).await?;
            fleet.rotate_key().await?;
            Ok(match out.format {
                Format::Table => out.line("the key is replaced; gateways that run take it within 10 s"),
                Format::Json | Format::Jsonl => out.json(&json!({ "rotated": true })),
            }?)
        }
    }
}

fn list(tokens: &[Token], out: &mut Out) -> Result<(), Failure> {
    if tokens.is_empty() && out.format == Format::Table {
        warn("There are no tokens; make one with `longshore token create NAME --role ROLE`.");
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = tokens.iter().map(document).collect();
    let head = [
        Column::new("ID", Give::Nothing),
        Column::new("NAME", Give::DownTo(10)),
        Column::new("ROLE", Give::Nothing),
        Column::new("MADE", Give::All(0)),
        Column::new("EXPIRES", Give::Nothing),
    ];
    let cells = tokens.iter().map(|token| {
        vec![
            token.id.to_string(),
            plain(&token.name),
            token.role.to_string(),
            format!(
                "{} ago by {}",
                short_time(now.since(token.created_at)),
                plain(&token.created_by)
            ),
            expiry(token, now),
        ]
    });
    Ok(out.rows(&head, &rows, cells)?)
}

fn expiry(token: &Token, now: Timestamp) -> String {
    match token.expires_at {
        None => "never".to_owned(),
        Some(at) if at <= now => "expired".to_owned(),
        Some(at) => format!("in {}", short_time(at.since(now))),
    }
}

fn document(token: &Token) -> Value {
    json!({
        "id": token.id.to_string(),
        "name": token.name,
        "role": token.role,
        "created_at_ms": token.created_at,
        "created_by": token.created_by,
        "expires_at_ms": token.expires_at,
    })
}

/// `longshore audit ls`
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn audit(fleet: &Fleet, command: access::Audit, out: &mut Out) -> Result<(), Failure> {
    let access::Audit::Ls { before, limit } = command;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let lines = fleet.audit(before, limit).await?;
    if lines.is_empty() && out.format == Format::Table {
        warn(
            "Nothing that is kept here was done through the gateway: jobs cancelled, requeued, edited or discarded, queues, cron entries, tokens.",
        );
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = lines.iter().map(line).collect();
    let head = [
        Column::new("WHEN", Give::Nothing),
        Column::new("WHO", Give::DownTo(8)),
        Column::new("WHAT", Give::Nothing),
        Column::new("SUBJECT", Give::DownTo(16)),
        Column::new("DETAIL", Give::DownTo(10)),
    ];
    let cells = lines.iter().map(|entry| {
        vec![
            format!("{} ago", short_time(now.since(entry.at))),
            plain(&entry.note.who),
            plain(&entry.note.action),
            plain(&entry.note.subject),
            plain(&entry.note.detail),
        ]
    });
    out.rows(&head, &rows, cells)?;
    if let Some(last) = lines.last().filter(|_| lines.len() == limit) {
        warn(format!("There may be more. Go on with --before {}.", last.seq));
    }
    Ok(())
}

fn line(entry: &AuditEntry) -> Value {
    json!({
        "seq": entry.seq,
        "at_ms": entry.at,
        "who": entry.note.who,
        "action": entry.note.action,
        "subject": entry.note.subject,
        "detail": entry.note.detail,
        "request_id": entry.note.request_id,
    })
}

/// `longshore job link`
///
/// # Errors
/// When the job is unknown, the time is out of range, or the store does not answer.
pub(crate) async fn link(fleet: &Fleet, options: &access::Link, out: &mut Out) -> Result<(), Failure> {
    let lifetime = duration::parse(&options.expires_in)
        .map_err(|error| Failure::usage(format!("--expires-in: {error}")))?;
    let id = options.id.find(fleet).await?;
    let allows = WatchAllows {
        cancel: options.cancel,
        error: options.error,
    };
    let (text, expires_at) = fleet.link(id, allows, lifetime).await?;
    Ok(match out.format {
        Format::Table => out.line(&text),
        Format::Json | Format::Jsonl => out.json(&json!({
            "job_id": id.to_string(),
            "token": text,
            "expires_at_ms": expires_at,
        })),
    }?)
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(error) => longshore::ClientError::from(error).into(),
            other => Self::from_error(ExitCode::Usage, &other),
        }
    }
}

impl From<WatchLinkError> for Failure {
    fn from(error: WatchLinkError) -> Self {
        match error {
            WatchLinkError::Store(error) => longshore::ClientError::from(error).into(),
            other => Self::from_error(ExitCode::Usage, &other),
        }
    }
}
