//! The program of the guide's first page, as it stands there.

use std::process::Command;

// Included, so that a private `main` can be called.
mod program {
    include!("quick_start.rs");

    /// The child: the page's program, in the folder in which it was started.
    #[test]
    #[ignore = "is what the other test starts, in a folder of its own"]
    fn the_program_in_this_folder() {
        main().unwrap();
    }
}

#[test]
fn the_program_of_the_quick_start_greets() {
    let page = include_str!("../../docs/guide/quick-start.md");
    let (_, shown) = page.split_once("```rust,no_run\n").expect("a program");
    let shown = shown.split("```").next().unwrap();
    assert_eq!(
        shown,
        include_str!("quick_start.rs"),
        "the page shows another program"
    );

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "page::program::the_program_in_this_folder"])
        .args(["--ignored", "--nocapture"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("Hello, Ada!"), "{said}");
    assert!(folder.path().join(".longshore").is_dir());
}
