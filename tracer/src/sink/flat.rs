//! One flat table that holds all kinds of records: what CSV, logfmt, Parquet, the journal and
//! syslog have.
//!
//! It is made of the JSON lines, so that nothing has two shapes. A column is the path in the JSON
//! object with `_` between the names, as Grafana Loki flattens JSON: `network.peer.port` is
//! `network_peer_port`. Lists and the evidence of findings are in the JSON lines only.

pub mod csv;
pub mod logfmt;
mod read;

use std::fmt;

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
pub static COLUMNS: [Column; 80] = [
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
    column(Number, "process_pid"),
    column(Text, "process_name"),
    column(Text, "process_evidence"),
    column(Number, "process_fd"),
    column(Text, "process_executable"),
    column(Number, "process_parent_pid"),
    column(Text, "process_parent_name"),
    column(Text, "container_id"),
    column(Text, "tcp_role"),
    column(Text, "tcp_state"),
    column(Text, "tcp_from"),
    column(Text, "tcp_to"),
    column(Text, "tcp_source"),
    column(Number, "tcp_elapsed_ns"),
    column(Flag, "tcp_sent"),
    column(Flag, "tcp_orphaned"),
    column(Number, "tcp_sequence_snd_una"),
    column(Number, "tcp_sequence_snd_nxt"),
    column(Number, "tcp_sequence_write_seq"),
    column(Number, "tcp_sequence_rcv_nxt"),
    column(Number, "tcp_sequence_bytes_acked"),
    column(Number, "tcp_sequence_bytes_received"),
    column(Number, "tcp_handshake_duration_ns"),
    column(Number, "tcp_handshake_rtt_ns"),
    column(Number, "tcp_handshake_syn_retransmits"),
    column(Text, "tcp_segment_type"),
    column(Text, "tcp_segment_direction"),
    column(Number, "tcp_segment_retransmit"),
    column(Text, "tcp_segment_answers"),
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

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row([Option<Value>; COLUMNS.len()]);

impl Row {
    /// All columns with their values.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, Option<&Value>)> {
        COLUMNS.iter().zip(&self.0).map(|(column, value)| (column, value.as_ref()))
    }

    /// The columns that have a value.
    pub fn values(&self) -> impl Iterator<Item = (&'static Column, &Value)> {
        self.columns().filter_map(|(column, value)| Some((column, value?)))
    }

    /// The text of one column.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values().find(|(column, _)| column.name == name).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
