//! From a job's page to its trace.

use longshore_core::telemetry::context;
use longshore_gateway::Role;
use reqwest::Method;
use serde_json::json;

use crate::rig::Rig;

const OURS: &str = "0af7651916cd43dd8448eb211c80319c";

async fn page_of(rig: &Rig, token: &str, id: &str) -> String {
    let asked = rig.page(Method::GET, &format!("/jobs/{id}")).bearer_auth(token);
    let answer = asked.header("accept", "text/html").send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_jobs_page_leads_to_its_trace_also_when_nobody_traced_its_enqueue() {
    let rig = Rig::with(|gateway| {
        gateway.trace_url(Some(
            "https://tempo.example/trace/{trace_id}?x=1".parse().unwrap(),
        ))
    })
    .await;
    let token = rig.token(Role::Producer).await;
    let traceparent = format!("00-{OURS}-b7ad6b7169203331-01");
    let traced = json!({"function_name": "echo", "args": null, "traceparent": traceparent});
    let id = rig.enqueue(&token, traced).await;
    let page = page_of(&rig, &token, &id).await;
    assert!(
        page.contains(&format!("https://tempo.example/trace/{OURS}?x=1")),
        "{page}"
    );

    let id = rig
        .enqueue(&token, json!({"function_name": "echo", "args": null}))
        .await;
    let own = context::trace_of(None, id.parse().unwrap());
    let page = page_of(&rig, &token, &id).await;
    assert!(
        page.contains(&format!("https://tempo.example/trace/{own}?x=1")),
        "{page}"
    );
}

#[tokio::test]
async fn where_no_trace_can_be_looked_at_none_is_made_up() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let id = rig
        .enqueue(&token, json!({"function_name": "echo", "args": null}))
        .await;
    let own = context::trace_of(None, id.parse().unwrap());
    assert!(!page_of(&rig, &token, &id).await.contains(&own));
}
