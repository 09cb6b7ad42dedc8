//! What serde says of a body or a form that it cannot read, in the words of whoever wrote it: the field, and the fix.

/// A sentence `field: problem; fix`. `at` is where serde stood: a path such as `filter.tags[0]`, or a dot.
pub(crate) fn tell(at: &str, said: &str) -> String {
    let said = without_place(said);
    // Extractors put words of their own before serde's.
    let said = said.rsplit_once("target type: ").map_or(said, |(_, said)| said);
    let said = said
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(said);
    let said = said
        .strip_prefix("Failed to deserialize form body: ")
        .unwrap_or(said);
    if let Some(field) = quoted(said, "missing field ") {
        return format!("{}: is missing; add it", inside(at, field));
    }
    if let Some(field) = quoted(said, "duplicate field ") {
        return format!("{}: is there several times; keep one", inside(at, field));
    }
    if let Some(field) = quoted(said, "unknown field ") {
        return format!(
            "{}: is not known here; {}",
            beside(at, field),
            choice(said, "remove it")
        );
    }
    if let Some(value) = quoted(said, "unknown variant ") {
        return format!(
            "{}: unknown value \"{value}\"; {}",
            whole(at),
            choice(said, "remove it")
        );
    }
    for wrong in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((_, expected)) = said
            .strip_prefix(wrong)
            .and_then(|rest| rest.split_once(", expected "))
        {
            return format!("{}: is of the wrong kind; use {}", whole(at), kind(expected));
        }
    }
    format!("{}: cannot be read: {said}", whole(at))
}

/// Serde puts the place in the text behind what it says.
fn without_place(said: &str) -> &str {
    said.rsplit_once(" at line ").map_or(said, |(said, _)| said)
}

/// What stands in backticks behind a word.
fn quoted<'a>(said: &'a str, word: &str) -> Option<&'a str> {
    said.strip_prefix(word)?.strip_prefix('`')?.split('`').next()
}

/// A field of where serde stood.
fn inside(at: &str, field: &str) -> String {
    if at == "." {
        field.to_owned()
    } else {
        format!("{at}.{field}")
    }
}

/// For an unknown field serde stands at the field already.
fn beside(at: &str, field: &str) -> String {
    if at == field || at.ends_with(&format!(".{field}")) {
        at.to_owned()
    } else {
        inside(at, field)
    }
}

fn whole(at: &str) -> &str {
    if at == "." { "the body" } else { at }
}

/// What serde would have taken.
fn choice(said: &str, none: &str) -> String {
    let Some((_, known)) = said.split_once(", expected ") else {
        return none.to_owned();
    };
    let known = known.strip_prefix("one of ").unwrap_or(known);
    format!("use one of {}", known.replace('`', ""))
}

/// A type of Rust, in words.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on that is not too large",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("string or ") => "a text",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is read to be refused")]
    struct Order {
        name: String,
        count: Option<u32>,
        kind: Option<Kind>,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is read to be refused")]
    struct Part {
        id: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Small,
        Large,
    }

    fn told(json: &str) -> String {
        let mut reader = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, Order>(&mut reader).unwrap_err();
        tell(&error.path().to_string(), &error.inner().to_string())
    }

    #[test]
    fn each_slip_names_the_field_and_the_fix() {
        for (json, expected) in [
            ("{}", "name: is missing; add it"),
            (
                r#"{"nam": "a"}"#,
                "nam: is not known here; use one of name, count, kind, parts",
            ),
            (
                r#"{"name": "a", "name": "b"}"#,
                "name: is there several times; keep one",
            ),
            (r#"{"name": 1}"#, "name: is of the wrong kind; use a text"),
            (
                r#"{"name": "a", "count": -1}"#,
                "count: is of the wrong kind; use a whole number from 0 on that is not too large",
            ),
            (
                r#"{"name": "a", "kind": "huge"}"#,
                "kind: unknown value \"huge\"; use one of small or large",
            ),
            (
                r#"{"name": "a", "parts": {}}"#,
                "parts: is of the wrong kind; use a list",
            ),
            (
                r#"{"name": "a", "parts": [{"id": "x"}, {}]}"#,
                "parts[1].id: is missing; add it",
            ),
            ("1", "the body: is of the wrong kind; use an object"),
        ] {
            assert_eq!(told(json), expected, "{json}");
        }
    }
}
