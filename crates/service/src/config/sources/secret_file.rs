//! Secrets that come as files: a variable with `_FILE` at its end names the file that holds the value, which is how
//! Docker and Kubernetes hand secrets over without showing them in the environment.

use std::io::Read as _;

use config::ValueKind;

use super::Raw;
use crate::config::keys::{Key, Kind};
use crate::config::problem::Problem;

/// The end of such a key.
const ENDING: &str = "_file";
/// Longer than any URL or key; whoever names another file by mistake is told so.
const BYTES_MAX: u64 = 16 * 1024;

/// Reads the value of a secret key from its file. Anything else stays as it is: `amqp_ca_file` is a key of its own.
///
/// # Errors
/// What is wrong with the file, and the fix; nothing of what is in it.
pub(super) fn resolve(mut raw: Raw) -> Result<Raw, Box<Problem>> {
    let Some(path) = secret_of(&raw.path) else {
        return Ok(raw);
    };
    raw.path = path;
    let name = raw.value.to_string();
    match read(&name) {
        Ok(text) => {
            raw.value = ValueKind::String(text);
            Ok(raw)
        }
        Err(message) => Err(Box::new(raw.problem(message))),
    }
}

/// The path of the secret key that this path is the file of.
fn secret_of(path: &[String]) -> Option<Vec<String>> {
    if Key::find(path).is_some() {
        return None;
    }
    let (last, parent) = path.split_last()?;
    let secret = [parent, &[last.strip_suffix(ENDING)?.to_owned()]].concat();
    let (key, _) = Key::find(&secret)?;
    matches!(key.kind, Kind::Server(_) | Kind::Endpoint | Kind::Secret).then_some(secret)
}

fn read(name: &str) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(name)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("the file {name} cannot be read: {error}"))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!(
            "the file {name} is over {BYTES_MAX} bytes; name the file that holds the value alone"
        ));
    }
    // Editors and `echo` end a file with a line break that is no part of the value.
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(format!("the file {name} is empty; write the value into it"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn only_secrets_come_from_files() {
        assert_eq!(secret_of(&path("amqp_url_file")), Some(path("amqp_url")));
        assert_eq!(
            secret_of(&path("worker.http.bill.secret_file")),
            Some(path("worker.http.bill.secret"))
        );
        assert_eq!(secret_of(&path("amqp_ca_file")), None);
        assert_eq!(secret_of(&path("profile_file")), None);
        assert_eq!(secret_of(&path("worker.max_workers_file")), None);
    }

    #[test]
    fn a_line_break_at_the_end_is_no_part_of_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "amqp://a:b c@host \r\n\n").unwrap();
        assert_eq!(read(file.to_str().unwrap()).unwrap(), "amqp://a:b c@host ");
    }

    #[test]
    fn an_empty_and_an_endless_file_are_told_without_their_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "\n").unwrap();
        assert!(read(file.to_str().unwrap()).unwrap_err().contains("is empty"));
        assert!(read("/dev/zero").unwrap_err().contains("16384 bytes"));
        assert!(read("/no/such").unwrap_err().contains("cannot be read"));
    }
}
