//! `tracer top`: a live trace on a full screen.
//!
//! [`feed::Feed`] is the sink: on the reading thread it counts, and a few times a second makes the
//! `ui_snapshot::UiSnapshot` that the screens are drawn from. [`screen`] has the other thread, which
//! reads keys and draws: `app` is the state, `views` draws it, `keys` changes it; none of them
//! knows the terminal or the time. [`messages`] keeps what other parts log meanwhile.

mod app;
pub mod feed;
mod keys;
mod list;
pub mod messages;
mod rows;
pub mod screen;
mod terminal;
pub mod theme;
pub mod ui_snapshot;
mod views;
