//! rusty-celery as a peer: `work WARM JOBS` or `produce COUNT`. PEER_AMQP_URL says where.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::time::SystemTime;

use celery::prelude::*;
use futures::StreamExt;

static DONE: AtomicUsize = AtomicUsize::new(0);
static MARKS: OnceLock<[usize; 2]> = OnceLock::new();
/// Sends under way at once.
const AT_ONCE: usize = 100;

#[celery::task]
fn nothing(text: String, number: u64) -> TaskResult<u64> {
    let _ = text;
    let done = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    if MARKS.get().is_some_and(|marks| marks.contains(&done)) {
        println!("done {}", now());
    }
    Ok(number)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| {
        words
            .get(at)
            .and_then(|word| word.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let queue = std::env::var("PEER_QUEUE")?;
    let app = celery::app!(
        broker = AMQPBroker { std::env::var("PEER_AMQP_URL")? },
        tasks = [nothing],
        task_routes = ["*" => &queue],
        prefetch_count = 200
    )
    .await?;
    if words.first().is_some_and(|word| word == "work") {
        let _ = MARKS.set([number(1), number(1) + number(2)]);
        println!("ready");
        app.consume_from(&[&queue]).await?;
    } else {
        println!("start {}", now());
        futures::stream::iter(0..number(1) as u64)
            .map(|number| app.send_task(nothing::new("x".repeat(24), number)))
            .buffer_unordered(AT_ONCE)
            .for_each(|sent| async {
                if let Err(error) = sent {
                    eprintln!("{error}");
                }
            })
            .await;
        println!("sent {}", now());
        app.close().await?;
    }
    Ok(())
}
