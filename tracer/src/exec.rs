//! `tracer exec`: runs a command and traces its sockets and those of all its descendants.
//!
//! The command waits in a child process until the programs are attached ([`command`]). Which
//! sockets are its own is decided by a control group that is made for it ([`group`]), or by its
//! processes where none can be made ([`scope`]). What the trace amounts to is counted by a sink
//! ([`tally`]) and written at the end ([`report`]), against what was asserted of it ([`assertion`]).
//! Of Python the interpreter says which line has connected a socket ([`python`]).

pub mod assertion;
pub mod command;
pub mod fault;
pub mod group;
pub mod inherited;
pub mod python;
pub mod report;
pub mod scope;
pub mod signals;
pub mod tally;
pub mod user;
