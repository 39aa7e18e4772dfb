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
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("a kernel with BTF");
    let names = ["btf_trace_inet_sock_set_state", "btf_trace_tcp_probe", "bpf_iter_tcp"];
    let wanted = |name: &[u8]| names.iter().any(|wanted| wanted.as_bytes() == name);
    let all = Btf::parse(&bytes, wanted).unwrap();
    let targets = all.targets();
    assert!(targets.len() < bytes.len() / 2, "{} of {}", targets.len(), bytes.len());
    let few = Btf::parse(&targets, |name| !name.is_empty()).unwrap();
    assert_eq!((few.wanted.len(), &few.wanted), (names.len(), &all.wanted));
    let nothing = Btf::parse(&bytes, |_| false).unwrap().targets();
    for bytes in [targets, nothing] {
        assert!(aya::Btf::parse(&bytes, aya::Endianness::default()).is_ok());
    }
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
