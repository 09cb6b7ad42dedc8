//! Walks that no die finds: one cause each, on both stores.

use longshore_core::limits::LEASE;
use longshore_core::port::attempt::Claimed;
use longshore_core::port::schedule::LeasesExpired;

use super::*;

impl Twins {
    async fn enqueue_first(&mut self) -> NewJob {
        let plain =
            |job: &&NewJob| job.parents.is_empty() && job.run_at.is_none() && job.expires_at.is_none();
        let job = self.jobs.iter().find(plain).unwrap().clone();
        self.ask("enqueue", async |side| {
            side.ports
                .enqueue
                .enqueue(0, vec![job.clone()])
                .await
                .unwrap()
                .jobs
        })
        .await;
        job
    }

    async fn run_first(&mut self) -> (NewJob, Nonce) {
        let job = self.enqueue_first().await;
        let nonce = self.nonce();
        let claimed = self.claim_as(job.id, nonce).await;
        assert!(matches!(claimed[..], [Claimed::Run(_)]), "{claimed:?}");
        (job, nonce)
    }

    async fn claim_as(&mut self, id: JobId, nonce: Nonce) -> Vec<Claimed> {
        let claim = Claim {
            id,
            gen_: 1,
            nonce,
            worker: WorkerId("w-1".to_owned()),
        };
        self.ask("claim", async |side| {
            let claims = vec![claim.clone()];
            let (_, claimed) = side.ports.attempt.step(0, Vec::new(), claims).await.unwrap();
            plain_claims(claimed)
        })
        .await
    }

    /// The time of both stores goes back.
    fn set_back(&self, by: Duration) {
        let earlier = Timestamp(self.now().millis() - u64::try_from(by.as_millis()).unwrap());
        self.servers.clock().set(earlier);
        self.servers.pass(Duration::ZERO);
    }

    async fn sweep_leases(&mut self) -> LeasesExpired {
        self.ask("expire_leases", async |side| {
            side.ports.schedule.expire_leases(0, 10).await.unwrap()
        })
        .await
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_goes_back_stalls_a_lost_job_by_one_lease() {
    a_lost_job_after_a_step_back(&Servers::one().await).await;
}

/// The clock goes back an hour under a running job whose owner is gone.
pub(crate) async fn a_lost_job_after_a_step_back(servers: &Arc<Servers>) {
    let (mut twins, _disk) = open(servers, 1).await;
    let (job, _) = twins.run_first().await;
    twins.set_back(HOUR);
    let other = Nonce(99);
    let busy = twins.claim_as(job.id, other).await;
    assert_eq!(busy, [Claimed::Busy { retry_in: LEASE }]);
    twins.sweep_leases().await;
    let mut requeued = 0;
    for _ in 0..4 {
        twins.servers.pass(LEASE / 3);
        requeued += twins.sweep_leases().await.requeued;
    }
    assert_eq!(requeued, 1, "its owner did not beat");
    twins.compare_records().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_goes_back_stalls_a_publish_by_a_minute() {
    let servers = Servers::one().await;
    let (mut twins, _disk) = open(&servers, 2).await;
    let job = twins.enqueue_first().await;
    twins.set_back(HOUR);
    let mut leased = Vec::new();
    for _ in 0..8 {
        leased.extend(
            twins
                .ask("lease_outbox", async |side| {
                    plain(side.ports.schedule.lease_outbox(0, 10).await.unwrap())
                })
                .await
                .jobs,
        );
        twins.servers.pass(Duration::from_secs(10));
    }
    assert!(leased.iter().any(|leased| leased.id == job.id), "{leased:?}");
    twins.compare_records().await;
}
