//! The leaves of the hot path that need no server: envelopes, gathering, retry delays. By hand:
//! `cargo bench -p longshore-core --bench leaves`.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::random::SystemRandom;
use longshore_core::{Clock as _, Envelope, FunctionName, JobId, JobSpec, SystemClock, retry, value};
use tokio::task::JoinSet;

/// Characters of the argument of a job: as most are, larger, and large.
const ARGUMENTS: [usize; 3] = [24, 1_000, 20_000];
/// Callers that ask at once.
const CALLERS: [u64; 3] = [1, 64, 1_000];

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    envelopes(&mut criterion)?;
    retry_delay(&mut criterion)?;
    gather(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn envelope(argument: usize) -> Result<Envelope, Box<dyn Error>> {
    let args = value::encode("args", &("x".repeat(argument), 7))?;
    let spec = JobSpec::new(FunctionName::new("reports.render")?, args);
    let now = SystemClock.now();
    Ok(Envelope::from_spec(
        &spec,
        JobId::generate(now, 0, &SystemRandom),
        now,
    ))
}

fn envelopes(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let mut group = criterion.benchmark_group("envelope");
    for argument in ARGUMENTS {
        let envelope = envelope(argument)?;
        let encoded = envelope.encode()?;
        group.throughput(Throughput::Bytes(encoded.len() as u64));
        group.bench_function(BenchmarkId::new("encode", argument), |bencher| {
            bencher.iter(|| black_box(&envelope).encode());
        });
        group.bench_function(BenchmarkId::new("decode", argument), |bencher| {
            bencher.iter(|| Envelope::decode(black_box(&encoded)));
        });
        group.bench_function(BenchmarkId::new("fingerprint", argument), |bencher| {
            bencher.iter(|| black_box(&envelope).fingerprint());
        });
    }
    group.finish();
    Ok(())
}

fn retry_delay(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let envelope = envelope(24)?;
    criterion.bench_function("retry delay", |bencher| {
        bencher.iter(|| retry::delay(black_box(&envelope), black_box(3), &SystemRandom));
    });
    Ok(())
}

/// A round trip that costs nothing.
struct Echo;

impl Carry<u64, u64> for Echo {
    fn carry(&self, batch: Vec<u64>) -> Trip<'_, u64> {
        Box::pin(async move { batch })
    }
}

/// Each caller is a task of its own, as in an application.
fn gather(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let limits = TripLimits {
        batch_max: 256,
        weight_max: usize::MAX,
        trips_max: 1,
    };
    let gather = Gather::new(Echo, limits);
    let mut group = criterion.benchmark_group("gather");
    for callers in CALLERS {
        group.throughput(Throughput::Elements(callers));
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter(|| runtime.block_on(ask(&gather, callers)));
        });
    }
    group.finish();
    Ok(())
}

async fn ask(gather: &Gather<u64, u64, Echo>, callers: u64) -> usize {
    let mut asking = JoinSet::new();
    for request in 0..callers {
        let gather = gather.clone();
        asking.spawn(async move {
            let spawn = |carrier| drop(tokio::spawn(carrier));
            gather.call(request, spawn).await.is_ok()
        });
    }
    let answers = asking.join_all().await;
    answers.into_iter().filter(|answered| *answered).count()
}
