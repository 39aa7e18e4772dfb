//! What a pod of Kubernetes is called, which no control group says: its path has the UID only.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workload::uid_of_pod;
use crate::name;

/// Name of a pod.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct PodName {
    /// Its namespace.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub namespace: Arc<str>,
    /// Its name, which it has alone in the namespace.
    #[serde(with = "name::text")]
    #[schemars(with = "String")]
    pub name: Arc<str>,
}

impl PodName {
    /// UID and name of the pod whose logs are in a directory of this name, `NAMESPACE_NAME_UID`
    /// (pkg/kubelet/kuberuntime/helpers.go, `BuildPodLogsDirectory`, since 1.14); `None` for any
    /// other.
    pub fn of_directory(directory: &str) -> Option<(String, Self)> {
        let mut parts = directory.split('_');
        let [namespace, name, uid] = [parts.next()?, parts.next()?, parts.next()?];
        let is_one = parts.next().is_none() && is_name(namespace, 63) && is_name(name, 253);
        let uid = uid_of_pod(uid).filter(|_| is_one)?;
        Some((uid, Self { namespace: namespace.into(), name: name.into() }))
    }
}

/// As `kubectl` takes it after `pod/`, with the namespace before it.
impl fmt::Display for PodName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        write!(formatter, "{namespace}/{name}")
    }
}

/// What the API server takes for a name (RFC 1123).
fn is_name(text: &str, longest: usize) -> bool {
    let is_part = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    !text.is_empty() && text.len() <= longest && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const UID: &str = "0b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11";

    #[rstest]
    #[case("shop_web-6d4b75cb6d-hx7lq_UID", "shop/web-6d4b75cb6d-hx7lq", UID)]
    #[case("shop_db.0_UID", "shop/db.0", UID)]
    // Of a file of the kubelet's own.
    #[case(
        "kube-system_etcd-a_3b0c5b1f2f4a7c1d9e8f7a6b5c4d3e2f",
        "kube-system/etcd-a",
        "3b0c5b1f2f4a7c1d9e8f7a6b5c4d3e2f"
    )]
    fn a_directory_of_logs_names_its_pod(
        #[case] directory: &str,
        #[case] name: &str,
        #[case] uid: &str,
    ) {
        let (found, pod) = PodName::of_directory(&directory.replace("UID", UID)).unwrap();
        assert_eq!((found.as_str(), pod.to_string().as_str()), (uid, name));
    }

    #[rstest]
    #[case::nothing("")]
    #[case::of_older_kubelets("UID")]
    #[case::too_few("shop_UID")]
    #[case::too_many("shop_web_1_UID")]
    #[case::no_name("shop__UID")]
    #[case::no_namespace("_web_UID")]
    #[case::no_uid("shop_web_1")]
    #[case::a_way_out("shop_.._../../etc")]
    #[case::a_terminal("shop_\u{1b}[2J_UID")]
    #[case::not_of_kubernetes("shop_Web_UID")]
    fn any_other_directory_names_none(#[case] directory: &str) {
        assert_eq!(PodName::of_directory(&directory.replace("UID", UID)), None);
    }

    #[test]
    fn no_name_is_longer_than_those_of_kubernetes() {
        let of = |namespace: usize, name: usize| {
            let [namespace, name] = [namespace, name].map(|length| "a".repeat(length));
            PodName::of_directory(&format!("{namespace}_{name}_{UID}")).is_some()
        };
        assert!(of(63, 253) && !of(64, 1) && !of(1, 254));
    }
}
