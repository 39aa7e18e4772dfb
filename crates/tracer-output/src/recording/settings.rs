//! What a flight recorder keeps, and when it writes it: `keep=10m,memory=64MiB,finding=critical`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use bytesize::ByteSize;
use tracer_event::finding::Severity;

/// The least memory that holds a few blocks, bytes.
const LEAST: usize = 1 << 20;

/// The settings of a flight recorder.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long events are kept.
    pub keep: Duration,
    /// How much memory they take at most, compressed, bytes.
    pub memory: usize,
    /// Where files are written.
    pub directory: PathBuf,
    /// How many of them are left there.
    pub files: usize,
    /// The least severity of a finding at which one is written.
    pub finding: Option<Severity>,
    /// The share of the ephemeral ports to a destination, 0 to 1, at which one is.
    pub ports: Option<f64>,
    /// The share of a process's descriptors.
    pub descriptors: Option<f64>,
    /// The names of processes at whose end one is; `*` stands for anything.
    pub process: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(600),
            memory: 64 << 20,
            directory: "/var/log/tracer".into(),
            files: 10,
            finding: Some(Severity::Critical),
            ports: None,
            descriptors: None,
            process: Vec::new(),
        }
    }
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut settings = Self::default();
        let mut key = "";
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let value = match word.split_once('=') {
                Some((name, value)) => {
                    key = name.trim();
                    value.trim()
                }
                // The next of a list.
                None if key == "process" => word,
                None => {
                    return Err(format!("{word:?} is not of the form KEY=VALUE, such as keep=10m"));
                }
            };
            settings.set(key, value).map_err(|wrong| format!("{key}: {wrong}"))?;
        }
        Ok(settings)
    }
}

impl Settings {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "keep" => {
                let keep = humantime::parse_duration(value).ok().filter(|keep| !keep.is_zero());
                self.keep = keep.ok_or("not a time such as 30s or 10m")?;
            }
            "memory" => {
                let size = value.parse::<ByteSize>().ok();
                let size = size.and_then(|ByteSize(size)| usize::try_from(size).ok());
                let size = size.filter(|&size| size >= LEAST);
                self.memory = size.ok_or("not a size from 1MiB, such as 64MiB")?;
            }
            "directory" if !value.is_empty() => self.directory = value.into(),
            "files" => {
                let files = value.parse().ok().filter(|&files| files > 0);
                self.files = files.ok_or("not a number from 1")?;
            }
            "finding" => self.finding = severity(value)?,
            "ports" => self.ports = Some(share(value)?),
            "descriptors" => self.descriptors = Some(share(value)?),
            "process" if !value.is_empty() => self.process.push(value.into()),
            "directory" | "process" => return Err("is empty".into()),
            _ => {
                let known = "keep, memory, directory, files, finding, ports, descriptors, process";
                return Err(format!("no such key: they are {known}"));
            }
        }
        Ok(())
    }
}

fn severity(text: &str) -> Result<Option<Severity>, String> {
    if text == "off" {
        return Ok(None);
    }
    let found = Severity::ALL.into_iter().find(|one| one.name() == text);
    found.map(Some).ok_or_else(|| "not info, warning, critical or off".into())
}

fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    let percent = percent.filter(|percent| (1.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "not a share from 1% to 100%".into())
}
