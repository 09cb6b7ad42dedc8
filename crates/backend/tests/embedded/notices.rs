//! Notices and the mailbox over a restart.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::Ports;
use longshore_core::port::notify::{MailboxChange, Notices};

use crate::rig::{finish, open, published, start};

async fn die(ports: &Ports) {
    let job = published(ports, |_| {}).await;
    start(ports, job.id, 1, 1).await;
    let error = ErrorInfo::new("Broken", "it broke");
    finish(ports, job.id, 1, Outcome::Failed { error }).await;
}

async fn notices(ports: &Ports) -> Vec<Notices> {
    let mut all = Vec::new();
    for shard in ports.enqueue.shards().all() {
        all.push(ports.notify.notices(shard, 100).await.unwrap());
    }
    all
}

fn numbers(notices: &[Notices]) -> Vec<Vec<u64>> {
    let of = |notices: &Notices| notices.rows.iter().map(|(number, _)| *number).collect();
    notices.iter().map(of).collect()
}

#[tokio::test]
async fn a_folder_opened_again_has_its_notices_and_mailbox_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    for shard in ports.enqueue.shards().all() {
        let day = Duration::from_secs(86_400);
        ports.notify.want_notices(shard, day).await.unwrap();
    }
    for _ in 0..12 {
        die(&ports).await;
    }
    let before = notices(&ports).await;
    for (shard, notices) in (0..).zip(&before) {
        ports.notify.notices_taken(shard, notices.epoch, 1).await.unwrap();
    }
    let left = notices(&ports).await;
    let change = MailboxChange {
        version: None,
        put: vec![("a".to_owned(), Bytes::from_static(b"1"))],
        delete: Vec::new(),
    };
    ports.notify.change_mailbox(change).await.unwrap();
    store.close().unwrap();

    let store = open(folder.path());
    let ports = store.ports();
    assert_eq!(notices(&ports).await, left);
    let mailbox = ports.notify.mailbox().await.unwrap();
    assert_eq!(mailbox.entries["a"], Bytes::from_static(b"1"));
    for _ in 0..12 {
        die(&ports).await;
    }
    for numbers in numbers(&notices(&ports).await) {
        let first = numbers.first().copied().unwrap_or(2);
        let expected: Vec<_> = (first..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "no number twice, none left out");
        assert!(first > 1, "what was taken stays taken");
    }
    store.close().unwrap();
}
