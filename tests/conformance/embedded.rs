//! Against the embedded store, each case a test.

use longshore_testkit::conformance::harness::Embedded;
use longshore_testkit::conformance::run_named;

macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                run_named(&Embedded, stringify!($name)).await;
            }
        )*
    };
}

each_case!(tests);
