//! One mail to several recipients over SMTP: one that is refused does not keep it from the others.

use std::time::Duration;

use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A mail server, and how to reach it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) credentials: Option<Credentials>,
    /// How long one step may take.
    pub(crate) timeout: Duration,
}

/// A recipient that the server refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) to: String,
    pub(crate) error: Error,
}

/// What came of a mail that the server took, or that it refused for every recipient.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// Who gets it.
    pub(crate) accepted: Vec<String>,
    pub(crate) refused: Vec<Refused>,
}

impl Server {
    /// Brings a mail to those of these recipients that the server accepts. It is sent once: the server has it for all of
    /// them or for none.
    pub(crate) async fn bring(
        &self,
        from: &Mailbox,
        to: &[&Mailbox],
        mail: &Message,
    ) -> Result<Delivered, Error> {
        // A connection for each letter: letters are few.
        let mut connection = self.connect().await?;
        let bytes = mail.formatted();
        let delivered = converse(&mut connection, from, to, &bytes).await;
        // Accepted is accepted, whatever becomes of the goodbye.
        tokio::spawn(async move { tokio::time::timeout(GOODBYE, connection.abort()).await });
        delivered
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let hello = ClientId::default();
        let wrapper = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &hello, wrapper, None).await?;
        if let Tls::Required(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    from: &Mailbox,
    to: &[&Mailbox],
    bytes: &[u8],
) -> Result<Delivered, Error> {
    let is_ascii = |mailbox: &Mailbox| mailbox.email.to_string().is_ascii();
    let mut parameters = Vec::new();
    let info = connection.server_info();
    if !(is_ascii(from) && to.iter().all(|to| is_ascii(to))) && info.supports_feature(Extension::SmtpUtfEight)
    {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !bytes.is_ascii() && info.supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection
        .command(Mail::new(Some(from.email.clone()), parameters))
        .await?;
    let mut delivered = Delivered::default();
    for recipient in to {
        let address = recipient.email.to_string();
        match connection
            .command(Rcpt::new(recipient.email.clone(), Vec::new()))
            .await
        {
            Ok(_) => delivered.accepted.push(address),
            // An answer about this recipient; without one the connection is gone.
            Err(error) if error.status().is_some() => {
                let to = address;
                delivered.refused.push(Refused { to, error });
            }
            Err(error) => return Err(error),
        }
    }
    if !delivered.accepted.is_empty() {
        connection.command(Data).await?;
        connection.message(bytes).await?;
    }
    Ok(delivered)
}
