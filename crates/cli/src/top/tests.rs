//! Every screen at 80 by 24: all of it is there, and nothing is cut that matters.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore::{FunctionRow, Point, QueueRow, Statistics, Tally, WorkerView};
use longshore_core::outcome::Progress;
use longshore_core::view::JobView;
use longshore_core::{FunctionName, JobStatus, QueueName, Timestamp, WorkerId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::app::{App, Screen};
use super::draw::draw;
use super::look::Look;
use crate::board::tests::running;

const NOW: Timestamp = Timestamp(1_900_000_000_000);

fn tally() -> Tally {
    let mut tally = Tally {
        enqueued: 5_000,
        started: 4_700,
        completed: 4_321,
        failed: 43,
        retried: 210,
        ..Tally::default()
    };
    for millis in [5, 20, 90, 1_500] {
        tally.wait.add(Duration::from_millis(millis));
        tally.run.add(Duration::from_millis(millis * 10));
    }
    tally
}

fn statistics() -> Statistics {
    let jobs = BTreeMap::from([(JobStatus::Queued, 1_234), (JobStatus::Running, 8)]);
    let queue = |name| QueueRow {
        queue: Some(QueueName::new(name).unwrap()),
        paused: name == "mails",
        jobs: jobs.clone(),
        oldest: Some(NOW.before(Duration::from_secs(65))),
        tally: tally(),
        parked: 0,
    };
    let function = |name: String| FunctionRow {
        function: Some(FunctionName::new(name).unwrap()),
        jobs: jobs.clone(),
        tally: tally(),
    };
    Statistics {
        at: NOW,
        from: NOW.before(Duration::from_secs(3_600)),
        step: Duration::from_secs(60),
        total: tally(),
        series: (0..61)
            .map(|minute| Point {
                at: NOW.before(Duration::from_secs(60 * (60 - minute))),
                tally: Tally {
                    completed: minute * 2,
                    failed: minute % 3,
                    ..Tally::default()
                },
            })
            .collect(),
        functions: (0..30)
            .map(|number| function(format!("function_{number:02}")))
            .collect(),
        queues: vec![queue("default"), queue("mails")],
    }
}

fn worker() -> WorkerView {
    WorkerView {
        id: WorkerId("host-1-abc".to_owned()),
        host: "host".to_owned(),
        pid: 1,
        version: "0.1.0".to_owned(),
        functions: vec![FunctionName::new("resize").unwrap()],
        queues: vec![QueueName::default()],
        slots: 8,
        busy: 3,
        free: 0,
        unattached: Vec::new(),
        running: Vec::new(),
        draining: false,
        started_at: NOW.before(Duration::from_secs(3_700)),
        seen_at: NOW.before(Duration::from_secs(4)),
        watermarks: Vec::new(),
        run_times: Vec::new(),
    }
}

fn job(fraction: Option<f64>) -> JobView {
    JobView {
        name: "Resize \u{1b}[31mthe pictures".to_owned(),
        created_at: NOW,
        started_at: Some(NOW.before(Duration::from_secs(12))),
        progress: Progress {
            fraction,
            message: "page 5 of 10".to_owned(),
            ..Progress::default()
        },
        ..running(None)
    }
}

fn app(screen: Screen) -> App {
    let mut app = App::new(screen, true);
    app.take(Ok(Look {
        statistics: statistics(),
        workers: vec![worker()],
        jobs: vec![job(Some(0.5)), job(None)],
    }));
    app
}

fn drawn(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

fn screen(screen: Screen) -> Vec<String> {
    drawn(&mut app(screen), 80, 24)
}

fn has(lines: &[String], text: &str) {
    assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:#?}");
}

#[test]
fn every_screen_shows_its_keys_and_the_others() {
    for shown in Screen::ALL {
        let lines = screen(shown);
        assert!(
            lines[0].contains("1 overview") && lines[0].contains("5 jobs"),
            "{lines:#?}"
        );
        assert!(
            lines[23].contains("q quit") && lines[23].contains("p pause"),
            "{lines:#?}"
        );
    }
}

#[test]
fn the_overview_tells_throughput_backlog_failures_and_times() {
    let lines = screen(Screen::Overview);
    // 118 in the last whole minute and 120 in this one, which has just begun.
    has(&lines, "completed a minute, last hour: now 238, at most 120");
    has(&lines, "2,468 queued, the oldest for 1m 5s");
    has(&lines, "1 live, 3 of 8 slots busy");
    has(&lines, "43 given up (1.0 %), 210 retried, 0 lost");
    has(&lines, "p50 20ms   p95 1.5s   p99 1.5s");
    has(&lines, "█");
}

#[test]
fn queues_tell_length_age_and_rates() {
    let lines = screen(Screen::Queues);
    has(&lines, "QUEUE        STATE  QUEUED   OLDEST   RUNNING");
    has(&lines, "mails        paused 1,234    1m 5s    8       1.4/s");
}

#[test]
fn a_list_that_is_too_long_says_so_and_scrolls_to_its_end_and_no_further() {
    let mut app = app(Screen::Functions);
    let lines = drawn(&mut app, 80, 24);
    has(&lines, "(1-19 of 30)");
    has(&lines, "function_00");
    for _ in 0..100 {
        assert!(app.press(KeyCode::Down, KeyModifiers::NONE).is_continue());
    }
    let lines = drawn(&mut app, 80, 24);
    has(&lines, "(12-30 of 30)");
    has(&lines, "function_29");
    assert!(app.press(KeyCode::Up, KeyModifiers::NONE).is_continue());
    has(&drawn(&mut app, 80, 24), "(11-29 of 30)");
}

#[test]
fn workers_tell_version_slots_and_what_they_are_for() {
    let lines = screen(Screen::Workers);
    has(
        &lines,
        "host-1-abc         0.1.0   working  1h 1m   3/8     4s    default   resize",
    );
}

#[test]
fn running_jobs_have_bars_and_cannot_speak_to_the_terminal() {
    let lines = screen(Screen::Jobs);
    has(
        &lines,
        "ac120002 Resize  [31mthe pic… 12s     ███████░░░░░░░ 50 %  page 5 of 10",
    );
    has(&lines, "░░░░░░░░░░░░░░ —     page 5 of 10");
}

#[test]
fn keys_choose_screens_pause_and_quit() {
    let mut app = app(Screen::Overview);
    let mut press = |key| app.press(key, KeyModifiers::NONE);
    assert!(press(KeyCode::Char('4')).is_continue());
    assert!(press(KeyCode::Tab).is_continue());
    assert!(press(KeyCode::Tab).is_continue());
    assert!(press(KeyCode::Left).is_continue());
    assert!(press(KeyCode::Char('9')).is_continue());
    assert!(press(KeyCode::Char('p')).is_continue());
    assert!(press(KeyCode::Char('q')).is_break());
    assert!(press(KeyCode::Esc).is_break());
    assert_eq!((app.screen(), app.is_paused()), (Screen::Jobs, true));
    assert!(app.press(KeyCode::Char('c'), KeyModifiers::CONTROL).is_break());
    has(&drawn(&mut app, 80, 24), "PAUSED  q quit");
}

#[test]
fn a_store_that_does_not_answer_is_told_and_what_was_seen_stays() {
    let mut app = app(Screen::Overview);
    app.take(Err("Redis is not reachable".to_owned()));
    let lines = drawn(&mut app, 80, 24);
    has(&lines, "Redis is not reachable");
    has(&lines, "2,468 queued");
    let mut fresh = App::new(Screen::Overview, false);
    fresh.take(Err("Redis is not reachable".to_owned()));
    has(
        &drawn(&mut fresh, 80, 24),
        "The store does not answer: Redis is not reachable",
    );
}

#[test]
fn a_terminal_that_is_too_small_is_told_what_it_needs() {
    has(&drawn(&mut app(Screen::Overview), 40, 10), "too small");
    for shown in Screen::ALL {
        drawn(&mut app(shown), 60, 16);
        drawn(&mut app(shown), 200, 60);
    }
}
