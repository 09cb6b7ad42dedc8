//! The client's example programs, one for each example of the requirements, on the embedded store and on servers. Each
//! checks what it prints, and fails when it is something else.
#![cfg(test)]
#![expect(
    clippy::duplicate_mod,
    reason = "each program brings its fleet along, as it does alone"
)]

use longshore_testkit::servers::SharedServers;

mod page;

macro_rules! programs {
    ($($name:ident $path:literal)*) => {
        $(
            #[expect(dead_code, reason = "its main function is for people")]
            #[path = $path]
            mod $name;
        )*

        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let place = super::$name::fleet::Place::folder().unwrap();
                    super::$name::run(&place).await.unwrap();
                }
            )*
        }

        mod servers {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let servers = super::SharedServers::get().await.unwrap();
                    let place = super::$name::fleet::Place::servers(servers.amqp_url(), &servers.redis_url());
                    super::$name::run(&place.unwrap()).await.unwrap();
                }
            )*
        }
    };
}

programs! {
    basic_execution "../../crates/client/examples/basic_execution.rs"
    retry_configuration "../../crates/client/examples/retry_configuration.rs"
    scheduled_job "../../crates/client/examples/scheduled_job.rs"
    recurring_job "../../crates/client/examples/recurring_job.rs"
    dependencies "../../crates/client/examples/dependencies.rs"
    progress "../../crates/client/examples/progress.rs"
    function_registry "../../crates/client/examples/function_registry.rs"
    multi_step_progress "../../crates/client/examples/multi_step_progress.rs"
    cancel_job "../../crates/client/examples/cancel_job.rs"
    error_handling "../../crates/client/examples/error_handling.rs"
    dead_letters "../../crates/client/examples/dead_letters.rs"
    cleanup "../../crates/client/examples/cleanup.rs"
    best_practices "../../crates/client/examples/best_practices.rs"
    troubleshooting "../../crates/client/examples/troubleshooting.rs"
}
