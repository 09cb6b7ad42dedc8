//! The lines of a batch that was written in part, each with its id.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use longshore_core::JobId;
use serde_json::{Map, Value};

/// Writes the lines of `text` that hold jobs to `path`, in a new file that takes its place whole.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, text: &str, ids: impl Iterator<Item = Option<JobId>>) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut file = BufWriter::new(std::fs::File::create(&part)?);
    for (line, id) in super::input::job_lines(text).map(|(_, line)| line).zip(ids) {
        writeln!(file, "{}", with_id(line, id))?;
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    std::fs::rename(part, path)
}

/// A line that chose its own id or key is what it was.
fn with_id(line: &str, id: Option<JobId>) -> String {
    let parsed = serde_json::from_str::<Map<String, Value>>(line);
    match (parsed, id) {
        (Ok(mut fields), Some(id))
            if !fields.contains_key("id") && !fields.contains_key("idempotency_key") =>
        {
            fields.insert("id".to_owned(), id.to_string().into());
            Value::Object(fields).to_string()
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_the_id_that_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.jsonl.resume.jsonl");
        let text = "{\"function_name\": \"a\"}\n\n{\"function_name\": \"b\", \"idempotency_key\": \"k\"}\n";
        let id = JobId::from_idempotency_key("x");
        write(
            &path,
            text,
            [Some(id), Some(JobId::from_idempotency_key("k"))].into_iter(),
        )
        .unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            written,
            format!(
                "{{\"function_name\":\"a\",\"id\":\"{id}\"}}\n{{\"function_name\": \"b\", \"idempotency_key\": \"k\"}}\n"
            )
        );
    }
}
