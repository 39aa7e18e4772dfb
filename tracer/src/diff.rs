//! `tracer diff`: what changed between two recordings beyond noise.
//!
//! Each recording is read once into counts and distributions ([`observed`]), which are compared
//! metric by metric ([`compare`]) by tests of significance ([`statistics`]); [`report`] writes what
//! remains.

pub mod compare;
pub mod observed;
pub mod report;
pub mod statistics;
#[cfg(test)]
mod tests;
