//! The store on real Redis servers: the contract of every backend, and what is Redis's own.
#![cfg(test)]

mod contract;
mod cost;
mod faults;
mod rig;
mod twin;

#[tokio::test]
async fn real_servers_a_fresh_store_answers() {
    let (_redis, store) = rig::store().await;
    store.inspect_port().ping().await.unwrap();
}
