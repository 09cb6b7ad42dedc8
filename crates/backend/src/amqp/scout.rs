//! Finding out whether a quorum queue answers, without harm to those that do.
//!
//! A quorum queue without a leader looks empty to a passive declaration (RabbitMQ answers 0 messages, 0 consumers for a
//! queue that it cannot ask), and whoever consumes from it loses the whole connection: at once when the queue's process
//! is gone, after a minute when it has no leader, and closing the channel meanwhile hangs. Measured on 3.10. So a
//! number above 0 is taken for a sign of life, and any other queue is asked on a connection that nobody else uses:
//! `basic.get` passes the leader and its followers, and leaves an empty queue as it is. A message that it takes goes
//! back to the head of its queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::Connection;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::declare::{Found, forbidden, is_not_found};
use super::dial::Dialer;
use super::pauses::Pauses;
use crate::config::Profile;

/// How long a queue may take to answer before it counts as sick.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a polite goodbye may take. A hung channel prevents one.
const GOODBYE: Duration = Duration::from_secs(1);
/// First and longest pause between two questions to a queue that does not answer, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Connections for asking that are open at once in this process.
const CONNECTIONS_MAX: usize = 4;

/// What a queue that was asked has come to. One that stays silent says nothing.
#[derive(Debug)]
struct Said {
    name: String,
    /// What the broker said to a user who may not read it: whether the queue answers is not known then.
    forbidden: Option<String>,
}

/// Queues by what they said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Those that answered.
    pub(super) answering: BTreeSet<String>,
    /// Those that the user may not read, with the broker's words.
    pub(super) forbidden: BTreeMap<String, String>,
}

/// Asks queues, and remembers those that failed.
#[derive(Debug)]
pub(super) struct Scout {
    dialer: Dialer,
    profile: Profile,
    permits: Semaphore,
    /// Queues that failed under a consumer: their numbers prove nothing. At most one entry for each broker queue.
    suspects: Mutex<BTreeSet<String>>,
}

impl Scout {
    pub(super) fn new(dialer: Dialer, profile: Profile) -> Self {
        Self {
            dialer,
            profile,
            permits: Semaphore::new(CONNECTIONS_MAX),
            suspects: Mutex::default(),
        }
    }

    /// Whether a queue is certain to answer. A classic queue always is: its own process told the numbers.
    pub(super) fn is_certain(&self, name: &str, found: Found) -> bool {
        self.profile == Profile::Classic || (found.is_alive() && !self.suspects.lock().contains(name))
    }

    /// A consumer of this queue could not be opened: only an answer clears it.
    pub(super) fn suspect(&self, name: &str) {
        if self.profile == Profile::Quorum {
            self.suspects.lock().insert(name.to_owned());
        }
    }

    /// Asks each queue once.
    pub(super) async fn answers(&self, names: &[&str]) -> Answers {
        let (told, mut said) = mpsc::channel::<Said>(names.len().max(1));
        self.ask_all(names, &told).await;
        drop(told);
        let mut answers = Answers::default();
        while let Some(Said { name, forbidden }) = said.recv().await {
            match forbidden {
                Some(reason) => {
                    answers.forbidden.insert(name, reason);
                }
                None => {
                    answers.answering.insert(name);
                }
            }
        }
        answers
    }

    /// Asks until every queue has answered; tells each that does, and each that this user may not read: whoever consumes
    /// it learns that from the broker. Ends early when nobody listens any more.
    async fn ask_until_all_answer(&self, mut names: Vec<String>, told: mpsc::Sender<String>) {
        let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
        let mut is_reported = false;
        loop {
            let asked: Vec<&str> = names.iter().map(String::as_str).collect();
            let (tell, mut answers) = mpsc::channel::<Said>(asked.len().max(1));
            let forward = async {
                let mut answered = BTreeSet::new();
                while let Some(Said { name, forbidden }) = answers.recv().await {
                    if is_reported && forbidden.is_none() {
                        tracing::info!(queue = %name, "the broker's queue answers again");
                    }
                    answered.insert(name.clone());
                    // Whoever listened is gone; the check below ends this.
                    drop(told.send(name).await);
                }
                answered
            };
            let ask = async {
                self.ask_all(&asked, &tell).await;
                drop(tell);
            };
            let ((), answered) = tokio::join!(ask, forward);
            names.retain(|name| !answered.contains(name));
            if names.is_empty() || told.is_closed() {
                return;
            }
            if !std::mem::replace(&mut is_reported, true) {
                tracing::warn!(queues = ?names, "queues of the broker do not answer; the others are served, these are asked again");
            }
            tokio::time::sleep(pauses.next()).await;
        }
    }

    /// Asks together first. One that fails takes the connection along, so those without an answer are asked alone.
    async fn ask_all(&self, names: &[&str], told: &mpsc::Sender<Said>) {
        let silent = self.ask(names, told).await;
        if names.len() > 1 && !silent.is_empty() {
            join_all(
                silent
                    .iter()
                    .map(|name| self.ask(std::slice::from_ref(name), told)),
            )
            .await;
        }
    }

    /// Asks on one connection. Answers those that were silent.
    async fn ask<'a>(&self, names: &[&'a str], told: &mpsc::Sender<Said>) -> Vec<&'a str> {
        let Ok(_permit) = self.permits.acquire().await else {
            return names.to_vec();
        };
        let connection = match self.dialer.dial().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(%error, "no connection to ask queues on");
                return names.to_vec();
            }
        };
        let asked = names.iter().map(async |name| {
            let answered = tokio::time::timeout(ANSWER, get(&connection, name)).await;
            let forbidden = match answered {
                Ok(Err(error)) if !is_not_found(&error) => {
                    let Some(reason) = forbidden(&error) else {
                        tracing::debug!(queue = name, %error, "a queue failed");
                        return Some(*name);
                    };
                    Some(reason)
                }
                // That it was deleted is an answer too: whoever consumes it now ends, and has it made anew.
                Ok(_) => None,
                Err(_) => return Some(*name),
            };
            if forbidden.is_none() {
                self.suspects.lock().remove(*name);
            }
            let name = (*name).to_owned();
            drop(told.send(Said { name, forbidden }).await);
            None
        });
        let silent = join_all(asked).await.into_iter().flatten().collect();
        let goodbye = connection.close(200, "asked".into());
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
        silent
    }
}

async fn get(connection: &Connection, name: &str) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    if let Some(message) = channel.basic_get(name.into(), BasicGetOptions::default()).await? {
        let requeue = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        message.acker.nack(requeue).await?;
    }
    Ok(())
}

/// Queues that are asked in the background until they answer; dropping this stops it.
#[derive(Debug)]
pub(super) struct Asked {
    answers: mpsc::Receiver<String>,
    task: JoinHandle<()>,
}

impl Asked {
    pub(super) fn start(scout: std::sync::Arc<Scout>, names: Vec<String>) -> Self {
        let (told, answers) = mpsc::channel(names.len().max(1));
        Self {
            answers,
            task: tokio::spawn(async move {
                if !names.is_empty() {
                    scout.ask_until_all_answer(names, told).await;
                }
            }),
        }
    }

    /// The next queue that answers; `None` once all have.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.answers.recv().await
    }

    pub(super) fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<String>> {
        self.answers.poll_recv(cx)
    }

    /// Asks no more.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.stop();
    }
}
