//! How deep JSON nests, told without parsing it: a parser recurses, and says no more than line and column.

use longshore_core::limits::DEPTH_MAX;

/// The field of an object in which a value nests deeper than a job's may; `None` when none does.
pub(crate) fn too_deep_field(json: &str) -> Option<String> {
    walk(json, 1)
}

/// Whether a value nests deeper than a job's may.
pub(crate) fn is_too_deep(json: &str) -> bool {
    walk(json, 0).is_some()
}

/// What is said of such a value.
pub(crate) fn problem(field: &str) -> String {
    format!(
        "{field}: nested deeper than {DEPTH_MAX} levels; flatten it or store it elsewhere and pass a reference"
    )
}

/// The key, on the first level, under which brackets nest more than `around` levels too deep.
fn walk(json: &str, around: usize) -> Option<String> {
    let (mut depth, mut field) = (0_usize, "");
    let (mut text_from, mut last_text, mut escaped) = (None, "", false);
    for (at, byte) in json.bytes().enumerate() {
        if let Some(from) = text_from {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    last_text = json.get(from..at).unwrap_or_default();
                    text_from = None;
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => text_from = Some(at + 1),
            b':' if depth == 1 => field = last_text,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX + around {
                    return Some(field.to_owned());
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn the_field_that_nests_too_deep_is_named() {
        let line = |levels| {
            format!(
                r#"{{"name": "a \" [[", "args": {}, "metadata": {{}}}}"#,
                nested(levels)
            )
        };
        assert_eq!(too_deep_field(&line(DEPTH_MAX)), None);
        assert_eq!(too_deep_field(&line(DEPTH_MAX + 1)), Some("args".to_owned()));
        assert_eq!(too_deep_field(&line(1_000_000)), Some("args".to_owned()));
        assert!(is_too_deep(&nested(DEPTH_MAX + 1)) && !is_too_deep(&nested(DEPTH_MAX)));
    }
}
