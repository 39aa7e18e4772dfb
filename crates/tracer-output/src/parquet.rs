//! Parquet: the flat table as a columnar file, for analysis.
//!
//! A file can be read when it is complete: at the end of the trace, when it is set aside, or when
//! SIGHUP opens another. Records are gathered to row groups, which are encoded in memory; what a
//! full disk does not take waits there, so that the file is whole when there is room again.

mod columns;

use std::{
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use parquet::file::writer::SerializedFileWriter;

use self::columns::Columns;
use super::{
    delivery::{Record, TURN},
    file::{LogFile, Unwritten, write},
    queue::Worker,
};

/// Records of a row group.
const GROUP: usize = 1 << 16;
/// A row group is written after this time, however small it is.
const AGE: Duration = Duration::from_secs(60);
/// Encoded bytes that may wait for room on the disk.
const LIMIT: usize = 32 << 20;

/// Writes Parquet files.
pub struct Parquet {
    file: LogFile,
    /// None when there is nothing in the file yet.
    writer: Option<SerializedFileWriter<Encoded>>,
    encoded: Encoded,
    columns: Columns,
    begun: Instant,
    /// A file that has been set aside, and what it lacks to be complete.
    rest: Option<(File, Encoded)>,
}

/// What has been encoded and is not in the file yet.
#[derive(Clone, Default)]
struct Encoded(Arc<Mutex<Vec<u8>>>);

impl Encoded {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn len(&self) -> usize {
        self.with(|bytes| bytes.len())
    }

    /// Forgets what can be written.
    fn drain(&self, write: impl FnOnce(&[u8]) -> Result<(), Unwritten>) -> io::Result<()> {
        self.with(|bytes| {
            let written = write(bytes);
            let rest = written.as_ref().map_or_else(|unwritten| unwritten.rest, |()| 0);
            bytes.drain(..bytes.len() - rest);
            written.map_err(|Unwritten { error, .. }| error)
        })
    }
}

impl io::Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|encoded| encoded.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Parquet {
    /// In this file.
    ///
    /// # Errors
    ///
    /// Where there is something in it: nothing can be appended to a Parquet file.
    pub fn begin(mut file: LogFile) -> io::Result<Self> {
        if !file.is_empty() && !file.rotates() {
            return Err(io::Error::other(
                "it is there already, or no file, and nothing can be appended to Parquet: \
                 move it away, or let it be set aside (--rotate-size)",
            ));
        }
        if !file.is_empty() {
            // Complete, or of no use.
            file.rotate()?;
            file.compress();
        }
        Ok(Self {
            file,
            writer: None,
            encoded: Encoded::default(),
            columns: Columns::default(),
            begun: Instant::now(),
            rest: None,
        })
    }

    /// Encodes the gathered records as a row group.
    fn group(&mut self) -> io::Result<()> {
        self.begun = Instant::now();
        if self.columns.is_empty() {
            return Ok(());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => columns::writer(self.encoded.clone())?,
        };
        self.columns.write(&mut writer)?;
        writer.flush()?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Writes what has been encoded.
    fn drain(&mut self) -> io::Result<()> {
        let Self { file, encoded, .. } = self;
        encoded.drain(|bytes| file.continue_with(bytes))
    }

    /// Encodes the end of the file.
    fn close(&mut self) -> io::Result<()> {
        self.group()?;
        if let Some(writer) = self.writer.take() {
            writer.close()?;
        }
        Ok(())
    }

    /// Completes a file that has been set aside; another one has its place.
    fn leave(&mut self, old: File) -> io::Result<()> {
        let closed = self.close();
        self.rest = Some((old, std::mem::take(&mut self.encoded)));
        closed.and(self.finish_rest())
    }

    fn finish_rest(&mut self) -> io::Result<()> {
        let Some((file, encoded)) = &mut self.rest else { return Ok(()) };
        encoded.drain(|bytes| write(file, bytes))?;
        self.rest = None;
        self.file.compress();
        Ok(())
    }

    /// Writes what there is; begins another file where it is time for that.
    fn settle(&mut self) -> io::Result<()> {
        self.finish_rest()?;
        self.group()?;
        self.drain()?;
        match self.file.rotate_if_due(0) {
            Some(old) => self.leave(old),
            None => Ok(()),
        }
    }
}

impl Worker<Record> for Parquet {
    fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    fn deliver(&mut self, record: &mut Record) -> io::Result<()> {
        if self.encoded.len() > LIMIT {
            self.drain()?;
        }
        self.columns.push(&record.row);
        if self.columns.len() >= GROUP || self.begun.elapsed() >= AGE {
            // What cannot be written now waits: the record is not lost.
            let _ = self.settle();
        }
        Ok(())
    }

    fn turn(&self) -> Option<Duration> {
        Some(TURN)
    }

    fn pause(&mut self) -> io::Result<()> {
        if self.begun.elapsed() >= AGE || self.encoded.len() > 0 { self.settle() } else { Ok(()) }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file.hurry();
        // At its end, and before another file.
        self.finish_rest()?;
        match self.file.reopen_empty()? {
            Some(old) => self.leave(old),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let rest = self.finish_rest();
        self.close()?;
        self.drain()?;
        rest?;
        self.file.unless_deleted()
    }
}

#[cfg(test)]
mod tests;
