//! What somebody who mistyped a name may have meant.

/// How alike two names must be, from 0 (not at all) to 1 (the same).
const ALIKE: f64 = 0.8;

/// The known name that is most like this one, when one is like it at all.
pub(crate) fn most_similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, other), other));
    rated
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, other)| other)
}

/// The question to ask whoever mistyped, with a space before it; empty when nothing is like it.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    most_similar(name, known).map_or_else(String::new, |other| format!(" Did you mean {other}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_name_is_not_taken_for_one() {
        let known = ["send_report", "resize_image", "default"];
        for (typed, meant) in [
            ("send_reprot", Some("send_report")),
            ("sendreport", Some("send_report")),
            ("defualt", Some("default")),
            ("purge", None),
            ("zzz", None),
        ] {
            assert_eq!(most_similar(typed, known), meant, "{typed}");
        }
        assert_eq!(did_you_mean("defualt", known), " Did you mean default?");
        assert_eq!(did_you_mean("zzz", known), "");
    }
}
