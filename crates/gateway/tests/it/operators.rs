//! Operators: dead letters, operations, queues, cron entries, and the log of what they did.

use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, body};

/// Dead letters of `fail`.
async fn dead(rig: &Rig, token: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(
            rig.enqueue(
                token,
                json!({"function_name": "fail", "args": number, "max_retries": 0}),
            )
            .await,
        );
    }
    for id in &ids {
        rig.until(token, id, "failed").await;
    }
    ids
}

#[tokio::test]
async fn dead_letters_are_listed_grouped_edited_requeued_and_discarded() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    let ids = dead(&rig, &token, 3).await;
    let (_, page) = rig.get(&token, "/dead-letters?function_name=fail").await;
    assert_eq!(page["jobs"].as_array().unwrap().len(), 3);
    let (_, groups) = rig.get(&token, "/dead-letters/groups").await;
    assert_eq!(
        (
            &groups["groups"][0]["count"],
            groups["groups"].as_array().unwrap().len()
        ),
        (&json!(3), 1)
    );
    let (_, changed) = rig
        .post(
            &token,
            &format!("/jobs/{}/edit", ids[0]),
            json!({"args": {"other": true}}),
        )
        .await;
    assert_eq!(changed["change"], "done");
    let job = rig.until(&token, &ids[0], "failed").await;
    assert_eq!(job["args"], json!({"other": true}));
    let (_, changes) = rig
        .post(&token, "/dead-letters/discard", json!({"ids": [ids[1], ids[1]]}))
        .await;
    assert_eq!(changes["changes"][0]["change"], "done", "{changes}");
    let (_, changed) = rig
        .post(&token, &format!("/jobs/{}/requeue", ids[2]), json!({}))
        .await;
    assert_eq!(changed["change"], "done");
    let (status, _) = rig
        .post(&token, &format!("/jobs/{}/requeue", ids[1]), json!({}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is gone");
}

#[tokio::test]
async fn an_operation_is_a_thing_with_a_progress_and_begins_once() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    let ids = dead(&rig, &token, 4).await;
    let request = json!({"kind": "discard", "filter": {"function_name": "fail"}, "id": "00000000000000aa"});
    let (status, begun) = rig.post(&token, "/operations", request.clone()).await;
    assert_eq!(
        (status, begun["id"].as_str()),
        (StatusCode::ACCEPTED, Some("00000000000000aa")),
        "{begun}"
    );
    let mut seen = Value::Null;
    for _ in 0..LONG.as_secs() * 10 {
        seen = rig.get(&token, "/operations/00000000000000aa").await.1;
        if !seen["ended_at_ms"].is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(
        (&seen["total"], &seen["done"], &seen["kept"]),
        (&json!(4), &json!(4), &json!(0)),
        "{seen}"
    );
    for id in &ids {
        assert_eq!(
            rig.get(&token, &format!("/jobs/{id}")).await.0,
            StatusCode::NOT_FOUND
        );
    }
    let (status, again) = rig.post(&token, "/operations", request).await;
    assert_eq!(
        (status, &again["started_at_ms"]),
        (StatusCode::ACCEPTED, &seen["started_at_ms"])
    );
    let other = json!({"kind": "requeue", "id": "00000000000000aa"});
    assert_eq!(
        rig.post(&token, "/operations", other).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, _) = rig
        .post(&token, "/operations/00000000000000aa/resume", json!({}))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(rig.get(&token, "/operations/ab").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_queue_is_paused_looked_at_and_resumed() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    rig.post(&token, "/queues/default/pause", json!({})).await;
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    let (_, queue) = rig.get(&token, "/queues/default").await;
    assert_eq!(
        (&queue["paused"], &queue["size"], &queue["counts"]["queued"]),
        (&json!(true), &json!(1), &json!(1))
    );
    assert!(
        rig.get(&token, "/queues").await.1["queues"]
            .to_string()
            .contains("default")
    );
    rig.post(&token, "/queues/default/resume", json!({})).await;
    rig.until(&token, &id, "completed").await;
    let (_, workers) = rig.get(&token, "/workers").await;
    assert_eq!(
        workers["workers"][0]["functions"],
        json!(["echo", "fail", "hang", "leak", "linger", "say"]),
        "{workers}"
    );
    let (status, statistics) = rig.get(&token, "/statistics?window_ms=3600000").await;
    assert_eq!(
        (status, &statistics["total"]["completed"]),
        (StatusCode::OK, &json!(1)),
        "{statistics}"
    );
    assert_eq!(
        rig.get(&token, "/statistics?window_ms=1").await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn a_cron_entry_is_made_changed_by_its_version_run_paused_and_removed() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    let put = |expression: &str, header: Option<(&'static str, String)>| {
        let json =
            json!({"expression": expression, "zone": "Europe/Berlin", "job": {"function_name": "echo"}});
        let mut request = rig
            .request(Method::PUT, "/cron/nightly")
            .bearer_auth(&token)
            .json(&json);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        body(request)
    };
    let (status, made) = put("0 3 * * *", Some(("if-none-match", "*".to_owned()))).await;
    assert_eq!(
        (status, &made["says"]["zone"]),
        (StatusCode::CREATED, &json!("Europe/Berlin")),
        "{made}"
    );
    let version = made["version"].to_string();
    assert_eq!(
        put("0 4 * * *", Some(("if-none-match", "*".to_owned()))).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        put("0 4 * * *", Some(("if-match", "\"7\"".to_owned()))).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(
        put("0 4 * * *", Some(("if-match", format!("\"{version}\""))))
            .await
            .0,
        StatusCode::OK
    );
    let (status, problem) = put("61 * * * *", None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let (status, run) = rig.post(&token, "/cron/nightly/run", json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{run}");
    rig.until(&token, run["job_id"].as_str().unwrap(), "completed")
        .await;
    let (_, paused) = rig.post(&token, "/cron/nightly/pause", json!({})).await;
    assert_eq!(
        (&paused["paused"], &paused["next_at_ms"]),
        (&json!(true), &Value::Null)
    );
    let (_, resumed) = rig.post(&token, "/cron/nightly/resume", json!({})).await;
    assert!(resumed["next_at_ms"].is_u64(), "{resumed}");
    let preview = json!({"expression": "30 2 * * *", "zone": "Europe/Berlin", "after_ms": 1_774_700_000_000_u64, "count": 2});
    let (_, preview) = rig.post(&token, "/cron-preview", preview).await;
    assert_eq!(preview["ticks"].as_array().unwrap().len(), 2, "{preview}");
    let remove = || body(rig.request(Method::DELETE, "/cron/nightly").bearer_auth(&token));
    assert_eq!(remove().await.0, StatusCode::NO_CONTENT);
    assert_eq!(remove().await.0, StatusCode::NOT_FOUND);
    assert_eq!(rig.get(&token, "/cron").await.1, json!({"entries": []}));
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_log_with_who_and_which_request() {
    let rig = Rig::new().await;
    let (operator, admin) = (rig.token(Role::Operator).await, rig.token(Role::Admin).await);
    let id = rig.enqueue(&operator, json!({"function_name": "echo"})).await;
    let request = rig
        .request(Method::POST, &format!("/jobs/{id}/cancel"))
        .bearer_auth(&operator);
    let request = request
        .header("x-request-id", "ticket-7")
        .json(&json!({"reason": "not needed"}));
    assert_eq!(
        request.send().await.unwrap().headers()["x-request-id"],
        "ticket-7"
    );
    rig.post(&operator, "/queues/slow/pause", json!({})).await;
    let (_, log) = rig.get(&admin, "/audit?limit=2").await;
    let lines = log["lines"].as_array().unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| [&line["who"], &line["action"], &line["subject"]])
        .collect();
    assert_eq!(
        told[0],
        [&json!("the operator"), &json!("queue.pause"), &json!("slow")]
    );
    assert_eq!(
        told[1],
        [&json!("the operator"), &json!("job.cancel"), &json!(id)]
    );
    assert_eq!(
        (&lines[1]["request_id"], &lines[1]["detail"]),
        (&json!("ticket-7"), &json!("not needed"))
    );
    let next = log["next"].to_string();
    assert_eq!(
        rig.get(&admin, &format!("/audit?before={next}")).await.1["lines"],
        json!([])
    );
}

#[tokio::test]
async fn every_job_that_matches_is_cancelled_by_an_operation_and_none_that_came_later() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Operator).await;
    // More than one page of them, and others.
    let jobs: Vec<_> = (0..300)
        .map(|_| json!({"function_name": "nobody", "tags": ["nightly"]}))
        .collect();
    assert_eq!(
        rig.post(&token, "/jobs/batch", json!({"jobs": jobs})).await.0,
        StatusCode::CREATED
    );
    let other = rig.enqueue(&token, json!({"function_name": "nobody"})).await;
    let request =
        json!({"kind": "cancel", "jobs": {"tags": ["nightly"]}, "reason": "wrong data", "id": "c0"});
    let (status, begun) = rig.post(&token, "/operations", request.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    assert_eq!(
        (&begun["kind"], &begun["jobs"]["tags"]),
        (&json!("cancel"), &json!(["nightly"]))
    );
    let later = rig
        .enqueue(&token, json!({"function_name": "nobody", "tags": ["nightly"]}))
        .await;
    let path = format!("/operations/{}", begun["id"].as_str().unwrap());
    let ended = async {
        loop {
            let (_, operation) = rig.get(&token, &path).await;
            if !operation["ended_at_ms"].is_null() {
                return operation;
            }
        }
    };
    let ended = tokio::time::timeout(LONG, ended).await.unwrap();
    assert_eq!(
        (&ended["total"], &ended["done"], &ended["kept"]),
        (&json!(300), &json!(300), &json!(0))
    );
    for id in [&other, &later] {
        assert_eq!(
            rig.get(&token, &format!("/jobs/{id}")).await.1["status"],
            json!("queued"),
            "{id}"
        );
    }
    let (_, page) = rig.get(&token, "/jobs?status=cancelled&limit=1000").await;
    let jobs = page["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 300);
    assert!(jobs.iter().all(|job| job["cancel_reason"] == "wrong data"));
    // The same request again is the same operation: it spares what came since.
    let (_, again) = rig.post(&token, "/operations", request).await;
    assert_eq!(again["id"], begun["id"]);
    assert_eq!(
        rig.get(&token, &format!("/jobs/{later}")).await.1["status"],
        json!("queued")
    );
    for (wrong, says) in [
        (json!({"kind": "cancel"}), "jobs: is missing"),
        (
            json!({"kind": "cancel", "jobs": {}, "filter": {"queue": "default"}}),
            "name the jobs to cancel in `jobs`",
        ),
        (
            json!({"kind": "requeue", "jobs": {}}),
            "for the kind cancel alone",
        ),
        (
            json!({"kind": "cancel", "jobs": {"statuses": ["gone"]}}),
            "jobs.statuses",
        ),
        (
            json!({"kind": "cancel", "jobs": {"state": "x"}}),
            "jobs.state: is not known here",
        ),
        (json!({"kind": "drop"}), "kind: unknown value"),
    ] {
        let (status, problem) = rig.post(&token, "/operations", wrong.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{wrong}: {problem}"
        );
    }
    let viewer = rig.token(Role::Producer).await;
    let request = json!({"kind": "cancel", "jobs": {}});
    assert_eq!(
        rig.post(&viewer, "/operations", request).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_purge_is_one_line_of_the_audit_log_and_many_ids_are_counted() {
    let rig = Rig::new().await;
    let (operator, admin) = (rig.token(Role::Operator).await, rig.token(Role::Admin).await);
    let waits = |queue: &str| json!({"function_name": "nobodys", "queue": queue, "delay_ms": 3_600_000});
    for _ in 0..6 {
        rig.enqueue(&operator, waits("mail")).await;
    }
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(rig.enqueue(&operator, waits("other")).await);
    }
    let purge = json!({"reason": "a slip", "until_ms": 4_000_000_000_000_u64});
    let (status, step) = rig.post(&operator, "/queues/mail/purge", purge).await;
    assert_eq!(status, StatusCode::OK, "{step}");
    assert_eq!(
        (&step["cancelled"], &step["left"]),
        (&json!(6), &json!(false)),
        "{step}"
    );
    let running = json!({"statuses": ["running"]});
    let (status, _) = rig.post(&operator, "/queues/mail/purge", running).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let producer = rig.token(Role::Producer).await;
    let (status, _) = rig.post(&producer, "/queues/mail/purge", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    rig.post(
        &operator,
        "/jobs/cancel",
        json!({"ids": ids, "reason": "another slip"}),
    )
    .await;
    let (_, log) = rig.get(&admin, "/audit?limit=10").await;
    let line = |action: &str| {
        let lines = log["lines"].as_array().unwrap().iter();
        let mut lines = lines.filter(|line| line["action"] == action);
        let line = lines.next().unwrap_or_else(|| panic!("{log}"));
        assert!(lines.next().is_none(), "{log}");
        (
            line["subject"].as_str().unwrap().to_owned(),
            line["detail"].as_str().unwrap().to_owned(),
        )
    };
    let (queue, detail) = line("queue.purge");
    assert_eq!(queue, "mail");
    assert_eq!(detail, "6 jobs (queued, scheduled, retrying, blocked): a slip");
    let (named, detail) = line("job.cancel");
    assert!(named.ends_with(" and 2 more"), "{named}");
    assert_eq!(
        (named.split(' ').count(), detail.as_str()),
        (6, "5 of 5: another slip")
    );
}
