//! The bounded queue between the thread that reads the kernel's events and one that writes or
//! sends. The first never waits; whatever leaves the queue without being delivered is counted.

mod bounded;
mod limit;
mod worker;

pub use self::{
    bounded::{Phase, Queue},
    limit::{Limit, Size},
    worker::{Lost, Outlet, Worker},
};
