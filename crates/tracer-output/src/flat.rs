//! One flat table that holds all kinds of records: what CSV, logfmt, Parquet, the journal and
//! syslog have.
//!
//! It is made of the objects that the JSON lines show, so that nothing has two shapes. A column is
//! the path in the object with `_` between the names, as Grafana Loki flattens JSON:
//! `network.peer.port` is `network_peer_port`. Lists and the evidence of findings are in the JSON lines only.

mod csv;
mod logfmt;

use std::{collections::HashMap, fmt, sync::LazyLock};

use serde::Serialize;

use super::{
    Beginning, Format, Opening,
    flatten::{Fields, Leaf, Memory, flatten},
    json::{Json, Take},
    visit::Unsupported,
};
use tracer_event::update::Update;
use tracer_event::{
    enricher::Context,
    header::{Header, OfFile},
    summary::Summary,
    wall_clock::WallClock,
};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A moment, RFC 3339 with nanoseconds.
    Time,
    /// Words, a name, an address.
    Text,
    /// A whole number, at most 64 bits.
    Number,
    /// Yes or no.
    Flag,
}

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Where that is not the name: the path in the JSON object, `_` between its parts.
    path: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
}

const fn column(kind: Kind, name: &'static str) -> Column {
    Column { name, path: None, kind }
}

/// Where the path alone would mean little, or much to SQL.
const fn under(kind: Kind, name: &'static str, path: &'static str) -> Column {
    Column { name, path: Some(path), kind }
}

use Kind::{Flag, Number, Text, Time};

/// The table.
pub static COLUMNS: [Column; 94] = [
    column(Time, "time"),
    column(Text, "kind"),
    column(Text, "status"),
    column(Number, "socket_cookie"),
    column(Number, "socket_ordinal"),
    column(Number, "socket_netns"),
    column(Number, "socket_uid"),
    column(Number, "socket_inode"),
    column(Text, "socket_cgroup"),
    column(Number, "network_netns"),
    column(Text, "network_type"),
    column(Text, "network_local_address"),
    column(Number, "network_local_port"),
    column(Text, "network_peer_address"),
    column(Number, "network_peer_port"),
    column(Text, "network_community_id"),
    column(Number, "process_pid"),
    column(Text, "process_name"),
    column(Text, "process_evidence"),
    column(Number, "process_fd"),
    column(Text, "process_executable_name"),
    column(Text, "process_executable_path"),
    column(Number, "process_parent_pid"),
    column(Text, "process_parent_name"),
    column(Text, "container_id"),
    column(Text, "k8s_pod_uid"),
    column(Text, "k8s_pod_name"),
    column(Text, "k8s_namespace_name"),
    column(Text, "systemd_unit"),
    column(Text, "tcp_role"),
    column(Text, "tcp_state"),
    column(Text, "tcp_from"),
    column(Text, "tcp_to"),
    column(Text, "tcp_source"),
    column(Number, "tcp_elapsed_ns"),
    column(Flag, "tcp_sent"),
    column(Flag, "tcp_orphaned"),
    column(Flag, "tcp_at_exit"),
    column(Number, "tcp_sequence_snd_una"),
    column(Number, "tcp_sequence_snd_nxt"),
    column(Number, "tcp_sequence_write_seq"),
    column(Number, "tcp_sequence_rcv_nxt"),
    column(Number, "tcp_sequence_bytes_acked"),
    column(Number, "tcp_sequence_bytes_received"),
    column(Number, "tcp_handshake_duration_ns"),
    column(Number, "tcp_handshake_rtt_ns"),
    column(Number, "tcp_handshake_syn_retransmits"),
    column(Number, "tcp_handshake_local_isn"),
    column(Number, "tcp_handshake_peer_isn"),
    column(Number, "tcp_accept_wait_ns"),
    column(Text, "tcp_segment_type"),
    column(Text, "tcp_segment_direction"),
    column(Number, "tcp_segment_retransmit"),
    column(Number, "tcp_segment_sequence"),
    column(Text, "tcp_segment_answers"),
    column(Text, "tcp_segment_reason"),
    column(Time, "tcp_began"),
    column(Time, "tcp_ended"),
    column(Number, "tcp_duration_ns"),
    under(Number, "tcp_states_syn_sent_ns", "tcp_states_SYN_SENT"),
    under(Number, "tcp_states_syn_recv_ns", "tcp_states_SYN_RECV"),
    under(Number, "tcp_states_established_ns", "tcp_states_ESTABLISHED"),
    under(Number, "tcp_states_fin_wait1_ns", "tcp_states_FIN_WAIT1"),
    under(Number, "tcp_states_fin_wait2_ns", "tcp_states_FIN_WAIT2"),
    under(Number, "tcp_states_close_wait_ns", "tcp_states_CLOSE_WAIT"),
    under(Number, "tcp_states_closing_ns", "tcp_states_CLOSING"),
    under(Number, "tcp_states_last_ack_ns", "tcp_states_LAST_ACK"),
    column(Number, "tcp_bytes_sent"),
    column(Number, "tcp_bytes_received"),
    column(Number, "tcp_retransmits"),
    column(Text, "tcp_close_reason"),
    column(Text, "tcp_close_initiator"),
    column(Text, "tcp_close_icmp_origin"),
    column(Number, "tcp_close_icmp_type"),
    column(Number, "tcp_close_icmp_code"),
    column(Text, "tcp_close_icmp_text"),
    column(Text, "tcp_close_error"),
    column(Text, "tcp_close_reset_reason"),
    column(Number, "tcp_close_idle_ns"),
    column(Number, "tcp_age_ns"),
    column(Number, "tcp_idle_ns"),
    column(Flag, "tcp_at_least"),
    column(Number, "tcp_threshold_ns"),
    column(Text, "cause_code"),
    column(Text, "finding_code"),
    column(Text, "finding_severity"),
    column(Text, "finding_text"),
    under(Text, "loss_where", "where"),
    under(Number, "loss_count", "count"),
    column(Flag, "complete"),
    column(Number, "file_sequence"),
    column(Time, "file_opened"),
    column(Text, "host_name"),
    column(Text, "host_boot_id"),
];

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of a text or a time.
    Text(String),
    /// Of a number.
    Number(u64),
    /// Of a flag.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// Columns by their paths.
static PATHS: LazyLock<HashMap<&'static str, usize, foldhash::fast::FixedState>> =
    LazyLock::new(|| {
        let path = |at: usize| COLUMNS[at].path.unwrap_or(COLUMNS[at].name);
        (0..COLUMNS.len()).map(|at| (path(at), at)).collect()
    });

/// One record: the columns that have a value, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<(usize, Value)>);

impl Row {
    /// Of an object of [`Json`].
    ///
    /// # Errors
    ///
    /// Where it holds something that events do not.
    pub fn of(line: &impl Serialize, memory: &mut Memory) -> Result<Self, Unsupported> {
        let mut row = Self(Vec::with_capacity(40));
        flatten(line, memory, &mut row)?;
        // After a transition a socket is in the state it has entered, whoever asks for it.
        let (state, to) = (PATHS["tcp_state"], PATHS["tcp_to"]);
        let value = |wanted| row.0.iter().find(|(at, _)| *at == wanted).map(|(_, value)| value);
        if let (None, Some(to)) = (value(state), value(to).cloned()) {
            row.0.push((state, to));
        }
        row.0.sort_unstable_by_key(|(at, _)| *at);
        Ok(row)
    }

    /// All columns with their values.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, Option<&Value>)> {
        let mut values = self.0.iter().peekable();
        COLUMNS.iter().enumerate().map(move |(at, column)| {
            let value = values.next_if(|(column, _)| *column == at);
            (column, value.map(|(_, value)| value))
        })
    }

    /// The columns that have a value.
    pub fn values(&self) -> impl Iterator<Item = (&'static Column, &Value)> {
        self.0.iter().map(|(at, value)| (&COLUMNS[*at], value))
    }

    /// The text of one column.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values().find(|(column, _)| column.name == name).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Bytes of memory, about.
    pub(super) fn size(&self) -> usize {
        let text = |(_, value): &(usize, Value)| match value {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Flag(_) => 0,
        };
        self.0.capacity() * size_of::<(usize, Value)>() + self.0.iter().map(text).sum::<usize>()
    }
}

impl Fields for Row {
    const SEPARATOR: char = '_';
    const LISTS: bool = false;

    fn field(&mut self, path: &str, leaf: Leaf<'_>) {
        let Some(&column) = PATHS.get(path) else { return };
        let value = match leaf {
            Leaf::Text(text) => Value::Text(text.to_owned()),
            Leaf::Number(number) => Value::Number(number),
            Leaf::Flag(flag) => Value::Flag(flag),
            // Growth can be negative, shares are fractions; both are evidence of findings.
            Leaf::Negative(_) | Leaf::Fraction(_) | Leaf::List(_) => return,
        };
        self.0.push((column, value));
    }
}

/// Makes a row of each object.
pub(super) struct Rows<'a, F> {
    pub(super) memory: &'a mut Memory,
    pub(super) take: F,
}

impl<F: FnMut(Row)> Take for Rows<'_, F> {
    fn take(&mut self, line: &impl Serialize) {
        match Row::of(line, self.memory) {
            Ok(row) => (self.take)(row),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Rows as lines of text.
pub struct FlatLines {
    json: Json,
    memory: Memory,
    style: Style,
}

/// How rows become lines.
#[derive(Clone, Copy)]
struct Style {
    columns: fn(Option<OfFile>) -> Vec<u8>,
    line: fn(&Row, &mut Vec<u8>),
}

impl FlatLines {
    /// Comma-separated values.
    pub fn csv() -> Self {
        Self::new(Style { columns: csv::header, line: csv::cells })
    }

    /// logfmt.
    pub fn logfmt() -> Self {
        Self::new(Style { columns: |_| Vec::new(), line: logfmt::pairs })
    }

    fn new(style: Style) -> Self {
        Self { json: Json::default(), memory: Memory::default(), style }
    }

    fn parts<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
    ) -> (&'a mut Json, Rows<'a, impl FnMut(Row) + use<'a>>) {
        let Self { json, memory, style: Style { line, .. } } = self;
        (json, Rows { memory, take: move |row: Row| line(&row, out) })
    }
}

impl Format for FlatLines {
    fn opening(&mut self, header: &Header, clock: WallClock) -> Opening {
        let (header, style) = (header.clone(), self.style);
        let mut lines = Self::new(style);
        Box::new(move |file| {
            let mut beginning = Beginning { columns: (style.columns)(file), header: Vec::new() };
            lines.header(&header.of(file), clock, &mut beginning.header);
            beginning
        })
    }

    fn header(&mut self, header: &Header, clock: WallClock, out: &mut Vec<u8>) {
        let (json, mut rows) = self.parts(out);
        json.tell_hello(header, clock, &mut rows);
    }

    fn update(&mut self, update: &Update<'_>, context: Context<'_>, out: &mut Vec<u8>) {
        let (json, mut rows) = self.parts(out);
        json.tell(update, context, &mut rows);
    }

    fn summary(&mut self, summary: &Summary, context: Context<'_>, out: &mut Vec<u8>) {
        let (json, mut rows) = self.parts(out);
        json.tell_summary(summary, context.clock, &mut rows);
    }
}

#[cfg(test)]
mod tests;
