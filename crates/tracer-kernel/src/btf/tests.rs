//! Types of a kernel, made by hand.

use super::*;

/// `struct a { int b; struct { int c:3 at bit 35 }; }` with an int as type 1.
fn sample() -> Vec<u8> {
    let strings = b"\0int\0a\0b\0c\0";
    let types = [
        1,
        kind::INT << 24,
        4,
        32, // 1: int
        0,
        1 << 31 | kind::STRUCT << 24 | 1,
        8,
        9,
        1,
        3 << 24 | 3, // 2: anonymous
        5,
        kind::STRUCT << 24 | 2,
        12,
        7,
        1,
        0,
        0,
        2,
        32, // 3: a
    ];
    blob(&types, strings)
}

#[test]
fn members_are_found_through_anonymous_structs() {
    let bytes = sample();
    let btf = Btf::parse(&bytes, |_| true).unwrap();
    assert_eq!(btf.member("a", "b"), Some(Position { bit: 0, bitfield: false }));
    assert_eq!(btf.member("a", "c"), Some(Position { bit: 35, bitfield: true }));
    assert_eq!(btf.member("a", "d"), None);
    assert_eq!(btf.member("z", "b"), None);
}

#[test]
fn every_truncation_is_an_error_not_a_panic() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..len], |_| true).is_err(), "cut at {len}");
    }
}

#[test]
fn an_unknown_kind_names_itself() {
    let bytes = blob(&[0, 30 << 24, 0], b"\0");
    assert_eq!(Btf::parse(&bytes, |_| true).err(), Some(BtfError::Kind { id: 1, kind: 30 }));
}

#[test]
fn targets_keep_their_ids_and_nothing_else_is_named() {
    use aya_obj::btf::BtfKind::{Func, Struct, Typedef};
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("a kernel with BTF");
    let names = ["btf_trace_inet_sock_set_state", "btf_trace_tcp_probe", "bpf_iter_tcp"];
    let wanted = |name: &[u8]| names.iter().any(|wanted| wanted.as_bytes() == name);
    let all = Btf::parse(&bytes, wanted).unwrap();
    let targets = all.targets().for_aya().unwrap();
    assert_eq!(all.wanted.len(), names.len());
    for (name, kind) in names.into_iter().zip([Typedef, Typedef, Func]) {
        let id = targets.id_by_type_name_kind(name, kind).ok();
        assert_eq!(id, all.wanted.get(name.as_bytes()).copied(), "{name}");
    }
    assert!(targets.id_by_type_name_kind("sock", Struct).is_err());
}

/// Newer kernels sort their types by name.
#[test]
fn targets_may_lie_in_any_order() {
    use aya_obj::btf::BtfKind::{Func, Typedef};
    let types = [
        [1, kind::FUNC << 24, 0],
        [0, kind::FWD << 24, 0],
        [3, kind::TYPEDEF << 24, 0],
        [0, kind::FWD << 24, 0],
        [5, kind::FUNC << 24, 0],
    ];
    let bytes = blob(types.as_flattened(), b"\0f\0t\0g\0");
    let targets = Btf::parse(&bytes, |name| !name.is_empty()).unwrap().targets().for_aya().unwrap();
    let id = |name, kind| targets.id_by_type_name_kind(name, kind).ok();
    let ids = [id("f", Func), id("t", Typedef), id("g", Func), id("t", Func)];
    assert_eq!(ids, [Some(1), Some(3), Some(5), None]);
}

#[test]
fn the_running_kernel_has_the_tracepoint() {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("a kernel with BTF");
    let btf = Btf::parse(&bytes, |_| true).unwrap();
    assert_eq!(btf.tracepoint_arguments("inet_sock_set_state"), Some(3));
    assert_eq!(btf.member("sock_common", "skc_family").map(|p| p.bit), Some(16 * 8));
    assert_eq!(btf.enumerator("sock_shutdown_cmd", "SHUT_RDWR"), Some(2));
    assert_eq!(btf.enumerator("sock_shutdown_cmd", "SHUT_NOTHING"), None);
    assert_eq!(btf.enumerator("sock_common", "skc_family"), None);
}
