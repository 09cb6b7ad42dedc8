//! Leases over shards: they only save duplicate work.

use std::time::Duration;

use super::rig::Rig;

cases! { Leases:
    a_shard_is_leased_to_one_holder,
    a_holder_renews_what_it_has,
    leases_end_unless_renewed,
    released_leases_are_free_at_once,
}

const TTL: Duration = Duration::from_secs(30);

async fn lease(rig: &Rig, holder: &str, want: usize) -> Vec<u16> {
    let mut shards = rig
        .ports
        .schedule
        .lease_shards(holder.to_owned(), want, TTL)
        .await
        .unwrap();
    shards.sort_unstable();
    shards
}

fn all(rig: &Rig) -> Vec<u16> {
    rig.ports.enqueue.shards().all().collect()
}

async fn a_shard_is_leased_to_one_holder(rig: Rig) {
    let some = all(&rig).len() / 2;
    let one = lease(&rig, "one", some).await;
    assert_eq!(one.len(), some);
    let two = lease(&rig, "two", all(&rig).len()).await;
    let mut both = [one, two].concat();
    both.sort_unstable();
    assert_eq!(both, all(&rig));
}

async fn a_holder_renews_what_it_has(rig: Rig) {
    let one = lease(&rig, "one", 1).await;
    for _ in 0..4 {
        rig.pass_secs(20).await;
        assert_eq!(lease(&rig, "one", 1).await, one);
    }
    assert!(!lease(&rig, "two", all(&rig).len()).await.contains(&one[0]));
}

async fn leases_end_unless_renewed(rig: Rig) {
    lease(&rig, "one", all(&rig).len()).await;
    assert_eq!(lease(&rig, "two", 1).await, Vec::<u16>::new());
    rig.pass_secs(31).await;
    assert_eq!(lease(&rig, "two", all(&rig).len()).await, all(&rig));
    assert_eq!(lease(&rig, "one", 1).await, Vec::<u16>::new());
}

async fn released_leases_are_free_at_once(rig: Rig) {
    lease(&rig, "one", all(&rig).len()).await;
    rig.ports.schedule.release_shards("two".to_owned()).await.unwrap();
    assert_eq!(lease(&rig, "two", 1).await, Vec::<u16>::new());
    rig.ports.schedule.release_shards("one".to_owned()).await.unwrap();
    assert_eq!(lease(&rig, "two", all(&rig).len()).await, all(&rig));
}
