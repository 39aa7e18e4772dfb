//! Which container a control group belongs to, by the names that container runtimes give theirs.

/// A control group and the container that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Path in the hierarchy.
    pub path: Box<str>,
    /// Id of the container (docker, containerd, CRI-O, podman), or its name (LXC, nspawn).
    pub container: Option<Box<str>>,
}

impl Cgroup {
    /// Of a path as `/proc/PID/cgroup` shows it.
    pub fn of(path: &str) -> Self {
        Self { path: path.into(), container: container(path).map(Into::into) }
    }
}

/// The id, or where there is none the name, of the innermost container in a path.
///
/// | runtime | component of the path |
/// |---|---|
/// | docker, containerd, CRI-O, podman under systemd | `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope` |
/// | the same with cgroupfs, kubernetes included | `docker/ID`, `kubepods/burstable/podUID/ID` |
/// | LXC | `lxc.payload.NAME`, `lxc/NAME` |
/// | systemd-nspawn | `machine-NAME.scope`, `systemd-nspawn@NAME.service` |
pub fn container(path: &str) -> Option<String> {
    let components: Vec<&str> = path.split('/').collect();
    (0..components.len()).rev().find_map(|index| {
        let outer = index.checked_sub(1).map_or("", |outer| components[outer]);
        named_by(outer, components[index])
    })
}

fn named_by(outer: &str, component: &str) -> Option<String> {
    let unit = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, id) = unit.rsplit_once('-').unwrap_or(("", unit));
    // The monitor of a container runs beside it.
    if is_id(id) && !runtime.ends_with("conmon") {
        return Some(id.to_owned());
    }
    if let Some(name) = component.strip_prefix("lxc.payload.") {
        return Some(name.to_owned());
    }
    if outer == "lxc" && !component.is_empty() {
        return Some(component.to_owned());
    }
    let machine =
        component
            .strip_prefix("machine-")
            .and_then(|name| name.strip_suffix(".scope"))
            .or_else(|| component.strip_prefix("systemd-nspawn@")?.strip_suffix(".service"))?;
    // As systemd escapes the names of units.
    Some(machine.replace("\\x2d", "-"))
}

/// SHA-256 in hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// As people write it: the first twelve digits of an id, a name as it is.
pub fn short(container: &str) -> &str {
    if is_id(container) { &container[..12] } else { container }
}

/// Whether `wanted` is the name of a container or the beginning of its id.
pub fn is_named(container: &str, wanted: &str) -> bool {
    container == wanted || is_id(container) && !wanted.is_empty() && container.starts_with(wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ID: &str = "3f2a9c1b04de5f67890123456789abcdef0123456789abcdef0123456789abcd";

    #[rstest]
    #[case("/system.slice/docker-ID.scope", Some(ID))]
    #[case("/docker/ID", Some(ID))]
    #[case("/docker/ID/init.scope", Some(ID))]
    #[case(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d1.slice/\
         cri-containerd-ID.scope",
        Some(ID)
    )]
    #[case("/kubepods.slice/kubepods-pod7d1.slice/crio-ID.scope/container", Some(ID))]
    #[case("/kubepods/burstable/pod0b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11/ID", Some(ID))]
    #[case("/machine.slice/libpod-ID.scope/container", Some(ID))]
    #[case("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope", Some(ID))]
    #[case("/machine.slice/libpod-conmon-ID.scope", None)]
    #[case("/kubepods.slice/crio-conmon-ID.scope", None)]
    #[case("/lxc.payload.web/system.slice/nginx.service", Some("web"))]
    #[case("/lxc/web-1", Some("web-1"))]
    #[case("/lxc.monitor.web", None)]
    #[case("/machine.slice/machine-build\\x2dhost.scope", Some("build-host"))]
    #[case("/machine.slice/systemd-nspawn@web.service/payload/system.slice", Some("web"))]
    // The innermost one is where the socket is.
    #[case("/lxc.payload.web/docker/ID", Some(ID))]
    #[case("/system.slice/nginx.service", None)]
    #[case("/user.slice/user-1000.slice/session-3.scope", None)]
    #[case("/system.slice/docker-ID0.scope", None)]
    #[case("/", None)]
    #[case("", None)]
    fn containers_are_found_in_paths(#[case] path: &str, #[case] expected: Option<&str>) {
        assert_eq!(container(&path.replace("ID", ID)).as_deref(), expected);
    }

    #[rstest]
    #[case(ID, &ID[..12], true)]
    #[case(ID, ID, true)]
    #[case(ID, "3f3", false)]
    #[case(ID, "", false)]
    #[case("web", "web", true)]
    #[case("web-1", "web", false)]
    fn containers_are_asked_for_by_name_or_the_beginning_of_the_id(
        #[case] container: &str,
        #[case] wanted: &str,
        #[case] named: bool,
    ) {
        assert_eq!(is_named(container, wanted), named);
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_a_panic(path in "[/a-z.@\\\\0-9-]{0,80}|.{0,80}") {
            let found = container(&path);
            prop_assert!(found.is_none_or(|name| short(&name).len() <= path.len()));
        }
    }
}
