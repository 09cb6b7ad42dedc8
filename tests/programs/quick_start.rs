use longshore::worker::{JobContext, Worker};
use longshore::{Backend, BackendConfig, Client, Endpoints, Job, JobError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const FUNCTION_NAME: &'static str = "greet";
    type Output = String;
}

async fn greet(job: Greet, ctx: JobContext) -> Result<String, JobError> {
    ctx.progress(0.5, "Thinking of a greeting");
    Ok(format!("Hello, {}!", job.name))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The folder of `longshore dev`. On servers: Endpoints::servers("amqp://127.0.0.1", "redis://127.0.0.1")?
    let place = Endpoints::embedded(".longshore");
    let backend = Backend::connect(&BackendConfig::new(place)).await?;
    tokio::spawn(Worker::builder(backend.clone()).register(greet).run());
    let client = Client::builder().backend(&backend)?;
    let handle = client.enqueue(Greet { name: "Ada".into() }).await?;
    println!("{}", handle.wait().await?);
    Ok(())
}
