//! `longshore top`: a live dashboard in the terminal. It only looks: nothing is changed from here.

mod app;
mod draw;
mod look;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::future::{BoxFuture, OptionFuture};
use longshore_service::duration;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::stats::Top;
use crate::failure::Failure;
use crate::fleet::Fleet;
use app::App;
pub(crate) use app::Screen;
use look::Look;

/// How often it may look.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// How long the thread that reads keys waits before it sees that nobody listens.
const KEY_WAIT: Duration = Duration::from_millis(200);
/// Events that wait to be looked at.
const EVENTS_MAX: usize = 64;

/// Shows what goes on until `q`.
///
/// # Errors
/// When there is no terminal, or it cannot be drawn on.
pub(crate) async fn run(fleet: &Fleet, options: &Top) -> Result<(), Failure> {
    let every = every(&options.every)?;
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "`longshore top` draws on a terminal and reads its keys, and this is none; use `longshore stats -o json`",
        ));
    }
    let _restored = Restored;
    let mut terminal = ratatui::try_init()?;
    let mut app = App::new(options.screen, std::env::var_os("NO_COLOR").is_none());
    show(fleet, &mut app, every, &mut terminal).await
}

fn every(text: &str) -> Result<Duration, Failure> {
    let every = duration::parse(text).map_err(|error| Failure::usage(format!("--every: {error}")))?;
    if EVERY.contains(&every) {
        Ok(every)
    } else {
        Err(Failure::usage(format!(
            "--every: {text} is out of range; use 100ms to 1m"
        )))
    }
}

/// Gives the terminal back as it was, however this ends.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn show(
    fleet: &Fleet,
    app: &mut App,
    every: Duration,
    terminal: &mut DefaultTerminal,
) -> Result<(), Failure> {
    let mut events = listen();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // One look at a time, beside the keys: a store that is slow must not hold up who wants to leave.
    let mut looking: Option<BoxFuture<'_, Result<Look, String>>> = None;
    loop {
        terminal.draw(|frame| draw::draw(frame, app))?;
        tokio::select! {
            _ = ticks.tick(), if !app.is_paused() && looking.is_none() => {
                looking = Some(Box::pin(look::look(fleet, app.screen())));
            }
            Some(look) = OptionFuture::from(looking.as_mut()) => {
                looking = None;
                app.take(look);
            }
            event = events.recv() => match event {
                Some(Event::Key(key)) if press(app, key).is_break() => return Ok(()),
                // A new size, or nothing to do: it is drawn anew.
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}

fn press(app: &mut App, key: KeyEvent) -> ControlFlow<()> {
    if key.kind == KeyEventKind::Release {
        return ControlFlow::Continue(());
    }
    app.press(key.code, key.modifiers)
}

/// Reads keys in a thread of its own: a terminal is read by waiting. The thread ends when nobody listens any more.
fn listen() -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    tokio::task::spawn_blocking(move || {
        while !sender.is_closed() {
            let read = match event::poll(KEY_WAIT) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let Ok(event) = read else { return };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}
