//! What a control group is part of, by the names that the kubelet and systemd give theirs.

/// UID of the pod whose container is called `container`: of the directory that the kubelet has made
/// around it.
///
/// | driver of the kubelet | component of the path |
/// |---|---|
/// | systemd | `kubepods-burstable-podUID.slice`, with `_` for `-` |
/// | cgroupfs | `podUID`, below `kubepods` |
/// | systemd, but cgroupfs that of containerd | `kubepods-burstable-podUID.slice:cri-containerd:ID` |
pub(super) fn pod(path: &str, container: &str) -> Option<String> {
    let mut below_kubepods = false;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        let (name, rest) = component.split_once(':').unwrap_or((component, ""));
        below_kubepods |= name.starts_with("kubepods") || name.starts_with("kubelet-kubepods");
        let stem = name.strip_suffix(".slice").unwrap_or(name);
        if let Some((before, uid)) = stem.rsplit_once("pod")
            && below_kubepods
            && (before.is_empty() || before.ends_with('-'))
            && let Some(uid) = uid_of_pod(uid)
        {
            return Some(uid);
        }
        // What is in a container names nothing.
        if component.contains(container) && rest.is_empty() {
            return None;
        }
    }
    None
}

/// A UUID, or the hash that the kubelet gives pods of its own files.
pub(super) fn uid_of_pod(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let is_hexadecimal = |part: &str| part.bytes().all(|digit| digit.is_ascii_hexdigit());
    let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
    let is_one = matches!(lengths.as_slice(), [32] | [8, 4, 4, 4, 12]);
    (is_one && uid.split('-').all(is_hexadecimal)).then_some(uid)
}

/// The unit of a path by systemd's rule (src/basic/cgroup-util.c, `cg_path_get_unit`): the first
/// component after the slices.
pub(super) fn unit(path: &str) -> Option<&str> {
    let components = path.split('/').filter(|component| !component.is_empty());
    // Where the tracer is in a control group namespace, the way out of it comes first.
    let mut units = components.skip_while(|name| *name == ".." || name.ends_with(".slice"));
    let unit = units.next()?;
    let suffixes = [".service", ".scope", ".socket", ".mount", ".swap"];
    suffixes
        .iter()
        .any(|suffix| unit.len() > suffix.len() && unit.ends_with(suffix))
        .then_some(unit)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::container::Cgroup;

    const ID: &str = "3f2a9c1b04de5f67890123456789abcdef0123456789abcdef0123456789abcd";
    const OTHER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const POD: &str = "0b6ff5e4-1c5d-4f52-8e0f-9f3c7d2f6a11";

    /// As kubelets of both drivers and three runtimes name them.
    #[rstest]
    #[case(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podP_D.slice/cri-containerd-ID.scope"
    )]
    #[case(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podP_D.slice/crio-ID.scope/container"
    )]
    #[case("/kubepods.slice/kubepods-podP_D.slice/docker-ID.scope")]
    #[case("/kubepods.slice/kubepods-podP_D.slice/crio-ID.scope")]
    #[case("/kubepods/burstable/podP-D/ID")]
    #[case("/kubepods/podP-D/ID")]
    #[case("/kubepods/besteffort/podP-D/crio-ID")]
    #[case("/system.slice/containerd.service/kubepods-burstable-podP_D.slice:cri-containerd:ID")]
    #[case(
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podP_D.slice/cri-containerd-ID.scope"
    )]
    #[case("/../kubepods/burstable/podP-D/ID")]
    // What a container's own manager makes in it.
    #[case("/kubepods/burstable/podP-D/ID/kubepods/pod00000000000000000000000000000000/OTHER")]
    fn pods_are_found_in_paths(#[case] path: &str) {
        let group = Cgroup::of(&of_pod(path), |_| None);
        assert_eq!(group.container.as_deref(), Some(ID), "{}", group.path);
        assert_eq!((group.pod.as_deref(), group.unit), (Some(POD), None), "{}", group.path);
    }

    fn of_pod(path: &str) -> String {
        path.replace("P_D", &POD.replace('-', "_"))
            .replace("P-D", POD)
            .replace("ID", ID)
            .replace("OTHER", OTHER)
    }

    /// The kubelet names a pod of its own files by a hash.
    #[test]
    fn static_pods_have_a_uid_without_dashes() {
        let uid = "0123456789abcdef0123456789abcdef";
        let path = format!("/kubepods.slice/kubepods-burstable-pod{uid}.slice/crio-{ID}.scope");
        assert_eq!(Cgroup::of(&path, |_| None).pod.as_deref(), Some(uid));
    }

    #[rstest]
    // A node in a container (kind): it is the container's pod, and may be called anything.
    #[case("/docker/ID/kubelet/kubepods/burstable/podP-D/OTHER", &[])]
    #[case("/system.slice/docker-ID.scope/kubelet.slice/kubepods-podP_D.slice/OTHER", &[])]
    // Somebody has made the directories himself.
    #[case("/x/kubepods/podP-D/ID", &[(1, 1000)])]
    #[case("/user.slice/user-1000.slice/user@1000.service/kubepods/podP-D/ID", &[])]
    #[case("/kubepods/burstable/pod7d1/ID", &[])]
    #[case("/kubepods/burstable/podP-D", &[])]
    #[case("/podP-D/ID", &[])]
    #[case("/system.slice/docker-ID.scope", &[])]
    fn what_no_kubelet_has_made_is_no_pod(#[case] path: &str, #[case] owners: &[(usize, u32)]) {
        assert_eq!(
            Cgroup::of(&of_pod(path), |depth| owners
                .iter()
                .find(|(of, _)| *of == depth)
                .map(|(_, uid)| *uid))
            .pod,
            None
        );
    }

    #[rstest]
    #[case("/system.slice/nginx.service", Some("nginx.service"))]
    #[case("/system.slice/nginx.service/worker", Some("nginx.service"))]
    #[case(
        "/system.slice/system-postgresql.slice/postgresql@15-main.service",
        Some("postgresql@15-main.service")
    )]
    #[case("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope"))]
    // Whatever a user's own manager runs is the system's one unit.
    #[case(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
        Some("user@1000.service")
    )]
    #[case("/init.scope", Some("init.scope"))]
    #[case("/../system.slice/nginx.service", Some("nginx.service"))]
    #[case("/system.slice/docker-ID.scope", None)]
    #[case("/lxc.payload.web/system.slice/nginx.service", None)]
    #[case("/machine.slice/machine-web.scope", None)]
    #[case("/system.slice/.service", None)]
    #[case("/cpu/nginx.service", None)]
    #[case("/system.slice", None)]
    #[case("/", None)]
    #[case("", None)]
    fn units_are_found_as_systemd_finds_them(#[case] path: &str, #[case] expected: Option<&str>) {
        let path = path.replace("ID", ID);
        assert_eq!(Cgroup::of(&path, |_| None).unit.as_deref(), expected);
    }
}
