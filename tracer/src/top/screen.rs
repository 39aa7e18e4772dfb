//! The thread that reads keys and draws.

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
    app::{App, Pane},
    keys::Effect,
    messages,
    terminal::Taken,
    theme::Theme,
    ui_snapshot::{Shared, UiSnapshot},
    views,
};
use tracer_health as health;
use tracer_kernel::time;
use tracer_texts::Texts;

/// Without a key, the screen looks for a new picture this often.
const TICK: Duration = Duration::from_millis(250);

/// The error that ended a screen before the trace.
pub type Failure = Arc<Mutex<Option<io::Error>>>;

/// Takes the terminal over and shows the pictures in `shared` until the trace ends, the user quits
/// or the terminal fails. Then it calls `closed`.
///
/// # Errors
///
/// If the terminal cannot be set up, or no thread can be started.
pub fn start(
    appearance: (Theme, Texts),
    shared: Arc<Shared>,
    failure: Failure,
    closed: impl Fn() + Send + 'static,
) -> io::Result<health::Thread> {
    let taken = Taken::new()?;
    let zone = jiff::tz::TimeZone::system();
    let ui_snapshot = UiSnapshot { clock: time::wall_clock(), ..UiSnapshot::default() };
    let app = App::new(ui_snapshot, appearance, zone);
    health::spawn("screen", move || {
        // Also when this thread panics.
        let _closing = Closing(closed);
        if let Err(error) = run(app, &shared, taken) {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    })
}

struct Closing<F: Fn()>(F);

impl<F: Fn()> Drop for Closing<F> {
    fn drop(&mut self) {
        self.0();
    }
}

fn run(mut app: App, shared: &Shared, mut taken: Taken) -> io::Result<()> {
    let mut stale = true;
    while !shared.lock().ended {
        health::alive();
        let ui_snapshot = shared.lock().ui_snapshot.take();
        let messages = messages::take();
        stale |= ui_snapshot.is_some() || !messages.is_empty();
        ui_snapshot.into_iter().for_each(|ui_snapshot| app.take(ui_snapshot));
        app.messages.extend(messages);
        if stale {
            taken.terminal.draw(|frame| {
                let area = frame.area();
                app.fit(area);
                views::draw(&app, area, frame.buffer_mut());
            })?;
            stale = false;
        }
        // What is shown to be selected is selected by the terminal.
        taken.take_mouse(app.pane != Some(Pane::Command))?;
        shared.lock().view_request = app.view_request();
        let mut wait = TICK;
        // Handles everything that has been typed meanwhile before drawing again. If the terminal
        // goes away, crossterm waits for ever: the signal that comes with it ends the trace, and
        // this thread is left behind.
        while event::poll(wait)? {
            stale = true;
            wait = Duration::ZERO;
            match event::read()? {
                Event::Key(key) => match app.key(key) {
                    Effect::None => {}
                    Effect::Quit => return Ok(()),
                    Effect::Copy(text) => taken.copy(&text)?,
                },
                Event::Mouse(mouse) => app.mouse(mouse),
                Event::Resize(columns, rows) => app.fit(Rect::new(0, 0, columns, rows)),
                _ => {}
            }
        }
    }
    Ok(())
}
