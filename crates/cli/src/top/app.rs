//! What is shown, and what keys do to it.

use std::ops::ControlFlow;

use clap::ValueEnum;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::look::Look;

/// The screens, in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Screen {
    /// Throughput, failures, backlog, times
    #[default]
    Overview,
    /// What waits, by queue
    Queues,
    /// What ran, by function
    Functions,
    /// Who works
    Workers,
    /// Jobs that run now
    Jobs,
}

impl Screen {
    pub(super) const ALL: [Self; 5] = [
        Self::Overview,
        Self::Queues,
        Self::Functions,
        Self::Workers,
        Self::Jobs,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Queues => "queues",
            Self::Functions => "functions",
            Self::Workers => "workers",
            Self::Jobs => "jobs",
        }
    }

    fn moved(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|screen| *screen == self).unwrap_or(0);
        let next = Self::ALL.get((at + by) % Self::ALL.len());
        next.copied().unwrap_or_default()
    }
}

/// The state of the dashboard.
#[derive(Debug)]
pub(super) struct App {
    screen: Screen,
    pub(super) look: Option<Look>,
    /// Why the last look failed; what is shown is older then.
    pub(super) error: Option<String>,
    /// Rows of a list above the first that is shown.
    pub(super) scroll: usize,
    is_paused: bool,
    pub(super) in_colour: bool,
}

impl App {
    pub(super) const fn new(screen: Screen, in_colour: bool) -> Self {
        Self {
            screen,
            look: None,
            error: None,
            scroll: 0,
            is_paused: false,
            in_colour,
        }
    }

    pub(super) const fn screen(&self) -> Screen {
        self.screen
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes a look in.
    pub(super) fn take(&mut self, look: Result<Look, String>) {
        match look {
            Ok(look) => {
                self.look = Some(look);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// What a key does; a break ends it all.
    pub(super) fn press(&mut self, key: KeyCode, with: KeyModifiers) -> ControlFlow<()> {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return ControlFlow::Break(()),
            // The terminal sends no signal while keys are read one by one.
            KeyCode::Char('c') if with.contains(KeyModifiers::CONTROL) => return ControlFlow::Break(()),
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab | KeyCode::Right => self.go(self.screen.moved(1)),
            KeyCode::BackTab | KeyCode::Left => self.go(self.screen.moved(Screen::ALL.len() - 1)),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Char(number) => {
                let place = number.to_digit(10).and_then(|number| number.checked_sub(1));
                let screen = place.and_then(|place| Screen::ALL.get(place as usize));
                if let Some(screen) = screen {
                    self.go(*screen);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    const fn go(&mut self, screen: Screen) {
        self.screen = screen;
        self.scroll = 0;
    }
}
