//! What the pages show is taken by the binary: every configuration in them, as a whole file.

use std::path::{Path, PathBuf};

use crate::binary::Folder;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The README and the pages of guide and reference.
fn pages() -> Vec<PathBuf> {
    let folders = ["docs/guide", "docs/reference"].map(|folder| root().join(folder));
    let mut pages: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .chain([root().join("README.md")])
        .collect();
    pages.sort();
    pages
}

/// The fenced blocks of a page in this language.
pub(crate) fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let (mut blocks, mut open) = (Vec::new(), None::<(String, String)>);
    for line in text.lines() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(named), None) => open = Some((named.to_owned(), String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    let ours = blocks.into_iter().filter(|(named, _)| named == language);
    ours.map(|(_, block)| block).collect()
}

#[test]
fn every_configuration_of_the_pages_has_no_problems() {
    let mut tried = 0;
    for page in pages() {
        for block in blocks(&page, "toml") {
            // What is for Cargo is looked at in tests/tidy/guide.rs.
            if block.contains("[dependencies]") {
                continue;
            }
            let folder = Folder::bare();
            // Some show a table alone; a file needs servers as well.
            let servers = if block.contains("amqp_url") || block.contains("embedded") {
                ""
            } else {
                "amqp_url = \"amqp://127.0.0.1\"\nredis_url = \"redis://127.0.0.1\"\n"
            };
            folder.file("longshore.toml", &format!("{servers}{block}\n"));
            assert_eq!(
                folder.ok(&["config", "check"]),
                "the configuration has no problems\n",
                "{}:\n{block}",
                page.display()
            );
            tried += 1;
        }
    }
    assert!(tried > 10, "only {tried} configurations were found");
}
