//! The courier's thread: gives it records, counts those that it does not deliver, says so once.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver},
    },
    time::Instant,
};

use super::{Batch, Courier, Lost, Parcel, Record, Shared};
use crate::{
    health,
    sink::{
        escape::without_numbers,
        flat::Row,
        message::Message,
        trouble::{Seldom, again},
    },
};

/// What the thread has.
pub(super) struct Round<C> {
    courier: C,
    shared: Arc<Shared>,
    failures: Seldom,
}

impl<C: Courier> Round<C> {
    pub(super) fn new(courier: C, shared: Arc<Shared>) -> Self {
        Self { courier, shared, failures: Seldom::default() }
    }

    pub(super) fn run(&mut self, receiver: &Receiver<Parcel>) {
        loop {
            let turn = self.courier.turn();
            let result = match health::idle(|| receiver.recv_timeout(turn)) {
                Ok(Parcel::Records(batch)) => {
                    self.deliver(&batch);
                    self.shared.waiting.fetch_sub(batch.size(), Ordering::Relaxed);
                    continue;
                }
                Ok(Parcel::Settle(settled)) => {
                    let deadline = self.shared.deadline().unwrap_or_else(Instant::now);
                    self.courier.settle(deadline);
                    self.note_lost();
                    // Nobody may wait for it any more.
                    let _ = settled.send(());
                    continue;
                }
                Ok(Parcel::Reopen) => self.courier.reopen(),
                Err(mpsc::RecvTimeoutError::Timeout) => self.courier.pause(),
                Ok(Parcel::End) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            if let Err(error) = result {
                self.report(&error);
            }
        }
        match self.courier.finish() {
            Ok(()) => self.shared.ended.store(true, Ordering::Release),
            Err(error) => self.report(&error),
        }
    }

    fn deliver(&mut self, batch: &Batch) {
        let lines = batch.lines.split(|&byte| byte == b'\n');
        for (line, message) in lines.zip(&batch.messages) {
            let delivered = Row::read(line).map_err(Into::into).and_then(|row| {
                let Message { text, severity } = message;
                self.insist(&Record { row: &row, message: text, severity: *severity })
            });
            if let Err(error) = &delivered {
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                self.report(error);
            }
            self.shared.records.fetch_sub(1, Ordering::Relaxed);
            if !self.note_lost() && delivered.is_ok() {
                self.shared.failing.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Until it is taken, or fails for good, or the trace ends: meanwhile the queue fills.
    fn insist(&mut self, record: &Record<'_>) -> io::Result<()> {
        while !self.shared.is_over() {
            // A receiver that takes nothing is no fault of this thread.
            health::alive();
            match self.courier.deliver(record) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.report(&error),
                result => return result,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "not taken by the end of the trace"))
    }

    /// Counts what has turned out to be lost.
    fn note_lost(&mut self) -> bool {
        let Some(Lost { count, error }) = self.courier.lost() else { return false };
        self.shared.failed.fetch_add(count, Ordering::Relaxed);
        self.report(&error);
        true
    }

    /// Says it once, until it works again; seldom where it works and fails in turns.
    fn report(&mut self, error: &io::Error) {
        if !self.shared.failing.swap(true, Ordering::Relaxed)
            && let Some(held) = self.failures.say()
        {
            let error = without_numbers(&error.to_string());
            tracing::error!("cannot write to {}: {error}{}", self.courier.name(), again(held));
        }
    }
}
