//! Metrics as OTLP has them (opentelemetry/proto/metrics/v1/metrics.proto): all since the start.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
};

use super::{
    attributes::namespace,
    resource::{Resource, SCHEMA_URL, attribute, scope},
};
use crate::metrics::{Family, Labels, Points, Unit};

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Nanoseconds since 1970: since when is counted, and now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// A request with these metrics; those without a point are left out.
pub(super) fn request(
    families: Vec<Family>,
    resource: &Resource,
    span: Span,
) -> ExportMetricsServiceRequest {
    let metrics = families.into_iter().filter_map(|family| metric(family, span)).collect();
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let resource = Some(resource.message());
    let of_resource =
        ResourceMetrics { resource, scope_metrics, schema_url: SCHEMA_URL.to_owned() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
}

fn metric(family: Family, span: Span) -> Option<Metric> {
    let Family { name, unit, help, points } = family;
    let unit = match unit {
        Unit::Seconds => "s",
        Unit::Ratio => "1",
        Unit::Of(things) => things,
        Unit::None => "",
    };
    let whole = |count: u64| Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX));
    let data = match points {
        Points::Counter(points) => sum(numbers(points, span, whole), true),
        Points::UpDown(points) => sum(numbers(points, span, |value| whole(value as u64)), false),
        Points::Gauge(points) => {
            Data::Gauge(Gauge { data_points: numbers(points, span, Value::AsDouble) })
        }
        Points::Histogram(points) => Data::Histogram(Histogram {
            data_points: points.into_iter().map(|point| distribution(point, span)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    let is_empty = match &data {
        Data::Sum(sum) => sum.data_points.is_empty(),
        Data::Gauge(gauge) => gauge.data_points.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| Metric {
        name: name.to_owned(),
        description: help.to_owned(),
        unit: unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    })
}

fn sum(data_points: Vec<NumberDataPoint>, is_monotonic: bool) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic })
}

fn numbers<T>(
    points: Vec<(Labels, T)>,
    span: Span,
    value: impl Fn(T) -> Value,
) -> Vec<NumberDataPoint> {
    let point = |(labels, number)| NumberDataPoint {
        attributes: attributes(&labels),
        start_time_unix_nano: span.start,
        time_unix_nano: span.now,
        value: Some(value(number)),
        ..NumberDataPoint::default()
    };
    points.into_iter().map(point).collect()
}

fn distribution(
    (labels, histogram): (Labels, crate::metrics::Histogram),
    span: Span,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(&labels),
        start_time_unix_nano: span.start,
        time_unix_nano: span.now,
        count: histogram.count(),
        sum: Some(histogram.sum),
        bucket_counts: histogram.counts,
        explicit_bounds: histogram.bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let named = |key: &str| format!("{}{key}", namespace(key));
    labels.iter().map(|(key, value)| attribute(&named(key), value)).collect()
}
