//! Jobs that wait for others: one after another, and a batch whose last job gathers the results of all before it.
//!
//! `cargo run -p longshore --features worker,embedded --example dependencies`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{Batch, Job, JobError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Fetch {
    page: u64,
}

impl Job for Fetch {
    const FUNCTION_NAME: &'static str = "fetch";
    type Output = u64;
}

#[derive(Serialize, Deserialize)]
struct Sum;

impl Job for Sum {
    const FUNCTION_NAME: &'static str = "sum";
    type Output = u64;
}

async fn fetch(job: Fetch) -> Result<u64, JobError> {
    Ok(job.page * job.page)
}

async fn sum(_job: Sum, ctx: JobContext) -> Result<u64, JobError> {
    let mut total = 0;
    for (parent, _) in ctx.parents().await? {
        total += ctx.parent::<u64>(parent).await?;
    }
    Ok(total)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(fetch).register(sum)).await?;

    let fetched = fleet.client.enqueue(Fetch { page: 7 }).await?;
    let summed = fleet.client.enqueue(Sum).depends_on([&fetched]).await?;
    println!("One page: {}", summed.wait().await?);

    let mut batch = Batch::new();
    let pages: Vec<_> = (1..=100)
        .map(|page| {
            batch
                .add(Fetch { page })
                .name(format!("Fetch page {page}"))
                .reference()
        })
        .collect();
    let total = batch
        .add(Sum)
        .name("Sum of all pages")
        .depends_on(pages)
        .reference();
    let handles = fleet.client.enqueue_many(batch).await?;
    let total = handles.get(total).ok_or("a handle a job")?;
    println!("A hundred pages: {}", total.wait().await?);
    fleet.stop().await;
    Ok(())
}
