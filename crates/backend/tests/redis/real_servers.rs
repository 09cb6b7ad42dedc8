//! What needs a Redis server; the name of the module is what the test runner goes by.

mod cluster;
mod contract;
mod cost;
mod faults;
mod masters;
mod mutants;
mod parked;
mod records;
mod rig;
mod strict;
mod twin;

#[tokio::test]
async fn a_fresh_store_answers() {
    let (_redis, store) = rig::store().await;
    store.inspect_port().ping().await.unwrap();
}
