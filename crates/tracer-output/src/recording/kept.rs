//! The last minutes, compressed, and the files that are written of them.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    batches::{Batch, alone},
    settings::Settings,
};
use crate::{
    json::Json,
    packed::{MAGIC, Stored},
};
use tracer_event::{
    header::{Degraded, EARLIER_EVENTS, Header},
    wall_clock::WallClock,
};

/// What the names of files begin with, and what they end with: others are left alone.
const NAME: (&str, &str) = ("tracer-", ".rec");

/// What is in memory.
#[derive(Debug)]
pub(super) struct Kept {
    settings: Settings,
    blocks: VecDeque<(Stored, u64, u64)>,
    bytes: usize,
    /// What the trace began with.
    header: Option<(Header, WallClock)>,
}

impl Kept {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, blocks: VecDeque::new(), bytes: 0, header: None }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.settings.directory
    }

    pub(super) fn begin(&mut self, header: Header, clock: WallClock) {
        self.header = Some((header, clock));
    }

    /// Keeps a block, and drops what is too old or too much.
    pub(super) fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let stored = batch.block.stored(true)?;
        self.bytes += stored.bytes().len();
        self.blocks.push_back((stored, batch.began, batch.ended));
        let keep = u64::try_from(self.settings.keep.as_nanos()).unwrap_or(u64::MAX);
        let oldest = batch.ended.saturating_sub(keep);
        while let Some((stored, _, ended)) = self.blocks.front()
            && (self.bytes > self.settings.memory || *ended < oldest)
        {
            self.bytes -= stored.bytes().len();
            self.blocks.pop_front();
        }
        Ok(())
    }

    /// Writes what there is to a new file.
    pub(super) fn write(&self, reason: &str) -> io::Result<PathBuf> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%S.%3fZ");
        let reason: String = reason.chars().map(plain).take(40).collect();
        let name = format!("{}{now}-{reason}{}", NAME.0, NAME.1);
        let path = self.settings.directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        if let Err(error) = self.write_to(file, &reason) {
            // Half a recording in the place of an older one is no gain.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    fn write_to(&self, mut file: File, reason: &str) -> io::Result<()> {
        file.write_all(&MAGIC)?;
        if let Some((header, clock)) = &self.header {
            let began = self.blocks.front().map_or(clock.now, |(_, began, _)| *began);
            let header = self.header_of(header, reason);
            let clock = WallClock { now: began, ..*clock };
            let hello = alone(|packer| {
                Json::default().tell_hello(&header, clock, packer);
            });
            if let Some(block) = hello {
                file.write_all(block.stored(false)?.bytes())?;
            }
        }
        self.blocks.iter().try_for_each(|(stored, ..)| file.write_all(stored.bytes()))?;
        file.sync_data()
    }

    /// Says that what came before is missing, and why it was written.
    fn header_of(&self, header: &Header, reason: &str) -> Header {
        let missing = Degraded {
            feature: EARLIER_EVENTS.into(),
            lost: "what happened before the first event".into(),
            reason: format!(
                "a flight recorder keeps the last {}, written at: {reason}",
                humantime::format_duration(self.settings.keep)
            ),
            remedy: "more with [recorder] keep and memory".into(),
        };
        let mut header = header.clone();
        header.degraded.push(missing);
        header
    }

    /// Removes the oldest files until no more than wanted are left.
    pub(super) fn remove_oldest(&self) -> io::Result<()> {
        let is_ours = |name: &str| name.starts_with(NAME.0) && name.ends_with(NAME.1);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.settings.directory)? {
            let name = entry?.file_name();
            names.extend(name.to_str().filter(|name| is_ours(name)).map(str::to_owned));
        }
        // By time: it stands first in the name.
        names.sort_unstable();
        let many = names.len().saturating_sub(self.settings.files);
        let mut oldest = names.iter().take(many);
        oldest.try_for_each(|name| match fs::remove_file(self.settings.directory.join(name)) {
            // Somebody else has made room.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
    }
}

/// For the name of a file.
fn plain(one: char) -> char {
    if one.is_ascii_alphanumeric() || "-_.".contains(one) { one } else { '_' }
}
