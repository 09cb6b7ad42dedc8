//! The leaves of the hot path on the servers' side: runs of acknowledgements, arguments of scripts. By hand:
//! `cargo bench -p longshore-backend --bench leaves`.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

/// The private modules themselves.
#[path = "../src/amqp/consumer/runs.rs"]
#[expect(unused_imports, reason = "its tests are not run here")]
mod runs;

#[path = "../src/redis"]
mod redis_side {
    #[expect(dead_code, reason = "not everything of it is measured")]
    pub(super) mod call;
    #[expect(dead_code, reason = "not everything of it is measured")]
    mod reply;
    #[expect(dead_code, reason = "not everything of it is measured")]
    pub(super) mod script;

    use std::error::Error;

    use longshore_core::Clock as _;
    use longshore_core::id::JobId;
    use longshore_core::port::enqueue::NewJob;
    use longshore_core::random::SystemRandom;
    use longshore_core::{Envelope, FunctionName, JobSpec, SystemClock, value};

    /// Small jobs, as most are.
    pub(super) fn jobs(count: u64) -> Result<Vec<NewJob>, Box<dyn Error>> {
        let now = SystemClock.now();
        let job = || -> Result<NewJob, Box<dyn Error>> {
            let args = value::encode("args", &("x".repeat(24), 7))?;
            let spec = JobSpec::new(FunctionName::new("reports.render")?, args);
            let envelope = Envelope::from_spec(&spec, JobId::generate(now, 0, &SystemRandom), now);
            let encoded = envelope.encode()?;
            Ok(NewJob::from_envelope(&envelope, encoded))
        };
        (0..count).map(|_| job()).collect()
    }

    /// The bytes of the call that records them.
    pub(super) fn enqueue(jobs: &[NewJob]) -> Vec<u8> {
        let mut made = call::Call::new(&script::ENQUEUE, 0);
        made.arg(jobs.len());
        for job in jobs {
            made.job(job);
        }
        made.by_name().get_packed_command()
    }
}

/// Deliveries of one channel.
const DELIVERIES: u64 = 1_000;
/// Jobs in one call of a script.
const JOBS: [u64; 3] = [1, 16, 256];

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    script_arguments(&mut criterion)?;
    acknowledgements(&mut criterion);
    criterion.final_summary();
    Ok(())
}

fn script_arguments(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let mut group = criterion.benchmark_group("script arguments of an enqueue");
    for count in JOBS {
        let jobs = redis_side::jobs(count)?;
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| redis_side::enqueue(black_box(&jobs)));
        });
    }
    group.finish();
    Ok(())
}

fn acknowledgements(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("acknowledgements in runs");
    group.throughput(Throughput::Elements(DELIVERIES));
    for (name, late) in [("in order", false), ("each tenth ends last", true)] {
        group.bench_function(name, |bencher| bencher.iter(|| ack(black_box(late))));
    }
    group.finish();
}

/// Acknowledges all deliveries, as the worker does: runs, and single ones when too many are held up.
fn ack(late: bool) -> usize {
    let (mut runs, mut acks) = (runs::Runs::default(), 0);
    let is_late = |tag: &u64| late && tag.is_multiple_of(10);
    for tag in (1..=DELIVERIES).filter(|tag| !is_late(tag)) {
        runs.add(tag);
        acks += usize::from(runs.run().is_some());
        if runs.held() >= 64 {
            acks += runs.singles().len();
        }
    }
    for tag in (1..=DELIVERIES).filter(is_late) {
        runs.add(tag);
        acks += usize::from(runs.run().is_some());
    }
    acks
}
