//! Any pod.

use std::sync::Arc;

use proptest::{option, prelude::*};
use tracer_event::container::{Cgroup, PodName};

/// A name, if there is one.
pub(super) fn pod_name() -> BoxedStrategy<Option<PodName>> {
    let name = ("[a-z0-9-]{1,63}", "[a-z0-9.-]{1,80}")
        .prop_map(|(namespace, name)| PodName { namespace: namespace.into(), name: name.into() });
    option::of(name).boxed()
}

/// The group of a container in a pod.
pub(super) fn of_pod() -> BoxedStrategy<Arc<Cgroup>> {
    ("[0-9a-f]{32}", "[0-9a-f]{64}", pod_name())
        .prop_map(|(uid, id, name)| {
            let group = Cgroup::of(&format!("/kubepods/burstable/pod{uid}/{id}"), |_| None);
            Arc::new(group.named(|_| name))
        })
        .boxed()
}
