//! `tracer top`: a live trace on a full screen.
//!
//! [`feed::Feed`] is the sink: on the reading thread it counts, and a few times a second makes the
//! [`picture::Picture`] that the screens are drawn from. [`screen`] has the other thread, which
//! takes keys and draws: [`app`] decides what a key does, [`views`] what is where; both know
//! neither terminal nor clock. What other parts log meanwhile goes through [`messages`].

pub mod app;
pub mod feed;
pub mod messages;
pub mod picture;
pub mod rows;
pub mod screen;
mod terminal;
pub mod theme;
pub mod views;
