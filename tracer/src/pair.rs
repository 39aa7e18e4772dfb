//! `tracer pair`: recordings of several hosts, joined connection by connection. [`read`] takes the
//! recordings, [`tracer_model::pair`] joins and judges them, [`show`] and `words` say what is
//! proved.

pub mod read;
pub mod show;
mod words;
