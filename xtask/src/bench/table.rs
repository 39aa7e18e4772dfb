//! The table: one line for each figure of each variant.

use std::fmt::Write as _;

use super::figures::{Figures, Unit, median, ratio};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What was measured.
    what: String,
    /// Which variant.
    variant: String,
    median: String,
    range: String,
    ratio: String,
    /// Its figure decides; the others depend on the machine's hour.
    is_verdict: bool,
}

impl Row {
    pub(crate) fn new(what: &str, variant: &str, unit: Unit, figures: &Figures) -> Self {
        let mut row = Self {
            what: what.to_owned(),
            variant: variant.to_owned(),
            median: String::new(),
            range: String::new(),
            ratio: String::new(),
            is_verdict: false,
        };
        match figures {
            Ok(values) => row.fill(unit, values),
            Err(why) => row.median = format!("not measured: {}", first_line(why)),
        }
        row
    }

    /// A measurement that was not made at all.
    pub(crate) fn failed(what: &str, why: &anyhow::Error) -> Self {
        Self::new(what, "", Unit::PerSecond, &Err(format!("{why:#}")))
    }

    fn fill(&mut self, unit: Unit, values: &[f64]) {
        let Some(middle) = median(values) else {
            "not measured".clone_into(&mut self.median);
            return;
        };
        self.median = unit.write(middle);
        if values.len() > 1 {
            let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.range = format!("{} – {}", unit.write(lowest), unit.write(highest));
        }
    }

    /// A figure that says how the tool is, not how the machine was.
    pub(crate) fn verdict(self) -> Self {
        Self { is_verdict: true, ..self }
    }

    /// Adds the figure as a share of another one, as `0.92 × untraced`.
    pub(crate) fn compared(mut self, figures: &Figures, to: &Figures, name: &str) -> Self {
        if let Some(ratio) = ratio(figures, to) {
            let digits = if ratio < 0.1 { 3 } else { 2 };
            self.ratio = format!("{ratio:.digits$} × {name}");
        }
        self
    }
}

/// The lines as Markdown; what is measured is named only where it changes, verdicts are bold.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = "| measured | of | median | lowest – highest | ratio |\n".to_owned();
    text.push_str("|---|---|---|---|---|\n");
    let mut last = "";
    for row in rows {
        let what = if row.what == last { "" } else { &row.what };
        last = &row.what;
        let bold = if row.is_verdict { "**" } else { "" };
        let variant = format!("{bold}{}{bold}", row.variant);
        let cells = [what, &variant, &row.median, &row.range, &row.ratio].map(escape);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// What a program said may have bars, which would end a cell.
fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_each_measurement_once() {
        let untraced = Ok(vec![70_000.0, 80_000.0, 75_000.0]);
        let traced = Ok(vec![63_000.0, 72_000.0, 67_500.0]);
        let rows = [
            Row::new("connections", "untraced", Unit::PerSecond, &untraced),
            Row::new("connections", "traced", Unit::PerSecond, &traced)
                .compared(&traced, &untraced, "untraced")
                .verdict(),
            Row::new("memory", "traced", Unit::Bytes, &Ok(vec![2048.0])),
        ];
        let expected = "\
| measured | of | median | lowest – highest | ratio |
|---|---|---|---|---|
| connections | untraced | 75,000/s | 70,000/s – 80,000/s |  |
|  | **traced** | 67,500/s | 63,000/s – 72,000/s | 0.90 × untraced |
| memory | traced | 2.00 KiB |  |  |
";
        assert_eq!(markdown(&rows), expected);
    }

    #[test]
    fn a_row_without_figures_says_why() {
        let why = Err("\ntcpstates: not | installed\nmore".to_owned());
        let row = Row::new("connections", "tcpstates", Unit::PerSecond, &why);
        let row = row.compared(&why, &Ok(vec![1.0]), "untraced");
        let text = markdown(&[row]);
        assert!(text.ends_with("| not measured: tcpstates: not \\| installed |  |  |\n"), "{text}");
    }
}
