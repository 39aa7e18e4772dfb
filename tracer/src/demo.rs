//! `tracer demo`: a scenario is played by a process of its own, and traced as any other.

pub mod desk;
pub mod keys;
pub mod player;
pub mod presenter;
pub mod quiz;
