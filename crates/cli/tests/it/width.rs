//! On a terminal of 80 columns no line wraps, and ids stay whole; in a pipe nothing is cut.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};

use crate::binary::Folder;

/// What a command draws on a terminal of 80 columns.
fn drawn(folder: &Folder, args: &[&str]) -> Vec<String> {
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    let mut command = folder.command(args);
    command.env_remove("COLUMNS").stdout(Stdio::from(terminal.slave));
    let mut child = command.spawn().unwrap();
    // The command holds the other end as well; reading ends when the process has.
    drop(command);
    let (mut master, mut bytes, mut chunk) = (File::from(terminal.master), Vec::new(), [0; 4_096]);
    while let Ok(count) = master.read(&mut chunk) {
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
    assert!(child.wait().unwrap().success(), "{args:?}");
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn widest(lines: &[String]) -> usize {
    lines.iter().map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn listings_fit_a_terminal_of_80_columns_and_ids_stay_whole() {
    let folder = Folder::new();
    let name = "A name that takes more room than there is for it";
    let options = [
        "enqueue",
        "f",
        "--name",
        name,
        "--queue",
        "a_queue_of_a_long_name",
    ];
    let id = folder.ok(&options).trim().to_owned();
    let jobs = drawn(&folder, &["job", "ls"]);
    assert!(widest(&jobs) <= 80, "{jobs:#?}");
    assert!(jobs[1].starts_with(&format!("{id}  queued")), "{jobs:#?}");
    assert!(jobs[1].contains("A name that"), "{jobs:#?}");
    let queues = drawn(&folder, &["queue", "ls"]);
    assert!(widest(&queues) <= 80, "{queues:#?}");
    assert!(queues[0].contains("QUEUED"), "{queues:#?}");
    let piped = folder.ok(&["job", "ls"]);
    assert!(
        piped.contains("a_queue_of_a_long_name") && piped.contains("TRIES"),
        "{piped}"
    );
}

#[test]
fn dev_fits_a_terminal_of_80_columns() {
    let folder = Folder::bare();
    let lines = drawn(&folder, &["dev", "--samples", "once", "--until-idle"]);
    assert!(lines.iter().any(|line| line.contains("completed")), "{lines:#?}");
    assert!(widest(&lines) <= 80, "{lines:#?}");
}

#[test]
fn a_mistyped_queue_is_told_and_none_is_made() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "f", "--queue", "known"]);
    for what in ["pause", "resume", "peek"] {
        let said = folder.run(&["queue", what, "knwon"]);
        assert_eq!(said.status.code(), Some(6), "{said:?}");
        let told = String::from_utf8(said.stderr).unwrap();
        assert!(
            told.contains("has named the queue knwon. Did you mean known?"),
            "{told}"
        );
    }
    let queues = folder.json(&["queue", "ls"]);
    assert_eq!(queues.as_array().unwrap().len(), 1, "{queues}");
    folder.ok(&["queue", "pause", "known"]);
    folder.ok(&["queue", "pause", "later", "--create"]);
    folder.ok(&["queue", "resume", "later"]);
}
