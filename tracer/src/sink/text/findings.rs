//! Findings of a live trace: a line each.

use super::{Text, WallClock};
use crate::{
    model::finding::{Finding, Severity, Status},
    sink::finding::sentence,
};

impl Text {
    pub(super) fn finding(&mut self, finding: &Finding, clock: WallClock, out: &mut Vec<u8>) {
        let style = match (finding.status, finding.severity) {
            (Status::Cleared, _) | (_, Severity::Info) => self.palette.dim,
            (_, Severity::Warning) => self.palette.warning,
            (_, Severity::Critical) => self.palette.bad,
        };
        self.note(style, finding.time, &format!("⚠ {}", sentence(finding)), clock, out);
    }
}
