//! The fuzzers begin with what is well formed today. `LONGSHORE_DECODER_SEEDS=write` writes it anew.

use std::path::{Path, PathBuf};

type Seeds = fn() -> Vec<Vec<u8>>;

const DECODERS: [(&str, Seeds); 8] = [
    ("amqp", crate::amqp::seeds),
    ("args", crate::args::seeds),
    ("command", crate::command::seeds),
    ("configuration", crate::configuration::seeds),
    ("cron_entry", crate::cron_entry::seeds),
    ("cron_expression", crate::cron_expression::seeds),
    ("envelope", crate::envelope::seeds),
    ("http", crate::http::seeds),
];

fn folder(decoder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(decoder)
}

#[test]
fn the_seeds_of_the_fuzzers_are_well_formed_today() {
    let writes = std::env::var("LONGSHORE_DECODER_SEEDS").is_ok_and(|word| word == "write");
    for (decoder, seeds) in DECODERS {
        let (folder, seeds) = (folder(decoder), seeds());
        if writes {
            std::fs::create_dir_all(&folder).unwrap();
        }
        for (number, seed) in seeds.iter().enumerate() {
            let file = folder.join(format!("{number:03}"));
            if writes {
                std::fs::write(&file, seed).unwrap();
            }
            let kept = std::fs::read(&file).unwrap_or_default();
            assert!(
                kept == *seed,
                "{} is not what is well formed today; run LONGSHORE_DECODER_SEEDS=write cargo nextest run \
                 -p longshore-tests --test decoders seeds",
                file.display()
            );
        }
    }
}

#[test]
fn every_decoder_has_a_fuzzer() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    for (decoder, _) in DECODERS {
        assert!(
            manifest.contains(&format!("name = \"{decoder}\"")),
            "fuzz/Cargo.toml has no target {decoder}"
        );
    }
}
