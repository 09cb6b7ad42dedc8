//! The command-line sessions of the guide, run as they stand: against `longshore dev` on an embedded store, and against a
//! worker and a scheduler on servers.
#![cfg(test)]

#[path = "guide/place.rs"]
mod place;
#[path = "guide/session.rs"]
mod session;

use std::collections::BTreeSet;
use std::path::Path;

use place::Place;

/// The pages that have sessions.
const PAGES: [&str; 5] = [
    "quick-start",
    "first-steps",
    "watching-jobs",
    "failures",
    "operating",
];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/guide/{name}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Plays a page from its beginning to its end.
async fn play(place: Place, name: &str) {
    let steps = session::steps(&page(name));
    assert!(!steps.is_empty(), "{name} has no session");
    let folder = place.folder().to_owned();
    let environment = place.environment();
    let played = tokio::task::spawn_blocking({
        let name = name.to_owned();
        move || session::play(&name, &steps, &folder, &environment)
    });
    let problem = played.await.unwrap().err();
    assert!(
        problem.is_none(),
        "{}\n{}",
        problem.unwrap_or_default(),
        place.logs()
    );
}

macro_rules! pages {
    ($($test:ident $name:literal)*) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::play(super::Place::embedded().await, $name).await;
                }
            )*
        }

        mod real_servers {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::play(super::Place::on_servers().await, $name).await;
                }
            )*
        }

        #[test]
        fn every_page_with_a_session_is_played() {
            let played: BTreeSet<&str> = [$($name),*].into();
            assert_eq!(played, BTreeSet::from(PAGES));
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if !session::steps(&text).is_empty() {
                    assert!(played.contains(name.as_str()), "{name} has a session that no test plays");
                }
            }
        }
    };
}

pages! {
    quick_start "quick-start"
    first_steps "first-steps"
    watching_jobs "watching-jobs"
    failures "failures"
    operating "operating"
}
