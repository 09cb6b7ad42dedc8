//! What holds for every expression, zone and time.

use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

/// From 2020 to 2045: rules of daylight-saving time that are known, and their projection.
const YEARS: std::ops::Range<u64> = 1_577_836_800_000..2_366_841_600_000;

fn zone() -> impl Strategy<Value = Zone> {
    proptest::sample::select(chrono_tz::TZ_VARIANTS.as_slice()).prop_map(Zone)
}

fn item(min: u16, max: u16) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (min..=max).prop_map(|value| value.to_string()),
        1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (1..=max - min).prop_map(|step| format!("*/{step}")),
        1 => (min..=max, min..=max, 1..=max - min).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
    ]
}

fn field(min: u16, max: u16) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        3 => proptest::collection::vec(item(min, max), 1..4).prop_map(|items| items.join(",")),
    ]
}

fn day_of_month() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(vec!["L", "LW", "1W", "15W", "31W", "?"]);
    prop_oneof![4 => field(1, 31), 1 => special.prop_map(str::to_owned)]
}

fn day_of_week() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(vec!["FRIL", "MON#1", "SUN#5", "MON-FRI", "FRI-SUN", "?"]);
    prop_oneof![4 => field(0, 7), 1 => special.prop_map(str::to_owned)]
}

fn expression() -> impl Strategy<Value = Expression> {
    let seconds = prop_oneof![2 => Just(String::new()), 1 => field(0, 59).prop_map(|field| field + " ")];
    (
        seconds,
        field(0, 59),
        field(0, 23),
        day_of_month(),
        field(1, 12),
        day_of_week(),
    )
        .prop_map(|(s, m, h, day, month, weekday)| format!("{s}{m} {h} {day} {month} {weekday}"))
        .prop_filter_map("never happens", |text| match Expression::parse(&text) {
            Ok(expression) => Some(expression),
            Err(InvalidExpression::Impossible(_)) => None,
            Err(error) => panic!("{text}: {error}"),
        })
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    (expression(), zone()).prop_map(|(expression, zone)| Schedule { expression, zone })
}

/// An instant within a day of a change of the zone's clock, when the year has one.
fn near_change(zone: Zone, start: Timestamp, offset: u64) -> Timestamp {
    let hour = 3_600_000;
    let offset_at = |at: u64| {
        let utc = DateTime::from_timestamp_millis(at.try_into().unwrap()).unwrap();
        chrono::Offset::fix(&zone.0.offset_from_utc_datetime(&utc.naive_utc()))
    };
    let hours = (0..366 * 24).map(|hours| start.millis() + hours * hour);
    let change = hours
        .into_iter()
        .find(|at| offset_at(*at) != offset_at(at + hour));
    Timestamp(change.unwrap_or(start.millis()) - 24 * hour + offset)
}

proptest! {
    #[test]
    fn ticks_rise_strictly(schedule in any_schedule(), start in YEARS, offset in 0..172_800_000_u64) {
        for start in [Timestamp(start), near_change(schedule.zone, Timestamp(start), offset)] {
            let mut last = start;
            for tick in schedule.ticks(start).take(50) {
                prop_assert!(tick > last, "{schedule}: {tick:?} after {last:?}");
                last = tick;
            }
        }
    }

    #[test]
    fn the_next_tick_is_the_same_from_everywhere_before_it(
        schedule in any_schedule(),
        start in YEARS,
        offset in 0..172_800_000_u64,
        part in 0.0..1.0_f64,
    ) {
        let start = near_change(schedule.zone, Timestamp(start), offset);
        let mut last = start;
        for tick in schedule.ticks(start).take(20) {
            let wait = tick.since(last).mul_f64(part);
            let between = last.after(wait).min(Timestamp(tick.millis() - 1));
            prop_assert_eq!(schedule.next(between), Some(tick), "{} from {:?}", schedule, between);
            last = tick;
        }
    }

    #[test]
    fn an_hourly_interval_ticks_every_hour_of_elapsed_time(zone in zone(), start in YEARS, offset in 0..172_800_000_u64) {
        // Zones whose offset is no whole number of hours begin their hours elsewhere, and Lord Howe changes by half.
        prop_assume!(zone.as_str() != "Australia/Lord_Howe" && zone.as_str() != "Australia/LHI");
        let schedule = Schedule { expression: Expression::parse("0 * * * *").unwrap(), zone };
        let start = near_change(zone, Timestamp(start), offset);
        let ticks: Vec<_> = schedule.ticks(start).take(60).collect();
        for pair in ticks.windows(2) {
            prop_assert_eq!(pair[1].since(pair[0]).as_secs(), 3_600);
        }
    }

    #[test]
    fn a_daily_time_ticks_once_a_day(
        zone in zone(),
        hour in 0..24_u32,
        minute in 0..60_u32,
        start in YEARS,
        offset in 0..172_800_000_u64,
    ) {
        let expression = Expression::parse(&format!("{minute} {hour} * * *")).unwrap();
        let schedule = Schedule { expression, zone };
        let start = near_change(zone, Timestamp(start), offset);
        let ticks: Vec<_> = schedule.ticks(start).take(8).collect();
        for pair in ticks.windows(2) {
            let hours = pair[1].since(pair[0]).as_secs_f64() / 3_600.0;
            prop_assert!((22.0..=26.0).contains(&hours), "{schedule}: {hours} hours between {pair:?}");
        }
    }

    #[test]
    fn a_plan_ends_past_now_and_its_steps_join(
        schedule in any_schedule(),
        start in YEARS,
        late in 0..10_000_000_u64,
        most in 1..20_u32,
        policy in 0..3_usize,
    ) {
        let Some(expected) = schedule.next(Timestamp(start)) else { return Ok(()) };
        let now = Timestamp(expected.millis() + late);
        let misfire = [Misfire::Skip, Misfire::Once, Misfire::All(most)][policy];
        let steps = super::super::plan(&schedule, misfire, expected, now);
        prop_assert_eq!(steps[0].tick, expected);
        for pair in steps.windows(2) {
            prop_assert_eq!(pair[0].next, pair[1].tick);
        }
        prop_assert!(steps.iter().all(|step| step.next > step.tick && step.tick <= now));
        prop_assert!(steps.last().unwrap().next > now);
    }
}
