//! The systemd journal, by its native protocol: every column is a field of its own, in upper case.
//!
//! `journalctl TCP_STATE=CLOSE_WAIT`, `journalctl -t tracer -p warning`, `journalctl -o json`.

use std::{io, os::unix::net::UnixDatagram};

use libsystemd::logging::{Priority, journal_send};

use tracer_output::{
    delivery::Record,
    flat::{COLUMNS, Value},
    message::Severity,
    queue::Worker,
};

const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends to the journal of this host.
#[derive(Debug)]
pub struct Journal {
    /// The fields' names, column by column.
    names: Vec<String>,
}

impl Journal {
    /// Looks whether there is one.
    ///
    /// # Errors
    ///
    /// Where journald does not listen.
    pub fn open() -> io::Result<Self> {
        UnixDatagram::unbound()?.connect(SOCKET)?;
        Ok(Self { names: COLUMNS.iter().map(|column| column.name.to_uppercase()).collect() })
    }
}

impl Worker<Record> for Journal {
    fn name(&self) -> String {
        format!("the journal ({SOCKET})")
    }

    fn deliver(&mut self, record: &mut Record) -> io::Result<()> {
        let fields = self.names.iter().zip(record.row.columns());
        let fields = fields.filter_map(|(name, (_, value))| Some((name.as_str(), value?)));
        let texts = fields.map(|(name, value)| match value {
            Value::Text(text) => (name, text.clone()),
            other => (name, other.to_string()),
        });
        let identifier = ("SYSLOG_IDENTIFIER", "tracer".to_owned());
        journal_send(
            priority(record.message.severity),
            &record.message.text,
            texts.chain([identifier]),
        )
        .map_err(io::Error::other)
    }
}

fn priority(severity: Severity) -> Priority {
    match severity {
        Severity::Critical => Priority::Critical,
        Severity::Warning => Priority::Warning,
        Severity::Notice => Priority::Notice,
        Severity::Info => Priority::Info,
    }
}
