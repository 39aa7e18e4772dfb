//! The thread that takes keys and draws.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ratatui::{
    crossterm::event::{self, Event},
    layout::Rect,
};

use super::{
    app::{App, Effect},
    messages,
    picture::{Picture, Shared},
    terminal::Taken,
    theme::Theme,
    views,
};
use crate::{health, kernel::time, sink::surroundings::Surroundings};

/// Without a key, what is new is looked for this often.
const TICK: Duration = Duration::from_millis(250);

/// Why a screen has ended before the trace.
pub type Failure = Arc<Mutex<Option<io::Error>>>;

/// Takes the terminal over and shows what `shared` has until the trace ends, or somebody has had
/// enough: then `closed` is called, and also where the terminal fails.
///
/// # Errors
///
/// Where the terminal cannot be set, or no thread can be had.
pub fn start(
    theme: Theme,
    surroundings: Arc<dyn Surroundings>,
    shared: Arc<Shared>,
    failure: Failure,
    closed: impl FnOnce() + Send + 'static,
) -> io::Result<health::Thread> {
    let taken = Taken::new()?;
    let zone = jiff::tz::TimeZone::system();
    let app = App::new(Picture::empty(time::wall_clock()), surroundings, theme, zone);
    health::spawn("screen", move || {
        // Also when this thread panics.
        let _closing = Closing(Some(closed));
        if let Err(error) = run(app, &shared, taken) {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    })
}

struct Closing<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Closing<F> {
    fn drop(&mut self) {
        if let Some(closed) = self.0.take() {
            closed();
        }
    }
}

fn run(mut app: App, shared: &Shared, mut taken: Taken) -> io::Result<()> {
    let mut stale = true;
    while !shared.has_ended() {
        health::alive();
        if let Some(picture) = shared.take() {
            app.take(picture);
            stale = true;
        }
        let told = messages::take();
        stale |= !told.is_empty();
        app.messages.extend(told);
        if stale {
            taken.terminal.draw(|frame| {
                let area = frame.area();
                app.fit(area);
                views::draw(&app, area, frame.buffer_mut());
            })?;
            stale = false;
        }
        shared.set_wish(app.wish());
        let mut wait = TICK;
        // All that has been typed meanwhile before the next drawing. Where the terminal goes away
        // crossterm waits for ever: the signal that comes with it ends the trace, and this thread
        // is left behind.
        while event::poll(wait)? {
            stale = true;
            wait = Duration::ZERO;
            match event::read()? {
                Event::Key(key) if app.key(key) == Effect::Quit => return Ok(()),
                Event::Mouse(mouse) => app.mouse(mouse),
                Event::Resize(columns, rows) => app.fit(Rect::new(0, 0, columns, rows)),
                _ => {}
            }
        }
    }
    Ok(())
}
