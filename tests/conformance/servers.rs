//! Against real servers, each area a test. `LONGSHORE_CASE` picks one case by name.

use longshore_backend::Profile;
use longshore_testkit::conformance::harness::{Fleet, Store};
use longshore_testkit::conformance::{Area, run_area};

async fn run(profile: Profile, store: Store, area: Area) {
    let fleet = Fleet::start(profile, store).await;
    run_area(&fleet, area).await;
}

macro_rules! backend {
    ($backend:ident: $profile:ident, $store:ident; $($name:ident $area:ident)*) => {
        mod $backend {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    run(Profile::$profile, Store::$store, Area::$area).await;
                }
            )*
        }
    };
}

macro_rules! backends {
    ($($name:ident $area:ident)*) => {
        backend! { quorum: Quorum, Standalone; $($name $area)* }
        backend! { classic: Classic, Standalone; $($name $area)* }
        backend! { cluster: Quorum, Cluster; $($name $area)* }
    };
}

each_area!(backends);
