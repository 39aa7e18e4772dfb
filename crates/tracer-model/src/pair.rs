//! The two ends of a connection, recorded on two hosts: joined by the two initial sequence numbers,
//! which both have and which survive ordinary NAT, and what only both together prove.
//!
//! What is said rests on what is in the recordings: an end that has not told what it would have told
//! had it happened. So nothing is said of a time that a recording does not cover, nor by one that
//! has lost something.

mod end;
mod join;
mod skew;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::{
    end::{End, Event, Recording, What},
    join::{Joined, Link, Pair, join},
    skew::Skew,
    verdict::{Side, Verdict, verdicts},
};
