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

/// The checker of the stage `contract` cannot ask this: more than twenty wrong tokens at an address are told to wait.
#[tokio::test]
async fn no_operation_answers_whoever_has_no_token() {
    let rig = Rig::new().await;
    let (_, document) = rig.get("", "/openapi.json").await;
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "0193f0a1-7c5e-8001-9313-0242ac120002")
            .replace("{name}", "nightly");
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = rig.request(method.clone(), &path);
            let response = request.json(&serde_json::json!({})).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
}
