//! The API's description.

use std::path::Path;

use reqwest::{Method, StatusCode};

use crate::rig::Rig;

#[tokio::test]
async fn the_committed_description_is_that_of_the_code() {
    let rig = Rig::new().await;
    let response = rig.request(Method::GET, "/openapi.json").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "it is for everybody");
    let served = response.text().await.unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == served,
        "docs/reference/openapi.json is not that of the code; run this test with LONGSHORE_BLESS=1"
    );
    let document: serde_json::Value = serde_json::from_str(&served).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says what it does"
            );
        }
    }
}
