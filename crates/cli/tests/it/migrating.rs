//! The Python of the page about moving here, as it stands: an old task runs as a function, and old code enqueues it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::binary::Folder;
use crate::pages;

/// A module as it may be there: one task as Celery makes it, and one that fails in a way that passes.
const TASKS: &str = "
import pathlib

class Task:
    def run(self, x, y):
        return x + y

add = Task()

def flaky(path):
    if not pathlib.Path(path).exists():
        pathlib.Path(path).touch()
        raise TimeoutError('not yet')
    return 'done'
";

fn python(folder: &Folder, url: &str, script: &str) -> String {
    let output = Command::new("python3")
        .args(["-c", script])
        .current_dir(folder.path())
        .env("JOBS_URL", url)
        .env("JOBS_TOKEN", "dev asks for none")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn an_old_task_runs_and_old_code_enqueues_as_the_page_says() {
    let page = pages::root().join("docs/guide/migrating.md");
    let [program, module] = &pages::blocks(&page, "python")[..] else {
        panic!("the page has two programs");
    };
    let folder = Folder::bare();
    let program = folder.file("longshore-task", program);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.file("tasks.py", TASKS);
    folder.file("jobs.py", module);
    let task = |name: &str| {
        format!(
            "[worker.commands.\"tasks.{name}\"]\nprogram = {program:?}\nargs = [\"tasks\", \"{name}\"]\nenv = {{ PYTHONPATH = {:?} }}\n",
            folder.path()
        )
    };
    folder.file("longshore.toml", &[task("add"), task("flaky")].concat());
    let _dev = folder.dev(&["--samples", "off"]).await;
    let log = std::fs::read_to_string(folder.path().join("dev.log")).unwrap();
    let url = log
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let url = url.trim_end_matches('/');

    let add = "import jobs; print(jobs.enqueue('tasks.add', {'x': 2, 'y': 3}, key='once', priority='high'))";
    let id = python(&folder, url, add);
    assert_eq!(python(&folder, url, add), id, "the key makes it the same job");
    let job = folder.ended(&id).await;
    assert_eq!(
        (&job["status"], &job["result"]),
        (&json!("completed"), &json!(5)),
        "{job}"
    );

    let flaky = "import jobs; print(jobs.enqueue('tasks.flaky', {'path': 'was_here'}, retry_delay_ms=10))";
    let job = folder.ended(&python(&folder, url, flaky)).await;
    assert_eq!(
        (&job["result"], &job["attempts"]),
        (&json!("done"), &json!(2)),
        "{job}"
    );
}
