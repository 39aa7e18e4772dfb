//! The thread that takes keys and draws.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use ratatui::{
    crossterm::event::{self, Event},
    layout::Rect,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    app::{App, Effect},
    messages,
    picture::{Picture, Shared},
    terminal::Taken,
    theme::Theme,
    views,
};
use crate::{kernel::time, sink::surroundings::Surroundings};

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
) -> io::Result<JoinHandle<()>> {
    let taken = Taken::new()?;
    let zone = jiff::tz::TimeZone::system();
    let app = App::new(Picture::empty(time::wall_clock()), surroundings, theme, zone);
    thread::Builder::new().name("screen".into()).spawn(move || {
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

/// Waits for a key, a signal (the size has changed) or the end of the time.
///
/// # Errors
///
/// Where the terminal is gone, on which crossterm would wait for ever without rest.
fn wait_for_keys() -> io::Result<()> {
    let keys = io::stdin();
    let mut fds = [PollFd::new(&keys, PollFlags::IN)];
    let timeout = Timespec::try_from(TICK).map_err(io::Error::other)?;
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn run(mut app: App, shared: &Shared, mut taken: Taken) -> io::Result<()> {
    let mut stale = true;
    while !shared.has_ended() {
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
        wait_for_keys()?;
        // All that has been typed meanwhile before the next drawing.
        while event::poll(Duration::ZERO)? {
            stale = true;
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
