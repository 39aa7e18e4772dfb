//! Metrics as text: as OpenMetrics or in Prometheus's own format, whichever the scraper asks for.

use std::fmt::{self, Write as _};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use super::process::Process;
use crate::metrics::{Families, Family, Histogram, Labels, Points};

/// A format that a scraper can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposition {
    /// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>, what people read.
    Text,
}

impl Exposition {
    /// What is asked for by the header `Accept`: OpenMetrics where it is named at all, as all
    /// Prometheus servers since 2.5 prefer it.
    pub(super) fn accepted(header: Option<&str>) -> Self {
        let types = header.unwrap_or_default().split(',');
        let wants = |one: &str| {
            let mut parts = one.split(';').map(str::trim);
            parts.next() == Some("application/openmetrics-text")
                && parts.all(|part| part.strip_prefix("q=").is_none_or(|q| q.trim() != "0"))
        };
        if types.into_iter().any(wants) { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// What was traced, and what the tracer itself takes.
    pub(super) fn write_all(self, families: Families) -> String {
        self.text([Box::new(Now(families)), Box::new(Process)])
    }

    fn text<const N: usize>(self, collectors: [Box<dyn Collector>; N]) -> String {
        let mut registry = Registry::default();
        collectors.into_iter().for_each(|one| registry.register_collector(one));
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &registry) {
            // Writing to a String cannot fail, and all histograms have buckets.
            tracing::error!("metrics cannot be written: {error}");
        }
        match self {
            Self::OpenMetrics => text,
            Self::Text => plain(&text),
        }
    }
}

/// OpenMetrics as Prometheus's text format: there a counter is named with its `_total`, and there
/// are no units and no end.
fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.lines() {
        if line.starts_with("# HELP ") {
            // Written with the type, which decides the name.
            help = line;
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or((family, "untyped"));
            let total = if kind == "counter" { "_total" } else { "" };
            let words = help.splitn(4, ' ').nth(3).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name}{total} {words}");
            let _ = writeln!(text, "# TYPE {name}{total} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The metrics of one scrape.
#[derive(Debug)]
struct Now(Families);

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            encode(family, &mut encoder)?;
        }
        Ok(())
    }
}

fn encode(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match family.points {
        Points::Counter(_) => MetricType::Counter,
        Points::UpDown(_) | Points::Gauge(_) => MetricType::Gauge,
        Points::Histogram(_) => MetricType::Histogram,
    };
    let name = family.prometheus_name();
    let mut metric = encoder.encode_descriptor(&name, family.help, None, kind)?;
    match &family.points {
        Points::Counter(points) => each(points, &mut metric, |count, metric| {
            metric.encode_counter::<NoLabelSet, u64, u64>(count, None)
        }),
        Points::UpDown(points) | Points::Gauge(points) => {
            each(points, &mut metric, |value, metric| metric.encode_gauge(value))
        }
        Points::Histogram(points) => each(points, &mut metric, histogram),
    }
}

fn histogram(histogram: &Histogram, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts.iter().copied()).collect();
    metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &buckets, None)
}

fn each<T>(
    points: &[(Labels, T)],
    metric: &mut MetricEncoder<'_>,
    encode: impl Fn(&T, &mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    for (labels, value) in points {
        let labels: Vec<(String, &str)> =
            labels.iter().map(|(key, value)| (key.replace('.', "_"), &**value)).collect();
        encode(value, &mut metric.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use super::*;

    pub(crate) fn written(families: Families) -> String {
        Exposition::Text.text([Box::new(Now(families))])
    }

    #[rstest]
    #[case(None, Exposition::Text)]
    #[case(Some("*/*"), Exposition::Text)]
    // Prometheus 2.42 (Debian 12).
    #[case(
        Some(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ),
        Exposition::OpenMetrics
    )]
    #[case(Some("text/plain, application/openmetrics-text; q=0"), Exposition::Text)]
    fn the_scraper_chooses(#[case] header: Option<&str>, #[case] exposition: Exposition) {
        assert_eq!(Exposition::accepted(header), exposition);
    }

    #[test]
    fn the_text_format_names_counters_with_their_total() {
        let openmetrics = "# HELP a A b c.\n# TYPE a counter\n# UNIT a b\na_total{x=\"1\"} 2\n\
                           # HELP g G.\n# TYPE g gauge\ng 1\n# EOF\n";
        assert_eq!(
            plain(openmetrics),
            "# HELP a_total A b c.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n\
             # HELP g G.\n# TYPE g gauge\ng 1\n"
        );
    }
}
