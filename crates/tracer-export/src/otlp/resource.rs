//! The source of the telemetry (<https://opentelemetry.io/docs/specs/semconv/resource/>): the service,
//! the host, and the node of Kubernetes.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1,
};
use uuid::{Uuid, uuid};

use super::settings::pairs;

/// Variables that a pod's specification fills by the downward API, and what they are called here.
/// Not the tracer's own pod: what is sent is about the sockets of a node, and a record says in
/// which pod and container its socket is. A processor that adds names to a pod takes the UID from
/// the resource if there is one.
const KUBERNETES: [(&str, &str); 2] =
    [("K8S_CLUSTER_NAME", "k8s.cluster.name"), ("K8S_NODE_NAME", "k8s.node.name")];

/// How the host identifies itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Its name.
    pub host_name: String,
    /// Content of `/etc/machine-id`; empty where there is none, as in most containers.
    pub machine_id: String,
    /// Content of `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// Version of the semantic conventions whose names are used, in all that is sent.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// The namespace for UUIDs that stand for an instance of a service
/// (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/>).
const INSTANCE: Uuid = uuid!("4d63009a-8d0f-11ee-aad7-4c796ed8e320");

impl Identity {
    /// A unique name of the host; where it has no lasting one, of this boot.
    fn host(&self) -> String {
        let ids = [&self.machine_id, &self.boot_id].map(|id| id.trim());
        ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default().to_owned()
    }
}

/// Attributes of all that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(Vec<(String, String)>);

impl Resource {
    /// From the host and from variables; what `OTEL_RESOURCE_ATTRIBUTES` says comes first, but
    /// for `service.name`, which `OTEL_SERVICE_NAME` decides.
    pub fn new(identity: &Identity, variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        let mut add = |key: &str, value: &str| {
            if !value.is_empty() && !attributes.iter().any(|(known, _)| known == key) {
                attributes.push((key.to_owned(), value.to_owned()));
            }
        };
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            add("service.name", &name);
        }
        if let Some(text) = variable("OTEL_RESOURCE_ATTRIBUTES") {
            match pairs(&text) {
                Some(pairs) => pairs.iter().for_each(|(key, value)| add(key, value)),
                // As specified: all of it is discarded.
                None => tracing::warn!(
                    "OTEL_RESOURCE_ATTRIBUTES {text:?}: not of the form key=value,key2=value2; \
                     ignored"
                ),
            }
        }
        add("service.name", "tracer");
        add("service.version", env!("CARGO_PKG_VERSION"));
        add("host.name", &identity.host_name);
        let host = identity.host();
        add("host.id", &host);
        if !host.is_empty() {
            // The id of the host does not follow from it.
            add("service.instance.id", &Uuid::new_v5(&INSTANCE, host.as_bytes()).to_string());
        }
        add("os.type", "linux");
        for (name, key) in KUBERNETES {
            add(key, &variable(name).unwrap_or_default());
        }
        Self(attributes)
    }

    pub(super) fn message(&self) -> v1::Resource {
        let attributes = self.0.iter().map(|(key, value)| attribute(key, value)).collect();
        v1::Resource { attributes, ..v1::Resource::default() }
    }
}

/// The instrumentation scope.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "tracer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_completes_and_corrects_what_the_host_says() {
        let identity = Identity {
            host_name: "node1".to_owned(),
            machine_id: "abc\n".to_owned(),
            boot_id: "not asked".to_owned(),
        };
        let resource = Resource::new(&identity, |name| {
            let value = match name {
                "OTEL_SERVICE_NAME" => "edge",
                "OTEL_RESOURCE_ATTRIBUTES" => "service.name=other,host.name=a%2Cb,team=net",
                "K8S_NODE_NAME" => "worker",
                // The tracer's own, which would pass for that of every socket.
                "K8S_POD_UID" => "0b6ff5e4",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let expected = [
            ("service.name", "edge"),
            ("host.name", "a,b"),
            ("team", "net"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("host.id", "abc"),
            ("service.instance.id", "924f37d1-244c-556d-bfc1-23550f6e6c1c"),
            ("os.type", "linux"),
            ("k8s.node.name", "worker"),
        ];
        assert_eq!(resource.0, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    /// Behind a gateway nothing else tells one host from the other.
    #[test]
    fn hosts_are_told_apart_also_without_a_machine_id() {
        let of = |boot_id: &str| {
            let identity = Identity { boot_id: boot_id.to_owned(), ..Identity::default() };
            let Resource(attributes) = Resource::new(&identity, |_| None);
            let wanted = |(key, _): &(String, String)| key.ends_with(".id");
            attributes.into_iter().filter(wanted).collect::<Vec<_>>()
        };
        let (one, other) = (of("11-22\n"), of("11-23\n"));
        assert_eq!(one.len(), 2, "{one:?}");
        assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{one:?}, {other:?}");
    }
}
