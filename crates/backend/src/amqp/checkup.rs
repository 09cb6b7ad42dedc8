//! A look at the broker for `longshore doctor`: what exists, what differs from what this version declares, and whether it
//! takes messages. What AMQP does not show is left out: policies, the consumer time-out, how full disk and memory are.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, Connection, ExchangeKind};
use longshore_core::name::QueueName;
use longshore_core::port::broker::Depth;
use tokio::time::Instant;

use super::declare::{Declarer, Scratch, Waiting, answered, forbidden, is_not_found};
use super::dial::Dialer;
use super::scout::Scout;
use super::topology::{self, Exchange, Queue};
use super::{Config, Error, RPC_TIMEOUT};
use rights::{Right, Rights};

use crate::checkup::{Finding, ServerReport, Severity};

mod rights;
mod version;

/// Round trips of which the median is told.
const TRIPS: usize = 5;
/// A round trip that is slower than this holds every enqueue up.
const SLOW: Duration = Duration::from_millis(100);
/// The oldest broker that has what the topology needs.
const VERSION_MIN: (u64, u64) = (3, 10);
/// How long the broker may take to answer for the probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the broker.
pub(crate) async fn examine(config: &Config, queues: &[QueueName], repair: bool) -> ServerReport {
    let mut report = ServerReport::new("RabbitMQ", &config.url);
    let dialled = match Dialer::new(config, "doctor") {
        Ok(dialer) => dialer.dial().await.map(|connection| (dialer, connection)),
        Err(error) => Err(error),
    };
    let (dialer, connection) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => {
            lost(&mut report, &error);
            return report;
        }
    };
    report.version = version::of(&config.url).await;
    judge_version(&mut report);
    let mut look = Look {
        connection: &connection,
        declarer: Declarer::new(config.profile, config.shards),
        scout: Scout::new(dialer, config.profile),
        repair,
        rights: Rights::default(),
        report: &mut report,
    };
    let looked = look.all(config, queues).await;
    let rights = std::mem::take(&mut look.rights);
    if let Err(error) = looked {
        lost(&mut report, &error);
    }
    rights.tell(config.url.user(), &mut report);
    drop(tokio::time::timeout(RPC_TIMEOUT, connection.close(200, "looked".into())).await);
    report
}

fn lost(report: &mut ServerReport, error: &Error) {
    report.find(
        Severity::Error,
        error.to_string(),
        "jobs reach workers through RabbitMQ: what is enqueued meanwhile waits in Redis, and nothing starts",
        "start RabbitMQ, or correct amqp_url",
    );
}

fn judge_version(report: &mut ServerReport) {
    let Some(version) = report.version.clone() else {
        return;
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found: (u64, u64) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < VERSION_MIN {
        report.find(
            Severity::Error,
            format!("RabbitMQ {version} is too old"),
            "it lacks dead-lettering that loses nothing",
            "install RabbitMQ 3.10 or newer",
        );
    }
}

struct Look<'a> {
    connection: &'a Connection,
    declarer: Declarer,
    scout: Scout,
    repair: bool,
    /// What the user may not do.
    rights: Rights,
    report: &'a mut ServerReport,
}

impl Look<'_> {
    async fn all(&mut self, config: &Config, queues: &[QueueName]) -> Result<(), Error> {
        self.measure().await?;
        let mut scratch = Scratch::new(self.connection);
        for exchange in topology::exchanges(config.shards) {
            self.exchange(&mut scratch, &exchange).await?;
        }
        for queue in topology::dead_letter_queues(config.profile) {
            self.queue(&mut scratch, &queue, Severity::Error).await?;
        }
        for logical in queues {
            for queue in topology::queues(config.profile, logical) {
                let waiting = self.queue(&mut scratch, &queue, Severity::Notice).await?;
                self.report.depths.extend(waiting.map(|waiting| Depth {
                    queue: logical.clone(),
                    priority: queue.priority,
                    ready: waiting.ready,
                    consumers: waiting.consumers,
                    recreated_at: None,
                }));
            }
        }
        scratch.close().await;
        self.probe().await
    }

    async fn measure(&mut self) -> Result<(), Error> {
        let mut trips = Vec::new();
        for _ in 0..TRIPS {
            let start = Instant::now();
            let channel = answered("a channel", self.connection.create_channel()).await?;
            trips.push(start.elapsed());
            answered("a channel", channel.close(200, "done".into())).await?;
        }
        trips.sort_unstable();
        self.report.latency = trips.get(TRIPS / 2).copied();
        if let Some(slow) = self.report.latency.filter(|latency| *latency > SLOW) {
            self.report.find(
                Severity::Warning,
                format!("a round trip takes {} ms", slow.as_millis()),
                "every enqueue waits for one",
                "bring services and RabbitMQ closer together, or look for what keeps it busy (rabbitmq-diagnostics status)",
            );
        }
        Ok(())
    }

    async fn exchange(&mut self, scratch: &mut Scratch<'_>, exchange: &Exchange) -> Result<(), Error> {
        let channel = scratch.channel().await?;
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let kind = ExchangeKind::Direct;
        let looked = channel.exchange_declare(exchange.name.into(), kind, passive, FieldTable::default());
        let is_missing = match tokio::time::timeout(RPC_TIMEOUT, looked).await {
            Ok(Err(error)) => is_not_found(&error),
            _ => false,
        };
        if is_missing {
            self.missing(
                "exchange",
                exchange.name,
                Severity::Error,
                "nothing can be published until it is there",
            );
            if !self.repair {
                return Ok(());
            }
        }
        let declared = self.declarer.exchange(scratch, exchange).await;
        if is_missing {
            self.made(declared)
        } else {
            self.told(declared)
        }
    }

    async fn queue(
        &mut self,
        scratch: &mut Scratch<'_>,
        queue: &Queue,
        severity: Severity,
    ) -> Result<Option<Waiting>, Error> {
        let looked = match scratch.look(&queue.name).await {
            Err(Error::Forbidden { name, .. }) => {
                self.rights.lacks(Right::Read, &name);
                return Ok(None);
            }
            looked => looked?,
        };
        let Some(waiting) = looked else {
            let why = match severity {
                Severity::Error => "dead letters have nowhere to go",
                _ => {
                    "it is made when it is first used; when it was there before, what was in it is published again once a worker works on the queue"
                }
            };
            self.missing("queue", &queue.name, severity, why);
            if self.repair {
                let made = self.declarer.make(scratch, queue).await;
                let is_made = made.is_ok();
                self.made(made)?;
                if is_made {
                    self.asked(&queue.name).await;
                }
            }
            return Ok(None);
        };
        // A binding cannot be seen; making it again changes nothing where it is.
        let checked = if self.repair {
            self.declarer.make(scratch, queue).await
        } else {
            self.declarer.declare(scratch, queue).await
        };
        self.told(checked)?;
        if waiting.ready == 0 && waiting.consumers == 0 {
            self.asked(&queue.name).await;
        }
        if queue.name == topology::GIVEN_UP && waiting.ready > 0 {
            self.report.find(
                Severity::Warning,
                format!(
                    "{} messages that the broker gave up wait in {}",
                    waiting.ready, queue.name
                ),
                "a scheduler sorts them: jobs run again or become dead letters",
                "see that a scheduler runs (`longshore scheduler`); with one, they are gone in seconds",
            );
        }
        Ok(Some(waiting))
    }

    /// Whether a queue that shows zeros answers. Whoever may not read it gets no answer either way.
    async fn asked(&mut self, name: &str) {
        let answers = self.scout.answers(&[name]).await;
        if answers.forbidden.contains_key(name) {
            self.rights.lacks(Right::Read, name);
        } else if !answers.answering.contains(name) {
            self.report.find(
                Severity::Error,
                format!("the queue {name} does not answer"),
                "it has no leader: what is in it is out of reach until it has",
                "start the missing nodes of the cluster (rabbitmq-diagnostics check_if_node_is_quorum_critical), or delete the queue; it is made anew",
            );
        }
    }

    fn missing(&mut self, what: &str, name: &str, severity: Severity, why: &str) {
        let finding = Finding::new(
            severity,
            "RabbitMQ",
            format!("the {what} {name} is missing"),
            why,
            "`longshore doctor --fix` makes it; so does the next service that starts",
        );
        self.report.findings.push(finding);
    }

    /// What the last finding tells to be missing was made, or was not.
    fn made(&mut self, made: Result<(), Error>) -> Result<(), Error> {
        if made.is_ok()
            && let Some(missing) = self.report.findings.last_mut()
        {
            missing.repaired = true;
        }
        self.told(made)
    }

    /// What differs is a finding, and so is what the broker refuses; a lost connection ends the look.
    fn told(&mut self, checked: Result<(), Error>) -> Result<(), Error> {
        let (problem, why, fix) = match checked {
            Ok(()) => return Ok(()),
            Err(Error::Drift(drift)) => (
                format!(
                    "{}: {} is {} in RabbitMQ and {} here",
                    drift.name, drift.argument, drift.found, drift.wanted
                ),
                "what was made otherwise may lose messages, and services refuse to start on it",
                drift.fix,
            ),
            Err(error @ Error::Shards { .. }) => (
                error.to_string(),
                "messages of another installation would be taken for ours",
                "use the virtual host that belongs to this Redis".to_owned(),
            ),
            Err(Error::Forbidden { name, .. }) => {
                self.rights.lacks(Right::Declare, &name);
                return Ok(());
            }
            Err(error @ Error::Declare { .. }) => (
                error.to_string(),
                "it cannot be checked",
                "look into RabbitMQ's log".to_owned(),
            ),
            Err(lost) => return Err(lost),
        };
        self.report.find(Severity::Error, problem, why, &fix);
        Ok(())
    }

    /// Publishes what nobody has a queue for: it must come back. An alternate exchange would take it, and a broker with
    /// an alarm would not answer.
    async fn probe(&mut self) -> Result<(), Error> {
        let channel = answered("a channel", self.connection.create_channel()).await?;
        answered(
            "confirms",
            channel.confirm_select(ConfirmSelectOptions::default()),
        )
        .await?;
        let key = format!("longshore.doctor.{}", uuid::Uuid::new_v4().simple());
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        // Wherever it ends up, it is gone at once.
        let properties = BasicProperties::default().with_expiration("1".into());
        let published = async {
            channel
                .basic_publish(
                    topology::JOBS.into(),
                    key.as_str().into(),
                    mandatory,
                    b"probe",
                    properties,
                )
                .await?
                .await
        };
        match tokio::time::timeout(PROBE_TIMEOUT, published).await {
            Ok(Ok(Confirmation::Ack(None))) => self.report.find(
                Severity::Error,
                format!("the exchange {} has an alternate exchange", topology::JOBS),
                "jobs for a queue that is missing would be taken for delivered, and only found later",
                "take `alternate-exchange` out of the policy that sets it (rabbitmqctl list_policies)",
            ),
            Ok(Ok(_)) => {}
            // A missing exchange was told already, and closes the channel.
            Ok(Err(error)) if is_not_found(&error) => {}
            Ok(Err(error)) if forbidden(&error).is_some() => {
                self.rights.lacks(Right::Write, topology::JOBS);
            }
            Ok(Err(error)) => self.report.find(
                Severity::Error,
                format!("a message was not taken: {error}"),
                "nothing can be published",
                "look into RabbitMQ's log",
            ),
            Err(_) => self.told_of_silence(),
        }
        drop(tokio::time::timeout(Duration::from_secs(1), channel.close(200, "done".into())).await);
        Ok(())
    }

    fn told_of_silence(&mut self) {
        let (problem, fix) = if self.connection.status().blocked() {
            (
                "it blocks publishers: its memory or its disk is full",
                "see `rabbitmq-diagnostics alarms`; free disk, raise disk_free_limit or vm_memory_high_watermark",
            )
        } else {
            (
                "it took a message and did not confirm it within 5 s",
                "see `rabbitmq-diagnostics alarms`, and whether a majority of its nodes runs",
            )
        };
        self.report.find(
            Severity::Error,
            problem.to_owned(),
            "what is enqueued meanwhile waits in Redis, and is published once this is over",
            fix,
        );
    }
}
