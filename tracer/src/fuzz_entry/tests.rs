//! Any bytes, and real ones with some of them changed.

use std::{fs, sync::LazyLock};

use proptest::{prelude::*, sample::Index};
use rstest::rstest;
use tracer_output::{
    json::Take as _,
    packed::{MAGIC, Packer},
};
use tracer_wire::{Plain as _, Record, kind};

use super::{
    anonymized, btf, configuration, filter, format_file, packed, pair, proc, recording, records,
};
use crate::replay::tests::recorded;

/// What becomes of some bytes.
#[derive(Clone, Debug)]
enum Change {
    /// They end here.
    Cut(Index),
    /// One is another.
    Byte(Index, u8),
    /// Four are another number: a length or an offset perhaps.
    Word(Index, u32),
    /// A part comes again.
    Repeat(Index, Index),
    /// A part is missing.
    Remove(Index, Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let number = prop_oneof![Just(0), Just(u32::MAX), Just(1 << 31), 0..70_u32, any::<u32>()];
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\n\0\\\"{}[] \x1b\xff".to_vec())];
    let part = || (any::<Index>(), any::<Index>());
    let change = prop_oneof![
        1 => any::<Index>().prop_map(Change::Cut),
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (any::<Index>(), number).prop_map(|(at, word)| Change::Word(at, word)),
        1 => part().prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => part().prop_map(|(from, to)| Change::Remove(from, to)),
    ];
    prop::collection::vec(change, 0..12)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        let part = |from: &Index, to: &Index| {
            let (from, to) = (from.index(len), to.index(len));
            from.min(to)..from.max(to)
        };
        match change {
            Change::Cut(at) => bytes.truncate(at.index(len)),
            Change::Byte(at, byte) => bytes[at.index(len)] = *byte,
            Change::Word(at, word) => {
                let at = at.index(len) / 4 * 4;
                let end = len.min(at + 4);
                bytes[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            }
            Change::Repeat(from, to) => bytes.extend_from_within(part(from, to)),
            Change::Remove(from, to) => drop(bytes.drain(part(from, to))),
        }
    }
    bytes
}

/// A process with a name that cannot pass for anything else in its `stat`.
const STAT: &[u8] = b"7 (a) b (\xff\n) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 99 0\n";
const MOUNTS: &[u8] = b"22 29 0:21 / /proc rw,relatime - proc proc rw\n\
    35 24 0:30 / /sys/fs/cgroup/my\\040own rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
    103 29 0:4 net:[4026532205] /run/netns/\xff rw shared:5 - nsfs nsfs rw\n";
const CGROUP: &[u8] = b"4:cpu,freezer:/x:y\n0::/machine.slice/machine-a\\x2db.scope/\xff\n";
const FORMAT: &[u8] = b"name: inet_sock_set_state\nformat:\n\
    \tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
    \tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;\n\
    \tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n";
const CONFIGURATION: &[u8] = b"format = \"json\"\noutput = '/var/log/t.json'\nport = [443, 5432]\n\
    rotate-size = \"256MiB\"\nproblems = true\nprometheus = \"127.0.0.1:9498\"\n\
    [linger]\nclose-wait = \"30s\"\n";

/// What this kernel says of this process.
static REAL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let names = ["stat", "mountinfo", "cgroup", "maps", "limits", "net/netstat"];
    let real = names.iter().map(|name| fs::read(format!("/proc/self/{name}")).unwrap());
    let settings = ["ip_local_port_range", "ip_local_reserved_ports"];
    let ports =
        settings.map(|name| fs::read(format!("/proc/sys/net/ipv4/{name}")).unwrap()).concat();
    real.chain([STAT, MOUNTS, CGROUP].map(<[u8]>::to_vec)).chain([ports]).collect()
});

static BTF: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read("/sys/kernel/btf/vmlinux").expect("a kernel with BTF"));

/// A record that is none of a kernel's, but of the right kind.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), size_of::<Record>());
    (bytes, 0..kind::LIMIT + 1, 0..14_u8, 0..14_u8, 0..4_u64).prop_map(
        |(bytes, kind, old, new, sk)| {
            let record = Record::copied_from(&bytes).unwrap();
            let (cookie, old_state, new_state) = (sk, old, new);
            // The same few sockets, so that something becomes of them.
            let record = Record { kind, cookie, sk, old_state, new_state, ..record };
            record.as_bytes().to_vec()
        },
    )
}

/// Lines in the binary form.
fn binary(lines: &str, compress: bool) -> Vec<u8> {
    let mut packer = Packer::default();
    for line in lines.lines() {
        packer.take(&serde_json::from_str::<serde_json::Value>(line).unwrap());
    }
    let block = packer.block().unwrap().stored(compress).unwrap();
    [&MAGIC[..], block.bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_by_every_reader(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let of_recordings = [recording, anonymized, packed, pair];
        for read in [btf, format_file, proc, records, configuration, filter] {
            read(&bytes);
        }
        of_recordings.iter().for_each(|read| read(&bytes));
        packed(&[&[0], &bytes[..]].concat());
    }

    #[test]
    fn files_of_the_kernel_may_be_damaged(
        file in any::<Index>(),
        changes in changes(),
    ) {
        proc(&changed(file.get(&REAL).clone(), &changes));
        format_file(&changed(FORMAT.to_vec(), &changes));
    }

    #[test]
    fn configurations_may_hold_anything(changes in changes(), text in ".{0,60}", at: Index) {
        configuration(&changed(CONFIGURATION.to_vec(), &changes));
        let mut words: Vec<&str> = str::from_utf8(CONFIGURATION).unwrap().split(' ').collect();
        let place = at.index(words.len());
        words[place] = &text;
        configuration(words.join(" ").as_bytes());
    }

    #[test]
    fn records_may_hold_anything(
        list in prop::collection::vec((record(), prop::collection::vec(any::<u8>(), 64)), 1..24),
        changes in changes(),
    ) {
        let bytes = list.iter().flat_map(|(one, other)| [&one[..], other].concat()).collect::<Vec<u8>>();
        records(&bytes);
        records(&changed(bytes, &changes));
    }

    #[test]
    fn recordings_may_be_damaged(lines in recorded(), changes in changes(), packed: bool) {
        let lines = lines.into_bytes();
        if packed {
            recording(&changed(zstd::encode_all(&*lines, 1).unwrap(), &changes));
        } else {
            let changed = changed(lines, &changes);
            recording(&changed);
            anonymized(&changed);
        }
    }

    #[test]
    fn recordings_of_two_hosts_may_be_damaged(
        first in recorded(),
        second in recorded(),
        changes in changes(),
    ) {
        pair(&changed([first.as_bytes(), second.as_bytes()].join(&0), &changes));
    }

    #[test]
    fn recordings_in_the_binary_form_may_be_damaged(
        lines in recorded(),
        changes in changes(),
        compress: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        recording(&changed(binary(&lines, compress), &changes));
        packed(&[lines.as_bytes(), &[0], &bytes].concat());
    }
}

proptest! {
    // Each reads some megabytes.
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_s_btf_may_be_damaged(changes in changes()) {
        btf(&changed(BTF.clone(), &changes));
    }
}

/// `count` structs, each of which is an anonymous member of the one before `width` times.
fn maze(count: u32, width: u32) -> Vec<u8> {
    const STRUCT: u32 = 4;
    let mut words = Vec::new();
    for id in 1..=count {
        let name = if id == 1 { 1 } else { 0 };
        words.extend([name, 1 << 31 | STRUCT << 24 | width, 8]);
        for _ in 0..width {
            // The last one leads back to the first.
            words.extend([0, id % count + 1, 0x00ff_ffff]);
        }
    }
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let strings = b"\0sock\0";
    let len = 4 * words.len() as u32;
    for word in [24, 0, len, len, strings.len() as u32].iter().chain(&words) {
        bytes.extend(word.to_le_bytes());
    }
    [bytes, strings.to_vec()].concat()
}

/// Without a bound this would take longer than the sun burns.
#[test]
fn structs_that_hold_each_other_end() {
    btf(&maze(3, 60_000));
    btf(&maze(1, 8));
}

#[rstest]
#[case::all_of_the_address_space(&[24, 0, u32::MAX, u32::MAX, u32::MAX])]
#[case::beyond_it(&[u32::MAX; 5])]
#[case::overlapping(&[0, 0, 24, 0, 24])]
fn a_header_may_claim_anything(#[case] words: &[u32]) {
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    btf(&[0x9f, 0xeb, 1, 0].into_iter().chain(words).collect::<Vec<_>>());
}

#[rstest]
#[case::json("[", "{\"kind\":\"transition\",\"new\":")]
#[case::objects("{\"a\":", "{\"kind\":\"linger\",\"new\":")]
fn deep_nesting_takes_no_stack(#[case] open: &str, #[case] before: &str) {
    recording(format!("{before}{}", open.repeat(100_000)).as_bytes());
    recording(format!("{}\n", open.repeat(100_000)).as_bytes());
}

#[rstest]
#[case("a = ", "[")]
#[case("a = ", "{a=")]
#[case("", "a.")]
#[case("", "[")]
fn deep_nesting_in_a_configuration_is_a_mistake(#[case] before: &str, #[case] open: &str) {
    configuration(format!("{before}{}", open.repeat(100_000)).as_bytes());
}
