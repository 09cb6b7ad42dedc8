//! What is refused, and what the error says.

use super::*;

#[test]
fn a_bad_expression_is_refused_with_its_field_and_the_fix() {
    let shape = "write five or six fields, such as \"30 2 * * MON-FRI\"";
    let rows = [
        ("", format!("is empty; {shape}")),
        ("* * * *", format!("\"* * * *\" has 4 fields; {shape}")),
        ("0 0 0 1 1 * 2030", format!("\"0 0 0 1 1 * 2030\" has 7 fields; {shape}")),
        ("0 0 * * \u{1b}[31m", format!("has the character '\\u{{1b}}'; {shape}")),
        ("@reboot", "\"@reboot\" is not a nickname; use @hourly, @daily, @weekly, @monthly or @yearly".to_owned()),
        ("61 * * * *", "the minute \"61\" has \"61\"; use 0 to 59".to_owned()),
        ("0 24 * * *", "the hour \"24\" has \"24\"; use 0 to 23".to_owned()),
        ("0 0 0 * *", "the day of month \"0\" has \"0\"; use 1 to 31".to_owned()),
        ("0 0 * 13 *", "the month \"13\" has \"13\"; use 1 to 12, or JAN to DEC".to_owned()),
        ("0 0 * * 8", "the day of week \"8\" has \"8\"; use 0 to 7, or SUN to SAT".to_owned()),
        ("0 0 * * MONDAY", "the day of week \"MONDAY\" has \"MONDAY\"; use 0 to 7, or SUN to SAT".to_owned()),
        ("JAN * * * *", "the minute \"JAN\" has \"JAN\"; use 0 to 59".to_owned()),
        ("+5 * * * *", "the minute \"+5\" has \"+5\"; use 0 to 59".to_owned()),
        ("99999999999 * * * *", "the minute \"99999999999\" has \"99999999999\"; use 0 to 59".to_owned()),
        ("70 * * * * *", "the second \"70\" has \"70\"; use 0 to 59".to_owned()),
        ("*/0 * * * *", "the minute \"*/0\" has the step \"0\"; use a step of 1 to 59".to_owned()),
        ("*/90 * * * *", "the minute \"*/90\" has the step \"90\"; use a step of 1 to 59".to_owned()),
        ("5/15 * * * *", "the minute \"5/15\" steps from a single value; write the range, such as 5-59/15".to_owned()),
        ("0 22-2 * * *", "the hour \"22-2\" has a range that runs backwards; write 22-23,0-2".to_owned()),
        ("0 0 * * SAT-MON", "the day of week \"SAT-MON\" has a range that runs backwards; write SAT-SAT,SUN-MON".to_owned()),
        ("0 0 * NOV-FEB *", "the month \"NOV-FEB\" has a range that runs backwards; write NOV-DEC,JAN-FEB".to_owned()),
        ("1,,2 * * * *", "the minute \"1,,2\" has an empty item; remove the extra comma".to_owned()),
        ("*,5 * * * *", "the minute \"*,5\" has * in a list; let it stand alone, or name the values".to_owned()),
        ("? * * * *", "the minute \"?\" has ? in a list; let it stand alone, or name the values".to_owned()),
        ("0 0 L-3 * *", "the day of month \"L-3\" has \"L-3\"; use L (last day), LW (last working day) or 15W (working day nearest to the 15th)".to_owned()),
        ("0 0 L,LW * *", "the day of month \"L,LW\" has both L and LW; keep one of them".to_owned()),
        ("0 0 32W * *", "the day of month \"32W\" has \"32\"; use 1 to 31".to_owned()),
        ("0 0 * * L", "the day of week \"L\" has L without a day; write the day, such as FRIL".to_owned()),
        ("0 0 * * MON#6", "the day of week \"MON#6\" counts to \"6\"; use #1 to #5, or L for the last, such as MON#2 or FRIL".to_owned()),
        ("0 0 31 2 *", "\"0 0 31 2 *\" never happens; choose a day that its months have, or L for the last one".to_owned()),
        ("0 0 30 FEB *", "\"0 0 30 FEB *\" never happens; choose a day that its months have, or L for the last one".to_owned()),
        ("0 0 31 4,6,9,11 *", "\"0 0 31 4,6,9,11 *\" never happens; choose a day that its months have, or L for the last one".to_owned()),
    ];
    for (text, expected) in rows {
        let error = Expression::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("expression: {expected}"));
    }
    let long = "1,".repeat(200);
    let error = Expression::parse(&long).unwrap_err().to_string();
    assert!(error.contains("has 400 bytes, over the limit of 256"), "{error}");
}

#[test]
fn an_unknown_zone_is_refused_with_names_that_are_like_it() {
    for (name, fix) in [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("berlin", "did you mean Europe/Berlin?"),
        ("New York", "did you mean America/New_York?"),
        ("US/Pacfic", "did you mean US/Pacific"),
        ("PST", "did you mean America/Los_Angeles?"),
        ("CEST", "did you mean Europe/Berlin?"),
        ("Asia/Calcuta", "did you mean Asia/Calcutta"),
        ("+02:00", "use the name of a place, such as Europe/Berlin, or UTC"),
        ("UTC+2", "use the name of a place, such as Europe/Berlin, or UTC"),
        ("", "use an IANA name, such as Europe/Berlin or UTC"),
        ("zzqx", "use an IANA name, such as Europe/Berlin or UTC"),
    ] {
        let error = Zone::parse(name).unwrap_err();
        assert!(error.fix.starts_with(fix), "{name}: {error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("zone: \"{name}\" is not a time zone; ")),
            "{error}"
        );
    }
}

#[test]
fn a_policy_that_does_not_exist_is_refused_with_those_that_do() {
    for text in ["", "none", "all:", "all:0", "all:1001", "all:-1", "All"] {
        let error = text.parse::<Misfire>().unwrap_err().to_string();
        let expected = "is not a policy; use skip, once, all (the newest 100) or all:N with N from 1 to 1000";
        assert_eq!(error, format!("misfire: \"{text}\" {expected}"));
    }
    let error = "queue".parse::<Overlap>().unwrap_err().to_string();
    assert_eq!(
        error,
        "overlap: \"queue\" is not a policy; use allow, skip or cancel-previous"
    );
}
