//! Findings of a live trace: a line each.

use anstyle::Style;

use super::{Palette, Text, WallClock};
use crate::{
    model::finding::{Finding, Severity, Status},
    sink::finding::sentence,
};

impl Text {
    pub(super) fn finding(&mut self, finding: &Finding, clock: WallClock, out: &mut Vec<u8>) {
        let style = severity(self.palette, finding);
        self.note(style, finding.time, &format!("⚠ {}", sentence(finding)), clock, out);
    }
}

/// In what style a finding is told.
pub(in crate::sink) fn severity(palette: Palette, finding: &Finding) -> Style {
    match (finding.status, finding.severity) {
        (Status::Cleared, _) | (_, Severity::Info) => palette.dim,
        (_, Severity::Warning) => palette.warning,
        (_, Severity::Critical) => palette.bad,
    }
}
