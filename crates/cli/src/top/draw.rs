//! One frame: a title, the screen, the keys.

mod lists;
mod overview;

use longshore_core::{Clock, SystemClock};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, Screen};
use super::look::Look;
use crate::board::{short, short_time};

/// The smallest terminal that the screens are made for.
const LEAST: (u16, u16) = (60, 16);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "The terminal is too small: {} by {} at least. q quits.",
            LEAST.0, LEAST.1
        );
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let [title, body, keys] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(tabs(app)), title);
    frame.render_widget(Paragraph::new(key_line(app)), keys);
    let Some(look) = app.look.take() else {
        let text = app.error.as_deref().map_or_else(
            || "Waiting for the first answer of the store.".to_owned(),
            |error| format!("The store does not answer: {error}"),
        );
        frame.render_widget(Paragraph::new(text), body);
        return;
    };
    draw_screen(frame, body, app, &look);
    app.look = Some(look);
}

fn draw_screen(frame: &mut Frame<'_>, area: Rect, app: &mut App, look: &Look) {
    let paint = Paint(app.in_colour);
    match app.screen() {
        Screen::Overview => overview::draw(frame, area, look, paint),
        Screen::Queues => lists::queues(frame, area, look, &mut app.scroll, paint),
        Screen::Functions => lists::functions(frame, area, look, &mut app.scroll, paint),
        Screen::Workers => lists::workers(frame, area, look, &mut app.scroll, paint),
        Screen::Jobs => lists::jobs(frame, area, look, &mut app.scroll, paint),
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
struct Paint(bool);

impl Paint {
    fn colour(self, colour: Color) -> Style {
        if self.0 {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red)
    }

    fn warn(self) -> Style {
        self.colour(Color::Yellow)
    }

    const fn head() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// The screens by number, the one that is shown in reverse.
fn tabs(app: &App) -> Line<'static> {
    let mut spans = vec![Span::styled("longshore", Paint::head()), Span::raw("  ")];
    for (number, screen) in (1..).zip(Screen::ALL) {
        let text = format!(" {number} {} ", screen.name());
        let style = if screen == app.screen() {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new()
        };
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

/// What keys do; before it, what is wrong or that nothing moves.
fn key_line(app: &App) -> Line<'static> {
    let paint = Paint(app.in_colour);
    let mut spans = Vec::new();
    if app.is_paused() {
        spans.push(Span::styled(
            " PAUSED ",
            Style::new().add_modifier(Modifier::REVERSED),
        ));
        spans.push(Span::raw(" "));
    }
    if let Some((error, look)) = app.error.as_ref().zip(app.look.as_ref()) {
        let age = short_time(SystemClock.now().since(look.statistics.at));
        let text = format!("no answer for {age}: {}  ", short(error, 30));
        spans.push(Span::styled(text, paint.bad()));
    }
    let pause = if app.is_paused() { "go on" } else { "pause" };
    let keys = [
        ("q", "quit"),
        ("p", pause),
        ("1-5 Tab", "screen"),
        ("↑ ↓", "scroll"),
    ];
    for (key, what) in keys {
        spans.push(Span::styled(key, Paint::head()));
        spans.push(Span::raw(format!(" {what}   ")));
    }
    Line::from(spans)
}
