//! Which container, pod or unit a control group belongs to, by the names that container runtimes,
//! the kubelet and systemd give theirs.
//!
//! Anybody may give such a name to a group in a part of the hierarchy that is delegated to him. Two
//! rules keep him from passing for somebody else's container. The outermost name counts: what a
//! container does in its own part, it does. And a name below a directory that does not belong to
//! root is its owner's: `user-1000/NAME`, which no other container is called, for no name has a
//! slash in it.

mod pod_name;
mod workload;

use std::sync::Arc;

pub use self::pod_name::PodName;
use self::workload::{pod, unit};

/// A control group and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Path in the hierarchy.
    pub path: Arc<str>,
    /// Id of the container (docker, containerd, CRI-O, podman), or its name (LXC, nspawn); of one
    /// that a user has made (rootless podman) `user-UID/` and that.
    pub container: Option<Arc<str>>,
    /// UID of the pod of Kubernetes that the container is in, with dashes as the API writes it.
    pub pod: Option<Arc<str>>,
    /// What the pod is called, where that was asked for and is known.
    pub pod_name: Option<PodName>,
    /// Unit of systemd, where there is no container: the service or scope of the system's manager.
    pub unit: Option<Arc<str>>,
}

impl Cgroup {
    /// Of a path as `/proc/PID/cgroup` shows it. `owner` says whose the directory is that the first
    /// so many components of the path lead to, as far as that is known.
    pub fn of(path: &str, owner: impl Fn(usize) -> Option<u32>) -> Self {
        Self::new(path.into(), container(path, owner).map(Into::into))
    }

    /// Of a path whose container is known. Pod and unit follow from both.
    pub fn new(path: Arc<str>, container: Option<Arc<str>>) -> Self {
        let pod = container
            .as_deref()
            .filter(|name| is_id(name))
            .and_then(|name| pod(&path, name))
            .map(Into::into);
        let unit = if container.is_none() { unit(&path).map(Into::into) } else { None };
        Self { path, container, pod, pod_name: None, unit }
    }

    /// The same with the name of its pod, which `name` knows by the UID.
    #[must_use]
    pub fn named(self, name: impl FnOnce(&str) -> Option<PodName>) -> Self {
        let pod_name = self.pod.as_deref().and_then(name);
        Self { pod_name, ..self }
    }

    /// The path of the whole container or unit, which may have groups below; else its own.
    pub fn whole(&self) -> &str {
        let ends = self.path.match_indices('/').map(|(at, _)| at).chain([self.path.len()]);
        let is_it = |above: &&str| {
            let mut names = above.rsplit('/');
            let [own, outer] = [names.next(), names.next()].map(Option::unwrap_or_default);
            match (&self.container, &self.unit) {
                (Some(_), _) => named_by(outer, own).is_some(),
                (None, Some(unit)) => *own == **unit,
                (None, None) => false,
            }
        };
        ends.map(|end| &self.path[..end]).find(is_it).unwrap_or(&self.path)
    }

    /// Whether it is the group that `wanted` names, or one below: by its path (whatever has a slash
    /// in it), or by a component of that, which is what systemd names after a unit.
    pub fn is_within(&self, wanted: &str) -> bool {
        let mut own = self.path.split('/').filter(|component| !component.is_empty());
        if !wanted.contains('/') {
            return own.any(|component| component == wanted);
        }
        // What was told without its group has no path.
        let mut wanted = wanted.split('/').filter(|component| !component.is_empty());
        !self.path.is_empty() && wanted.all(|component| own.next() == Some(component))
    }
}

/// The id, or where there is none the name, of the outermost container in a path; `owner` as for
/// [`Cgroup::of`].
///
/// | runtime | component of the path |
/// |---|---|
/// | docker, containerd, CRI-O, podman under systemd | `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope` |
/// | the same with cgroupfs, kubernetes included | `docker/ID`, `kubepods/burstable/podUID/ID`, `…/crio-ID` |
/// | containerd with cgroupfs below a kubelet with systemd | `kubepods-burstable-podUID.slice:cri-containerd:ID` |
/// | LXC | `lxc.payload.NAME`, `lxc/NAME` |
/// | systemd-nspawn | `machine-NAME.scope`, `systemd-nspawn@NAME.service` |
pub fn container(path: &str, owner: impl Fn(usize) -> Option<u32>) -> Option<String> {
    let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
    let (index, name) = (0..components.len()).find_map(|index| {
        let outer = index.checked_sub(1).map_or("", |outer| components[outer]);
        Some((index, named_by(outer, components[index])?))
    })?;
    // Whoever owns a directory on the way has made what is in it, or might have.
    let claimed = (1..=index).filter_map(owner).find(|uid| *uid != 0);
    match claimed.or_else(|| user(&components[..index])) {
        Some(uid) => Some(format!("user-{uid}/{name}")),
        None => Some(name),
    }
}

/// Whose the slice is in which a path lies, where nobody says who owns the directories: systemd
/// delegates `user@UID.service` in it to that user.
fn user(outer: &[&str]) -> Option<u32> {
    let ["user.slice", slice, ..] = outer else { return None };
    let uid = slice.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok()?;
    (uid != 0).then_some(uid)
}

fn named_by(outer: &str, component: &str) -> Option<String> {
    let unit = component.strip_suffix(".scope").unwrap_or(component);
    let (runtime, id) = unit.rsplit_once(['-', ':']).unwrap_or(("", unit));
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
    let (_, name) = split(container);
    if is_id(name) { &container[..container.len() - name.len() + 12] } else { container }
}

/// Whether `wanted` is the name of a container or the beginning of its id.
pub fn is_named(container: &str, wanted: &str) -> bool {
    let ((user, name), (wanted_user, wanted)) = (split(container), split(wanted));
    let is_it = name == wanted || is_id(name) && !wanted.is_empty() && name.starts_with(wanted);
    user == wanted_user && is_it
}

/// Who has made it, where that is not root, and its name.
fn split(container: &str) -> (Option<&str>, &str) {
    container.split_once('/').map_or((None, container), |(user, name)| (Some(user), name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ID: &str = "3f2a9c1b04de5f67890123456789abcdef0123456789abcdef0123456789abcd";

    /// Containers may have groups of their own, and so may units.
    #[rstest]
    #[case("/system.slice/docker-ID.scope/init/web", "/system.slice/docker-ID.scope")]
    #[case("/docker/ID", "/docker/ID")]
    #[case("/lxc/web/system.slice/cron.service", "/lxc/web")]
    #[case("/system.slice/nginx.service/workers", "/system.slice/nginx.service")]
    #[case("/system.slice/nginx.service", "/system.slice/nginx.service")]
    #[case("/batch/jobs", "/batch/jobs")]
    fn the_whole_of_a_container_or_a_unit_has_a_path(#[case] path: &str, #[case] whole: &str) {
        let group = Cgroup::of(&path.replace("ID", ID), |_| None);
        assert_eq!(group.whole(), whole.replace("ID", ID));
    }

    const OTHER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[rstest]
    #[case("/system.slice/nginx.service", "nginx.service", true)]
    #[case("/system.slice/nginx.service/worker", "nginx.service", true)]
    #[case("/system.slice/nginx.service", "nginx", false)]
    #[case("/system.slice/my-nginx.service", "nginx.service", false)]
    #[case("/system.slice/nginx.service", "/system.slice", true)]
    #[case("/system.slice/nginx.service", "/system.slice/", true)]
    #[case("/system.slice/nginx.service", "system.slice/nginx.service", true)]
    #[case("/system.slice/nginx.service", "/system.slice/nginx.service/worker", false)]
    #[case("/system.slice/nginx.service", "/nginx.service", false)]
    #[case("/system.slice", "/system", false)]
    #[case("/system.slice/nginx.service", "/", true)]
    #[case("/", "/", true)]
    #[case("/", "nginx.service", false)]
    #[case("", "/", false)]
    fn groups_are_asked_for_by_path_or_unit(
        #[case] path: &str,
        #[case] wanted: &str,
        #[case] is_within: bool,
    ) {
        assert_eq!(Cgroup::of(path, |_| None).is_within(wanted), is_within);
    }

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
    #[case("/machine.slice/libpod-conmon-ID.scope", None)]
    #[case("/kubepods.slice/crio-conmon-ID.scope", None)]
    #[case("/lxc.payload.web/system.slice/nginx.service", Some("web"))]
    #[case("/lxc/web-1", Some("web-1"))]
    #[case("/lxc.monitor.web", None)]
    #[case("/machine.slice/machine-build\\x2dhost.scope", Some("build-host"))]
    #[case("/machine.slice/systemd-nspawn@web.service/payload/system.slice", Some("web"))]
    // What is in a container names nothing.
    #[case("/lxc.payload.web/docker/ID", Some("web"))]
    #[case("/docker/ID/kubelet/kubepods/burstable/podUID/OTHER", Some(ID))]
    #[case("/system.slice/docker-ID.scope/user.slice/user-1000.slice/libpod-OTHER.scope", Some(ID))]
    #[case("/../docker-ID.scope", Some(ID))]
    // Root's own service manager has no name of its own.
    #[case("/user.slice/user-0.slice/user@0.service/libpod-ID.scope", Some(ID))]
    #[case("/user.slice/user-1000.slice/user@1000.service/lxc.payload.web", Some("user-1000/web"))]
    #[case("/system.slice/nginx.service", None)]
    #[case("/user.slice/user-1000.slice/session-3.scope", None)]
    #[case("/system.slice/docker-ID0.scope", None)]
    #[case("/", None)]
    #[case("", None)]
    fn containers_are_found_in_paths(#[case] path: &str, #[case] expected: Option<&str>) {
        let path = path.replace("podUID", "pod7d1").replace("ID", ID).replace("OTHER", OTHER);
        assert_eq!(container(&path, |_| None).as_deref(), expected);
    }

    /// Rootless podman's are told, and whose they are; so are those that somebody has invented.
    #[rstest]
    #[case::known_by_its_owner(&[(4, 1000)])]
    #[case::known_by_the_slice(&[])]
    fn a_container_of_a_user_is_his(#[case] owners: &[(usize, u32)]) {
        let path = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/x";
        let found = container(&path.replace("ID", ID), owned(owners)).unwrap();
        assert_eq!(found, format!("user-1000/{ID}"));
        assert_eq!(short(&found), &format!("user-1000/{ID}")[..22]);
    }

    #[rstest]
    // A service with a user of its own and Delegate=yes.
    #[case("/system.slice/runner.service/docker-ID.scope", &[(2, 998)], "user-998/ID")]
    // The container itself may belong to whom its root is mapped to (userns-remap).
    #[case("/system.slice/docker-ID.scope/x", &[(2, 100_000)], "ID")]
    #[case("/system.slice/docker-ID.scope/x", &[(1, 0), (2, 0)], "ID")]
    #[case("/a/b/ID", &[(1, 7), (2, 8)], "user-7/ID")]
    fn who_owns_the_directory_has_made_what_is_in_it(
        #[case] path: &str,
        #[case] owners: &[(usize, u32)],
        #[case] expected: &str,
    ) {
        let found = container(&path.replace("ID", ID), owned(owners));
        assert_eq!(found, Some(expected.replace("ID", ID)));
    }

    fn owned(owners: &[(usize, u32)]) -> impl Fn(usize) -> Option<u32> {
        |depth| owners.iter().find(|(of, _)| *of == depth).map(|(_, uid)| *uid)
    }

    #[rstest]
    #[case(ID, &ID[..12], true)]
    #[case(ID, ID, true)]
    #[case(ID, "3f3", false)]
    #[case(ID, "", false)]
    #[case("web", "web", true)]
    #[case("web-1", "web", false)]
    #[case("user-1000/web", "web", false)]
    #[case("user-1000/web", "user-1000/web", true)]
    #[case("web", "user-1000/web", false)]
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
            let found = container(&path, |_| None);
            prop_assert!(found.is_none_or(|name| short(&name).len() <= "user-/".len() + path.len()));
        }

        #[test]
        fn nothing_in_a_container_changes_what_it_is_called(
            inner in prop::sample::subsequence(
                vec!["docker-OTHER.scope", "user.slice", "user-7.slice", "lxc", "OTHER", "x"], 0..6,
            ),
            uid: u32,
        ) {
            let inner = inner.join("/").replace("OTHER", OTHER);
            let found = container(&format!("/system.slice/docker-{ID}.scope/{inner}"), |depth| {
                Some(if depth > 1 { uid } else { 0 })
            });
            prop_assert_eq!(found.as_deref(), Some(ID));
        }

        #[test]
        fn nobody_can_name_another_s_container(
            inner in "([a-z0-9.@-]{1,8}/){0,3}(docker-ID\\.scope|lxc/web|ID|machine-web\\.scope)(/x)?",
            uid in 1_u32..,
        ) {
            let inner = inner.replace("ID", ID);
            let found = container(&format!("/x.slice/{inner}"), |depth| (depth > 0).then_some(uid));
            let found = found.unwrap();
            prop_assert!(found.starts_with(&format!("user-{uid}/")), "{found}");
            prop_assert!(!is_named(&found, ID) && !is_named(&found, "web"), "{found}");
        }
    }
}
