//! The scripts against the pure transitions: the same random requests go to a store on Redis and to the embedded one,
//! which runs the transitions of the core, under one clock. Every answer and every record must be the same.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_backend::embedded::{Options, Store as Folder, Sync};
use longshore_backend::redis::Store;
use longshore_core::clock::{Clock as _, Timestamp};
use longshore_core::outcome::{ErrorInfo, Outcome, Progress};
use longshore_core::port::Ports;
use longshore_core::port::attempt::{
    Claim, Finish, GiveBack, GiveBackReason, GivenBack, ProgressWrite, Quarantined, Rebuild, Then,
};
use longshore_core::port::enqueue::{CancelRequest, EdgeSettlement, NewJob, ParentOutcome, Registration};
use longshore_core::port::schedule::{DeadLetter, Watermark};
use longshore_core::shard::Shards;
use longshore_core::spec::EdgePolicy;
use longshore_core::view::Detail;
use longshore_core::{FunctionName, JobId, JobStatus, Nonce, Priority, QueueName, WorkerId};
use longshore_testkit::factory::{Factory, SeededRandom};

use super::rig::{Servers, config};

mod compare;
mod coverage;
mod dice;
pub(super) mod directed;
mod edited;
mod notices;
mod subjects;
use dice::Dice;
pub(crate) use subjects::worker;
use subjects::{jobs, plain, plain_claims, plain_letters};

const WALKS: u64 = 60;
const STEPS: u32 = 150;
const NONCES: usize = 4;

/// One of the two stores, with what only it knows.
struct Side {
    ports: Ports,
    letters: Vec<DeadLetter>,
}

/// The two stores, and the jobs that all requests are about.
struct Twins {
    servers: Arc<Servers>,
    redis: Store,
    folder: Folder,
    sides: [Side; 2],
    jobs: Vec<NewJob>,
    dice: Dice,
}

impl Twins {
    /// Asks both sides and compares their answers.
    async fn ask<T: Debug + PartialEq>(&mut self, what: &str, ask: impl AsyncFn(&Side) -> T) -> T {
        let [redis, embedded] = &self.sides;
        let (redis, embedded) = (ask(redis).await, ask(embedded).await);
        assert_eq!(
            redis, embedded,
            "{what}: Redis (left) and the transitions (right)"
        );
        redis
    }

    fn id(&self) -> JobId {
        self.dice.pick(&self.jobs).id
    }

    fn nonce(&self) -> Nonce {
        Nonce(u128::try_from(self.dice.below(NONCES)).unwrap() + 1)
    }

    /// The gen of a job, sometimes one off.
    async fn gen_of(&mut self, id: JobId) -> u32 {
        let views = self.sides[1]
            .ports
            .inspect
            .jobs(0, vec![id], Detail::Summary)
            .await
            .unwrap();
        let gen_ = views[0].as_ref().map_or(1, |view| view.gen_);
        match self.dice.below(8) {
            0 => gen_.saturating_sub(1),
            1 => gen_ + 1,
            _ => gen_,
        }
    }

    fn now(&self) -> Timestamp {
        self.servers.now()
    }

    async fn step(&mut self) -> &'static str {
        match self.dice.below(30) {
            0..=3 => self.enqueue().await,
            4..=8 => self.claim().await,
            9..=13 => self.finish().await,
            14 => self.beat().await,
            15 => self.give_back().await,
            16 => self.cancel().await,
            17..=19 => self.pass(),
            20 | 21 => self.dispatch().await,
            22 => self.sweep().await,
            23 | 24 => self.family().await,
            25 => self.dead().await,
            26 => self.prune().await,
            27 => self.pause_or_park().await,
            28 => self.mark_published().await,
            _ => self.odds().await,
        }
    }

    async fn enqueue(&mut self) -> &'static str {
        let mut job = self.dice.pick(&self.jobs);
        if self.dice.below(10) == 0 {
            job.fingerprint ^= 1;
        }
        self.ask("enqueue", async |side| {
            side.ports
                .enqueue
                .enqueue(0, vec![job.clone()])
                .await
                .unwrap()
                .jobs
        })
        .await;
        "enqueue"
    }

    async fn mark_published(&mut self) -> &'static str {
        let id = self.id();
        let gen_ = self.gen_of(id).await;
        self.ask("mark_published", async |side| {
            side.ports.enqueue.mark_published(0, vec![(id, gen_)]).await
        })
        .await
        .unwrap();
        "mark_published"
    }

    async fn claim(&mut self) -> &'static str {
        let id = self.id();
        let claim = Claim {
            id,
            gen_: self.gen_of(id).await,
            nonce: self.nonce(),
            worker: WorkerId("w-1".to_owned()),
        };
        let rebuild = Rebuild {
            job: self.jobs.iter().find(|job| job.id == id).unwrap().clone(),
            gen_: claim.gen_,
            attempts: u32::try_from(self.dice.below(3)).unwrap(),
            retries: 1,
            losts: u32::try_from(self.dice.below(2)).unwrap(),
            nonce: claim.nonce,
            worker: claim.worker.clone(),
            then: self.dice.pick(&[Then::Claim, Then::GoOn, Then::GiveBack]),
        };
        if self.dice.below(6) == 0 {
            self.ask("rebuild", async |side| {
                plain_claims(
                    side.ports
                        .attempt
                        .rebuild(0, vec![rebuild.clone()])
                        .await
                        .unwrap(),
                )
            })
            .await;
            return "rebuild";
        }
        self.ask("claim", async |side| {
            let (_, claimed) = side
                .ports
                .attempt
                .step(0, Vec::new(), vec![claim.clone()])
                .await
                .unwrap();
            plain_claims(claimed)
        })
        .await;
        "claim"
    }

    async fn finish(&mut self) -> &'static str {
        let error = ErrorInfo::new("io", "the disk is on fire");
        let outcomes = [
            Outcome::Completed {
                result: Bytes::from_static(&[42]),
            },
            Outcome::Failed { error: error.clone() },
            Outcome::Failed { error: error.clone() },
            Outcome::Retry {
                delay: Duration::from_secs(5),
                error,
            },
            Outcome::Snooze {
                delay: Duration::from_secs(2),
            },
            Outcome::Released,
            Outcome::Cancelled,
            Outcome::Expired,
        ];
        let finish = Finish {
            id: self.id(),
            nonce: self.nonce(),
            outcome: self.dice.pick(&outcomes),
            progress: (self.dice.below(4) == 0).then(|| Progress {
                fraction: Some(0.75),
                ..Progress::default()
            }),
        };
        self.ask("finish", async |side| {
            let (finished, _) = side
                .ports
                .attempt
                .step(0, vec![finish.clone()], Vec::new())
                .await
                .unwrap();
            finished
        })
        .await;
        "finish"
    }

    async fn beat(&mut self) -> &'static str {
        let (id, nonce) = (self.id(), self.nonce());
        let progress = Progress {
            message: "half".to_owned(),
            ..Progress::default()
        };
        self.ask("progress", async |side| {
            let write = ProgressWrite {
                id,
                nonce,
                progress: progress.clone(),
            };
            side.ports.attempt.progress(0, vec![write]).await
        })
        .await
        .unwrap();
        self.ask("beat", async |side| {
            side.ports.attempt.beat(0, vec![(id, nonce)]).await.unwrap()
        })
        .await;
        "beat"
    }

    async fn give_back(&mut self) -> &'static str {
        let id = self.id();
        let reasons = [
            GiveBackReason::Unstarted,
            GiveBackReason::NotRunnable,
            GiveBackReason::Elsewhere,
            GiveBackReason::Park(FunctionName::new("work").unwrap()),
        ];
        let job = GiveBack {
            id,
            gen_: self.gen_of(id).await,
            reason: self.dice.pick(&reasons),
        };
        self.ask("give_back", async |side| {
            let given = side.ports.attempt.give_back(0, vec![job.clone()]).await.unwrap();
            // The epoch is each store's own affair.
            given
                .into_iter()
                .map(|given| match given {
                    GivenBack::Missing { .. } => GivenBack::Missing { epoch: 0 },
                    other => other,
                })
                .collect::<Vec<_>>()
        })
        .await;
        "give_back"
    }

    async fn cancel(&mut self) -> &'static str {
        let request = CancelRequest {
            id: self.id(),
            reason: "enough".to_owned(),
        };
        self.ask("cancel", async |side| {
            side.ports.enqueue.cancel(0, vec![request.clone()]).await.unwrap()
        })
        .await;
        "cancel"
    }

    fn pass(&self) -> &'static str {
        let by = self
            .dice
            .pick(&[100, 2_000, 6_000, 14_000, 31_000, 700_000, 90_000_000]);
        self.servers.pass(Duration::from_millis(by));
        "pass"
    }

    async fn dispatch(&mut self) -> &'static str {
        let before = self.now();
        match self.dice.below(4) {
            0 => {
                self.ask("lease_outbox", async |side| {
                    plain(side.ports.schedule.lease_outbox(0, 3).await.unwrap())
                })
                .await;
            }
            1 => {
                let marks: Vec<_> = [Priority::Normal, Priority::Critical]
                    .map(|priority| Watermark {
                        queue: QueueName::default(),
                        priority,
                        published_before: before,
                    })
                    .into();
                self.ask("audit", async |side| {
                    plain(side.ports.schedule.audit(0, marks.clone(), 3).await.unwrap())
                })
                .await;
            }
            2 => {
                let id = self.id();
                let gen_ = self.gen_of(id).await;
                let by = Duration::from_secs(self.dice.pick(&[1, 30]));
                self.ask("extend_outbox", async |side| {
                    side.ports.schedule.extend_outbox(0, vec![(id, gen_)], by).await
                })
                .await
                .unwrap();
            }
            _ => {
                self.ask("promote", async |side| {
                    plain(side.ports.schedule.promote(0, 3).await.unwrap())
                })
                .await;
            }
        }
        "dispatch"
    }

    async fn sweep(&mut self) -> &'static str {
        self.ask("expire_leases", async |side| {
            side.ports.schedule.expire_leases(0, 10).await.unwrap()
        })
        .await;
        self.ask("expire_waiting", async |side| {
            side.ports.schedule.expire_waiting(0, 10).await.unwrap()
        })
        .await;
        "sweep"
    }

    async fn family(&mut self) -> &'static str {
        let child = self.dice.pick(&self.jobs);
        let edge = Registration {
            parent: child
                .parents
                .first()
                .map_or_else(|| self.id(), |parent| parent.id),
            child: child.id,
            policy: EdgePolicy::from_code(u8::try_from(self.dice.below(6)).unwrap()).unwrap(),
        };
        match self.dice.below(6) {
            0 | 1 => {
                self.ask("register", async |side| {
                    side.ports.enqueue.register(0, vec![edge]).await.unwrap()
                })
                .await;
            }
            2 => {
                let outcomes = [
                    ParentOutcome::Completed {
                        result: Some(Bytes::from_static(&[7])),
                    },
                    ParentOutcome::Failed,
                    ParentOutcome::Cancelled,
                    ParentOutcome::Gone,
                ];
                let settlement = EdgeSettlement {
                    child: edge.child,
                    parent: edge.parent,
                    outcome: self.dice.pick(&outcomes),
                };
                self.ask("settle_edges", async |side| {
                    let edges = vec![settlement.clone()];
                    side.ports
                        .enqueue
                        .settle_edges(0, edges, Duration::ZERO)
                        .await
                        .unwrap()
                })
                .await;
                self.ask("parents", async |side| {
                    side.ports.attempt.parents(0, edge.child).await.unwrap()
                })
                .await;
            }
            3 | 4 => self.tell_relations().await,
            _ => {
                let children = vec![edge.child];
                if self.dice.below(2) == 0 {
                    self.ask("parents_unknown", async |side| {
                        side.ports.schedule.parents_unknown(0, children.clone()).await
                    })
                    .await
                    .unwrap();
                }
                self.ask("open_edges", async |side| {
                    side.ports.schedule.open_edges(0, 10).await.unwrap()
                })
                .await;
                self.ask("edges_verified", async |side| {
                    side.ports.enqueue.edges_verified(0, children.clone()).await
                })
                .await
                .unwrap();
            }
        }
        "family"
    }

    async fn tell_relations(&mut self) {
        let relations = self
            .ask("relations", async |side| {
                let mut relations = side.ports.schedule.relations(0, 10).await.unwrap();
                for relation in &mut relations {
                    relation.children.sort();
                }
                relations
            })
            .await;
        let tell = self.dice.below(3);
        for relation in relations {
            let children: Vec<_> = relation.children.iter().take(tell).copied().collect();
            self.ask("relations_told", async |side| {
                side.ports
                    .schedule
                    .relations_told(0, relation.parent, children.clone())
                    .await
                    .unwrap()
            })
            .await;
        }
    }

    async fn dead(&mut self) -> &'static str {
        let (id, before) = (self.id(), self.now());
        match self.dice.below(6) {
            0 | 1 => {
                for side in &mut self.sides {
                    side.letters = side.ports.schedule.dead_uncopied(0, 10).await.unwrap();
                }
                let [redis, embedded] = &self.sides;
                assert_eq!(plain_letters(&redis.letters), plain_letters(&embedded.letters));
            }
            2 => {
                self.ask("dead_twins", async |side| {
                    side.ports
                        .schedule
                        .dead_twins(0, side.letters.clone())
                        .await
                        .unwrap()
                })
                .await;
            }
            3 => {
                self.ask("dead_copied", async |side| {
                    let copied = side
                        .letters
                        .iter()
                        .map(|letter| (letter.id, letter.gen_))
                        .collect();
                    side.ports.schedule.dead_copied(0, copied).await
                })
                .await
                .unwrap();
            }
            4 => {
                self.ask("requeue", async |side| {
                    side.ports.schedule.requeue(0, vec![id], before).await.unwrap()
                })
                .await;
            }
            _ => {
                self.ask("discard", async |side| {
                    side.ports.schedule.discard(0, vec![id], before).await.unwrap()
                })
                .await;
            }
        }
        self.take_notices().await;
        let swept = if self.dice.below(3) == 0 {
            self.dice.below(8)
        } else {
            0
        };
        self.ask("removals_pending", async |side| {
            side.ports
                .schedule
                .removals_pending(0, swept as u64)
                .await
                .unwrap()
        })
        .await;
        "dead"
    }

    async fn prune(&mut self) -> &'static str {
        let retention = JobStatus::ALL
            .into_iter()
            .filter(|status| status.is_terminal())
            .map(|status| (status, Duration::from_secs(80_000)));
        let retention: std::collections::BTreeMap<_, _> = retention.collect();
        self.ask("prune", async |side| {
            side.ports.schedule.prune(0, retention.clone(), 3).await.unwrap()
        })
        .await;
        "prune"
    }

    async fn pause_or_park(&mut self) -> &'static str {
        if self.dice.below(2) == 0 {
            let paused = self.dice.below(3) == 0;
            self.ask("set_paused", async |side| {
                side.ports.inspect.set_paused(QueueName::default(), paused).await
            })
            .await
            .unwrap();
            return "pause";
        }
        let now = self.now();
        self.ask("worker_beat", async |side| {
            let paused = side.ports.attempt.worker_beat(worker(now)).await.unwrap();
            side.ports.attempt.worker_load(worker(now)).await.unwrap();
            (paused, side.ports.inspect.workers().await.unwrap())
        })
        .await;
        self.ask("unpark", async |side| {
            side.ports.schedule.unpark(0).await.unwrap()
        })
        .await;
        "park"
    }

    async fn odds(&mut self) -> &'static str {
        let id = self.id();
        let gen_ = self.gen_of(id).await;
        match self.dice.below(7) {
            5 => {
                self.ask("abort", async |side| side.ports.enqueue.abort(0, vec![id]).await)
                    .await
                    .unwrap();
            }
            6 => self.requeue_edited(id, gen_).await,
            0 => {
                self.ask("broker_gave_up", async |side| {
                    side.ports
                        .schedule
                        .broker_gave_up(0, vec![(id, gen_)])
                        .await
                        .unwrap()
                })
                .await;
            }
            1 => {
                let message = Quarantined {
                    message_id: id.to_string(),
                    queue: QueueName::default(),
                    reason: "garbage".to_owned(),
                    body: Bytes::from_static(b"?"),
                    headers: Vec::new(),
                    jobs: vec![id],
                    dispatches: vec![(id, gen_)],
                };
                self.ask("quarantine", async |side| {
                    side.ports.attempt.quarantine(vec![message.clone()]).await
                })
                .await
                .unwrap();
            }
            2 => {
                let error = ErrorInfo::new("unknown_parent", "parent unknown");
                self.ask("fail_blocked", async |side| {
                    side.ports
                        .enqueue
                        .fail_blocked(0, vec![(id, error.clone())])
                        .await
                })
                .await
                .unwrap();
            }
            3 if self.dice.below(3) == 0 => {
                self.servers.wipe().await;
                self.folder.wipe().unwrap();
                // What is no job's survives the embedded wipe.
                let embedded = &self.sides[1].ports;
                let resumed = embedded.inspect.set_paused(QueueName::default(), false).await;
                resumed.unwrap();
                embedded
                    .attempt
                    .worker_gone(WorkerId("w-1".to_owned()))
                    .await
                    .unwrap();
            }
            _ => {
                self.ask("worker_gone", async |side| {
                    side.ports.attempt.worker_gone(WorkerId("w-1".to_owned())).await
                })
                .await
                .unwrap();
            }
        }
        "odds"
    }
}

/// Two empty stores under one clock, and the folder that one of them lies in.
async fn open(servers: &Arc<Servers>, seed: u64) -> (Twins, tempfile::TempDir) {
    servers.wipe().await;
    let mut settings = config(&servers.url());
    settings.shards = Some(Shards::new(2).unwrap());
    let redis = Store::connect(&settings).await.unwrap();
    let disk = tempfile::tempdir().unwrap();
    let options = Options {
        shards: Some(Shards::new(2).unwrap()),
        sync: Sync::Process,
        clock: Arc::new(servers.clock()),
        random: Arc::new(SeededRandom::new(seed)),
    };
    let folder = Folder::open(disk.path(), options).unwrap();
    let factory = Factory::new(Arc::new(servers.clock()), seed);
    let jobs = jobs(&factory, servers.clock().now());
    let embedded = folder.ports();
    let on_redis = Ports {
        enqueue: redis.enqueue_port(),
        attempt: redis.attempt_port(),
        schedule: redis.schedule_port(),
        inspect: redis.inspect_port(),
        notify: redis.notify_port(),
        ..embedded.clone()
    };
    let side = |ports| Side {
        ports,
        letters: Vec::new(),
    };
    let twins = Twins {
        servers: Arc::clone(servers),
        redis,
        folder,
        sides: [side(on_redis), side(embedded)],
        jobs,
        dice: Dice::new(seed.wrapping_mul(3)),
    };
    (twins, disk)
}

/// One walk from a seed; panics where the two stores differ.
pub(crate) async fn walk(servers: &Arc<Servers>, seed: u64) {
    let (mut twins, _disk) = open(servers, seed).await;
    for number in 0..STEPS {
        let what = twins.step().await;
        println!("  {number}: {what}");
        twins.compare_records().await;
        if number % 10 == 9 {
            twins.rows_follow_from_records().await;
        }
    }
    twins.redis.close();
    twins.folder.close().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_and_transitions_agree_on_random_walks() {
    let servers = Servers::one().await;
    let seed: u64 =
        std::env::var("LONGSHORE_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let walks = std::env::var("LONGSHORE_WALKS").map_or(WALKS, |walks| walks.parse().unwrap());
    for walk_number in 0..walks {
        let seed = seed.wrapping_add(walk_number);
        println!("walk with LONGSHORE_SEED={seed}");
        walk(&servers, seed).await;
    }
}
