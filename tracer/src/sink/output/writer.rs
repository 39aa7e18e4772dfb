//! The writing thread: lines to their destination, and the files that they fill.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender, SyncSender},
    },
};

use jiff::Timestamp;

use super::{Beginnings, Destination, Message, Shared, lines_in};
use crate::{
    health,
    sink::{
        OfFile,
        escape::without_numbers,
        file::Unwritten,
        trouble::{Retry, Seldom, again},
    },
};

pub(super) struct Writer<F> {
    destination: Destination,
    beginnings: Option<Beginnings>,
    /// The number of the file that was begun last.
    sequence: u64,
    shared: Arc<Shared>,
    closed: Option<F>,
    rotating: Retry,
    /// SIGHUP has come, and the file could not be opened anew yet.
    reopening: Option<Retry>,
    failures: Seldom,
}

impl<F: FnOnce()> Writer<F> {
    pub(super) fn new(destination: Destination, shared: Arc<Shared>, closed: F) -> Self {
        Self {
            destination,
            beginnings: None,
            sequence: 0,
            shared,
            closed: Some(closed),
            rotating: Retry::default(),
            reopening: None,
            failures: Seldom::default(),
        }
    }

    pub(super) fn run(
        mut self,
        receiver: &Receiver<Message>,
        empty: &SyncSender<Vec<u8>>,
        done: &Sender<()>,
    ) {
        while let Ok(message) = health::idle(|| receiver.recv()) {
            match message {
                Message::Begin(beginnings) => self.begin(beginnings),
                Message::Lines(mut bytes) => {
                    self.lines(&bytes);
                    self.shared.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                    bytes.clear();
                    // Where there are enough, it goes.
                    let _ = empty.try_send(bytes);
                }
                Message::Reopen => {
                    self.reopening.get_or_insert_default().hurry();
                    self.rotating.hurry();
                    self.reopen();
                }
                Message::End => break,
            }
        }
        self.end();
        // The other end may have given up waiting.
        let _ = done.send(());
    }

    fn begin(&mut self, beginnings: Beginnings) {
        let first = beginnings.first;
        self.sequence = first.iter().flatten().map(|first| first.sequence).max().unwrap_or(0);
        self.beginnings = Some(beginnings);
        let of_file = first.unwrap_or_else(|| self.next_file());
        self.begin_file(of_file);
    }

    /// What the file is that is begun now, if it is one.
    fn next_file(&self) -> Option<OfFile> {
        let Destination::File(file) = &self.destination else { return None };
        let (sequence, opened) = (self.sequence.saturating_add(1), Timestamp::now());
        file.is_regular().then_some(OfFile { sequence, opened })
    }

    fn begin_file(&mut self, of_file: Option<OfFile>) {
        let Some(Beginnings { opening, .. }) = &mut self.beginnings else { return };
        let mut beginning = opening(of_file);
        let appends = matches!(&self.destination, Destination::File(file) if !file.is_empty());
        if appends {
            beginning.header.clear();
        }
        let both = [beginning.header, beginning.hello].concat();
        if self.write(&both) {
            self.sequence = of_file.map_or(self.sequence, |file| file.sequence);
        }
    }

    fn lines(&mut self, lines: &[u8]) {
        self.reopen();
        self.rotate(lines.len() as u64);
        // It is new, or somebody has cut it.
        if matches!(&self.destination, Destination::File(file) if file.is_empty()) {
            self.begin_file(self.next_file());
        }
        self.write(lines);
    }

    fn rotate(&mut self, coming: u64) {
        let Destination::File(file) = &mut self.destination else { return };
        file.tend();
        if !file.is_due(coming) || !self.rotating.is_due() {
            return;
        }
        match file.rotate() {
            Ok(_) => {
                file.compress();
                let failures = self.rotating.over();
                if failures > 0 {
                    let path = file.path().display();
                    tracing::warn!("{path} is set aside, after {failures} failures");
                }
            }
            Err(error) => {
                if self.rotating.failed() {
                    self.report("set aside", &error, " (it goes on; tried again)");
                }
            }
        }
    }

    fn reopen(&mut self) {
        let Destination::File(file) = &mut self.destination else { return };
        let Some(retry) = self.reopening.as_mut().filter(|retry| retry.is_due()) else { return };
        match file.reopen() {
            Ok(_) => {
                let (failures, path) = (retry.over(), file.path().display());
                if failures > 0 {
                    tracing::warn!("{path} is opened anew, after {failures} failures");
                }
                self.reopening = None;
                if file.is_empty() {
                    self.begin_file(self.next_file());
                }
            }
            Err(error) => {
                if retry.failed() {
                    self.report("open anew", &error, " (the old one goes on; tried again)");
                }
            }
        }
    }

    /// Whether it is written.
    fn write(&mut self, lines: &[u8]) -> bool {
        let written = match &mut self.destination {
            Destination::File(file) => file.append(lines),
            Destination::Stream(stream) => {
                stream.write_all(lines).map_err(|error| Unwritten { error, rest: lines.len() })
            }
        };
        match written {
            Ok(()) => {
                self.shared.failing.store(false, Ordering::Relaxed);
                return true;
            }
            Err(Unwritten { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.shared.closed.store(true, Ordering::Release);
                if let Some(closed) = self.closed.take() {
                    closed();
                }
            }
            Err(Unwritten { error, rest }) => {
                if !self.shared.failing.swap(true, Ordering::Relaxed)
                    && let Some(held) = self.failures.say()
                {
                    self.report("write to", &error, &again(held));
                }
                let lost = lines_in(&lines[lines.len() - rest..]);
                self.shared.failed.fetch_add(lost, Ordering::Relaxed);
            }
        }
        false
    }

    fn end(&mut self) {
        let mut whole = !self.shared.failing.load(Ordering::Relaxed);
        if whole && matches!(&self.destination, Destination::File(file) if file.is_deleted()) {
            whole = false;
            self.shared.failing.store(true, Ordering::Relaxed);
            let deleted = io::Error::other("it has been deleted");
            self.report("keep what is written in", &deleted, "");
        }
        let tried = self.reopening.take().map_or(0, |mut retry| retry.over());
        for (what, failures) in [("set aside", self.rotating.over()), ("opened anew", tried)] {
            if failures > 1
                && let Destination::File(file) = &self.destination
            {
                let path = file.path().display();
                tracing::warn!("{path} was not {what}: {failures} failures");
            }
        }
        self.shared.ended.store(whole, Ordering::Release);
    }

    fn report(&self, what: &str, error: &io::Error, more: &str) {
        let error = without_numbers(&error.to_string());
        match &self.destination {
            Destination::File(file) => {
                tracing::error!("cannot {what} {}: {error}{more}", file.path().display());
            }
            Destination::Stream(_) => {
                tracing::error!("cannot {what} standard output: {error}{more}");
            }
        }
    }
}
