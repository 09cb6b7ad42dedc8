//! What people name is found by little, and a slip is told instead of being waited for.

use crate::binary::Folder;

fn said(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_job_is_found_by_how_its_id_begins_unless_several_begin_so() {
    let folder = Folder::new();
    let ids: Vec<String> = (0..3)
        .map(|_| folder.ok(&["enqueue", "f"]).trim().to_owned())
        .collect();
    let begin = &ids[1][..30];
    assert_eq!(folder.json(&["job", "show", begin])["id"], ids[1]);
    assert!(
        folder
            .ok(&["job", "why", &begin.replace('-', "")])
            .contains(&ids[1])
    );
    assert!(folder.ok(&["job", "cancel", begin]).contains("cancelled"));

    // The first eight digits are about a minute: all three, unless the minute turned in between.
    let short = &ids[0][..8];
    let alike: Vec<_> = ids.iter().filter(|id| id.starts_with(short)).collect();
    let several = folder.run(&["job", "cancel", short]);
    let told = said(several.stderr);
    if alike.len() > 1 {
        assert_eq!(several.status.code(), Some(2), "{told}");
        for id in alike {
            assert!(told.contains(id.as_str()), "{told}");
        }
        assert_eq!(folder.json(&["job", "show", &ids[0]])["status"], "queued");
    }

    let nobody = folder.run(&["job", "show", "0193f0a1-7c"]);
    assert_eq!(nobody.status.code(), Some(6));
    assert!(said(nobody.stderr).contains("no job's id begins with 0193f0a17c"));
    let little = folder.run(&["job", "show", "0193f0a"]);
    assert_eq!(little.status.code(), Some(2));
    assert!(said(little.stderr).contains("at least the first 8 digits"));
}

#[test]
fn jobs_are_listed_by_a_text() {
    let folder = Folder::new();
    let wanted = folder.ok(&["enqueue", "f", "--name", "Monthly Invoice", "--tag", "user:7"]);
    folder.ok(&["enqueue", "g"]);
    for text in ["invoice", "USER:7", &wanted.trim()[..18]] {
        let found = folder.json(&["job", "ls", "--text", text]);
        let ids: Vec<_> = found.as_array().unwrap().iter().map(|job| &job["id"]).collect();
        if text.contains('-') {
            assert!(
                ids.contains(&&serde_json::json!(wanted.trim())),
                "{text}: {found}"
            );
        } else {
            assert_eq!(ids, [wanted.trim()], "{text}");
        }
    }
    assert_eq!(
        folder.json(&["job", "ls", "--text", "nowhere"]),
        serde_json::json!([])
    );
}

#[test]
fn a_dry_run_of_cron_rm_takes_nothing_away() {
    let folder = Folder::new();
    folder.ok(&["cron", "add", "nightly", "30 2 * * *", "f"]);
    let would = folder.ok(&["cron", "rm", "nightly", "--dry-run"]);
    assert!(would.contains("nightly  would be removed"), "{would}");
    folder.ok(&["cron", "show", "nightly"]);
    let unknown = folder.run(&["cron", "rm", "nobody", "--dry-run"]);
    assert_eq!(unknown.status.code(), Some(6));
    folder.ok(&["cron", "rm", "nightly"]);
    assert_eq!(folder.run(&["cron", "show", "nightly"]).status.code(), Some(6));
}

#[test]
fn a_job_that_nobody_can_run_says_so_when_it_is_shown() {
    let folder = Folder::new();
    let id = folder.ok(&["enqueue", "f"]).trim().to_owned();
    let shown = folder.ok(&["job", "show", &id]);
    assert!(shown.contains("waits        no worker is live"), "{shown}");
}

#[tokio::test]
async fn a_slip_in_a_function_or_a_queue_is_told_to_whoever_hands_the_job_over() {
    let folder = Folder::new();
    let of = |args: &[&str]| {
        let done = folder.run(args);
        assert!(done.status.success(), "{}", said(done.stderr.clone()));
        said(done.stderr)
    };
    let alone = of(&["enqueue", "sample.hash_flie"]);
    assert!(
        !alone.contains("no live worker"),
        "workers may come later: {alone}"
    );
    let _dev = folder.dev(&["--samples", "off", "--listen", "127.0.0.1:0"]).await;
    let function = of(&["enqueue", "sample.hash_flie"]);
    assert!(
        function.contains("no live worker has the function sample.hash_flie"),
        "{function}"
    );
    assert!(function.contains("Did you mean sample.hash_file?"), "{function}");
    let queue = of(&["enqueue", "sample.hash_file", "--queue", "defualt"]);
    assert!(queue.contains("consumes the queue defualt"), "{queue}");
    assert!(queue.contains("Did you mean default?"), "{queue}");
    let entry = of(&["cron", "add", "monthly", "@monthly", "sample.hash_flie"]);
    assert!(entry.contains("Did you mean sample.hash_file?"), "{entry}");
    for right in [
        &["enqueue", "sample.hash_file", "--in", "1h"][..],
        &["cron", "add", "yearly", "@yearly", "sample.hash_file"],
    ] {
        let told = of(right);
        assert!(told.is_empty(), "{right:?}: {told}");
    }
}

#[test]
fn options_of_every_command_stand_apart_in_its_help() {
    let help = Folder::bare().ok(&["job", "ls", "--help"]);
    let (own, shared) = help.split_once("Options of every command:").unwrap();
    assert!(own.contains("--status") && !own.contains("--amqp-url"), "{own}");
    assert!(
        shared.contains("--amqp-url") && shared.contains("--output"),
        "{shared}"
    );
}

#[test]
fn a_check_of_the_configuration_tells_everything_at_once() {
    let folder = Folder::new();
    let file = folder.path().join("longshore.toml");
    let wrong = "[worker]\nmax_workers = 0\n\n[notify.email.ops]\nhost = \"mail.example\"\nfrom = \"jobs\"\n\
        to = [\"a@example.com\"]\n";
    std::fs::write(&file, wrong).unwrap();
    let told = said(folder.run(&["config", "check"]).stderr);
    assert!(
        told.contains("worker.max_workers") && told.contains("notify.email.ops.from"),
        "{told}"
    );
    let missing = "[worker.commands.resize]\nprogram = \"no-such-program\"\n\n[worker.commands.list]\nprogram = \"ls\"\n";
    std::fs::write(&file, missing).unwrap();
    let checked = folder.run(&["config", "check"]);
    assert!(checked.status.success(), "{checked:?}");
    let told = said(checked.stderr);
    assert!(
        told.contains("warning: worker.commands.resize.program: no-such-program is in no folder of PATH"),
        "{told}"
    );
    assert!(!told.contains("worker.commands.list"), "{told}");
}
