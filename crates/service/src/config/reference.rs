//! The reference of every key, rendered from the table that the code works from.

use super::keys::{KEYS, Key};

const HEAD: &str = "\
# Configuration

Values come from, the later the stronger:

1. their defaults;
2. a file in TOML: the one that `--config` or `LONGSHORE_CONFIG` names, else `./longshore.toml`, else
   `/etc/longshore/longshore.toml`;
3. the environment: `LONGSHORE_` and the key in capitals, with `__` for each dot;
4. the command line: an option of its own, or `--set KEY=VALUE`.

Durations are numbers with a unit (`500ms`, `30s`, `5m`, `2h`, `7d`) or numbers of seconds. In the environment and on the
command line a list is written with commas. `longshore config check` lists every problem at once; `longshore config show`
prints the values in force, without secrets. NAME is the name of a function, a cron entry, a queue or a channel. The environment knows small letters alone:
functions with capitals in their names, and `env` and `headers` with capitals, belong into the file.

A URL or a secret can come from a file of its own: its variable with `_FILE` at the end names the file
(`LONGSHORE_AMQP_URL_FILE=/run/secrets/amqp_url`), at most 16 KiB; line breaks at its end do not count.

This page is rendered from the code; a test holds it equal.
";

/// The page.
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    let mut section = None;
    for key in KEYS.iter() {
        let now = heading(key);
        if section.as_ref() != Some(&now) {
            page.extend([
                "\n## ",
                &now,
                "\n\n| key | type | default | environment | meaning |\n|---|---|---|---|---|\n",
            ]);
            section = Some(now);
        }
        page += &row(key);
    }
    page
}

fn heading(key: &Key) -> String {
    match key.path.rsplit_once('.') {
        Some((section, _)) => format!("`[{}]`", section.replace('*', "NAME")),
        None => "Top level".to_owned(),
    }
}

fn row(key: &Key) -> String {
    let name = key.path.rsplit_once('.').map_or(key.path, |(_, name)| name);
    let default = if key.default.is_empty() {
        "—".to_owned()
    } else {
        format!("`{}`", key.default)
    };
    let env = if key.is_table() {
        "—".to_owned()
    } else {
        format!("`{}`", key.env_name())
    };
    format!(
        "| `{name}` | {} | {default} | {env} | {} |\n",
        key.type_name(),
        key.meaning
    )
}
