//! The worker's buffer of jobs that wait for a slot. By hand: `cargo bench -p longshore-worker --bench buffer`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use longshore_core::Priority;

/// The private module itself.
#[path = "../src/control/buffer.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "not everything of it is measured, and its tests not at all"
)]
mod buffer;

use buffer::Buffer;

const PRIORITIES: [Priority; 4] = [
    Priority::Low,
    Priority::Normal,
    Priority::High,
    Priority::Critical,
];

/// Waiting jobs: of a small worker, of a large one, and of its messages with 64 jobs each.
const JOBS: [u64; 3] = [16, 200, 6_400];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("priority buffer, filled and emptied");
    for jobs in JOBS {
        group.throughput(Throughput::Elements(jobs));
        group.bench_function(BenchmarkId::from_parameter(jobs), |bencher| {
            bencher.iter(|| fill_and_empty(black_box(jobs)));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Jobs of all priorities come in, and all of them start.
fn fill_and_empty(jobs: u64) -> u64 {
    let mut buffer = Buffer::default();
    for (job, priority) in (0..jobs).zip(PRIORITIES.iter().cycle()) {
        buffer.push(*priority, job);
    }
    let mut sum = 0;
    while let Some(job) = buffer.pop(|_| true) {
        sum += job;
    }
    sum
}
