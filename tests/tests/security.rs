//! The promises of SECURITY.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    background::Background,
    fanotify::Watch,
    kernel_objects::held_by,
    netns::isolated,
    sockets::{self, Pair, eventually},
    stranger::{Stranger, ways_into},
    tracer::{Tracer, WITH_TRACEFS, child_of, command, wait},
};

/// Bits of those that are kept, include/uapi/linux/capability.h.
const CAPABILITIES: [(&str, u32); 6] = [
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
    ("CAP_CHECKPOINT_RESTORE", 40),
];

/// Fields of `/proc/PID/task/TID/status` of all threads, by their names.
fn threads(pid: u32) -> BTreeMap<String, BTreeMap<String, String>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let status = entries.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
    let by_name = |fields: BTreeMap<String, String>| (fields["Name"].clone(), fields);
    status.map(|status| by_name(fields(&status))).collect()
}

fn fields(status: &str) -> BTreeMap<String, String> {
    let pairs = status.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// The capabilities that SECURITY.md says a thread keeps.
fn documented() -> BTreeMap<String, u64> {
    let document = include_str!("../../SECURITY.md");
    // Processes and threads of these commands alone have tests beside theirs.
    let of_others = ["`tracer exec`", "`tracer demo`"];
    let rows = document.lines().filter(|line| !of_others.iter().any(|one| line.contains(one)));
    let rows = rows.filter_map(|line| line.strip_prefix("| `tracer"));
    let row = |row: &str| {
        let mut cells = row.split(" | ");
        let name = format!("tracer{}", cells.next().unwrap().trim_end_matches('`'));
        let kept = cells.next().unwrap().split(", ").filter(|cell| *cell != "nothing");
        (name, kept.map(|kept| bit(kept.trim_matches('`'))).sum::<u64>())
    };
    rows.map(row).collect()
}

/// A tracer that is past its start.
fn settled(options: &[&str], work: impl FnOnce(&Tracer) + Send) {
    isolated(|_| {
        let port = sockets::free_port();
        let port = port.to_string();
        let options = [&["--port", &port], options].concat();
        let tracer = Tracer::launch(WITH_TRACEFS, &options);
        // The last of all that its start does.
        eventually("a main thread without capabilities", || {
            u64::from_str_radix(&threads(tracer.pid())["tracer"]["CapEff"], 16) == Ok(0)
        });
        work(&tracer);
        tracer.finish();
    });
}

/// The number of a capability.
fn bit(name: &str) -> u64 {
    1 << CAPABILITIES.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn each_thread_keeps_what_is_written_here_and_no_more() {
    keeps_all_of(&documented(), &[]);
}

#[test]
fn what_only_some_traces_need_is_kept_by_those_alone() {
    keeps_all_of(&documented(), &["--stacks"]);
    let mut kept = documented();
    *kept.get_mut("tracer-snapshot").unwrap() &= !bit("CAP_SYS_ADMIN");
    // That of the first thread, where the tracer runs.
    let own = fs::metadata("/proc/self/ns/net").unwrap().ino().to_string();
    keeps_all_of(&kept, &["--netns", &own]);
}

fn keeps_all_of(documented: &BTreeMap<String, u64>, options: &[&str]) {
    settled(options, |tracer| {
        eventually("a reader that has given up what it does not need", || {
            let found = threads(tracer.pid());
            found.values().all(|fields| {
                documented.get(&fields["Name"]).is_some_and(|kept| {
                    u64::from_str_radix(&fields["CapEff"], 16) == Ok(*kept)
                        && u64::from_str_radix(&fields["CapPrm"], 16) == Ok(*kept)
                })
            })
        });
        let found = threads(tracer.pid());
        for name in ["tracer", "tracer-reader", "tracer-snapshot", "tracer-output"] {
            assert!(found.contains_key(name), "{name}: {:?}", found.keys());
        }
        for (name, fields) in &found {
            assert_eq!((&*fields["NoNewPrivs"], &*fields["Seccomp"]), ("1", "2"), "{name}");
        }
    });
}

/// The process that reads symbols with `--stacks`.
#[test]
fn the_reader_of_symbols_keeps_what_is_written_here_and_ends_with_the_tracer() {
    isolated(|namespace| {
        for signal in [Signal::INT, Signal::KILL] {
            let tracer = Background::tracer(WITH_TRACEFS, namespace, &["--stacks"]);
            let reader = || child_of(tracer.id(), "tracer-symbols");
            let kept = documented()["tracer-symbols"];
            eventually("a second process, confined", || {
                reader().is_some_and(|reader| {
                    let status = &threads(reader)["tracer-symbols"];
                    ["CapEff", "CapPrm"]
                        .iter()
                        .all(|set| u64::from_str_radix(&status[*set], 16) == Ok(kept))
                        && (&*status["NoNewPrivs"], &*status["Seccomp"]) == ("1", "2")
                })
            });
            let reader = reader().unwrap();
            let open = fs::read_dir(format!("/proc/{reader}/fd")).unwrap();
            let open = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
            let is_known = |link: &PathBuf| {
                let link = link.to_string_lossy();
                link.starts_with("socket:[") || link == "/dev/null"
            };
            let open: Vec<_> = open.filter(|link| !is_known(link)).collect();
            assert!(open.is_empty(), "{open:?}");
            eventually("it is attached", || tracer.is_attached());
            tracer.end(signal);
            eventually("its end", || !Path::new(&format!("/proc/{reader}")).exists());
        }
    });
}

#[test]
fn the_reader_of_symbols_works_for_no_stranger() {
    let copy = Stranger::with("reader", "cap_sys_ptrace,cap_dac_read_search");
    let (mut socket, theirs) = UnixStream::pair().unwrap();
    let mut command = copy.command("true", &["symbols"]);
    let mut child = command.stdin(OwnedFd::from(theirs)).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let job = br#"{"id":1,"owner":0,"pid":1,"start_ns":0,"stacks":[]}"#;
    // It may have ended already.
    let _ = socket.write_all(&[&(job.len() as u32).to_le_bytes()[..], job].concat());
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert_eq!(wait(&mut child).code(), Some(2));
}

#[test]
fn the_same_user_gets_into_no_process_with_privileges() {
    isolated(|_| {
        let mut plain = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sleep", "60"])
            .spawn()
            .unwrap();
        // What is tried works where nothing is to be guarded.
        eventually("ways into a process without privileges", || {
            ["mem", "fd"].iter().all(|way| ways_into(plain.id()).iter().any(|open| open == way))
        });
        assert!(ways_into(plain.id()).iter().any(|way| way.starts_with("ptrace")));
        plain.kill().unwrap();
        plain.wait().unwrap();
        let own = fs::metadata("/proc/thread-self/ns/net").unwrap().ino().to_string();
        let options = ["--format", "json", "--netns", &own, "--stacks"];
        let copy = Stranger::with("ways-in", "cap_bpf,cap_perfmon,cap_sys_admin");
        let plain = Stranger::with("ways-in-service", "");
        let ways_of_privilege = [
            copy.command(WITH_TRACEFS, &options),
            plain.service("bpf,perfmon,sys_admin", &options),
        ];
        for mut command in ways_of_privilege {
            let tracer = Tracer::run(&mut command);
            eventually("a main thread without capabilities", || {
                u64::from_str_radix(&threads(tracer.pid())["tracer"]["CapEff"], 16) == Ok(0)
            });
            assert_eq!(ways_into(tracer.pid()), [""; 0], "{command:?}");
            let reader = child_of(tracer.pid(), "tracer-symbols").expect("a second process");
            assert_eq!(ways_into(reader), [""; 0], "{command:?}");
            tracer.finish();
        }
    });
}

#[test]
fn only_the_file_asked_for_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("trace.json");
    isolated(|namespace| {
        let watch = Watch::of(&[Path::new("/"), directory.path(), Path::new("/dev/shm")]);
        let file = output.to_str().unwrap();
        let options = ["--format", "json", namespace.netns, "--output", file, "--stacks"];
        let mut child = command(WITH_TRACEFS, &options).stdout(Stdio::null()).spawn().unwrap();
        eventually("the first line", || {
            fs::read_to_string(&output).is_ok_and(|text| text.contains('\n'))
        });
        drop(Pair::over(sockets::Path::V4));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert!(wait(&mut child).success());
        let text = fs::read_to_string(&output).unwrap();
        assert!(text.contains("ESTABLISHED"), "{text}");
        // Devices are not files that keep anything.
        let mut written = watch.written_by(child.id());
        written.retain(|path| !path.starts_with("/dev/null"));
        assert_eq!(written, BTreeSet::from([output.clone()]));
    });
}

#[test]
fn no_network_socket_is_open() {
    settled(&[], |tracer| {
        let directory = format!("/proc/{}", tracer.pid());
        let links = fs::read_dir(format!("{directory}/fd")).unwrap().flatten();
        let own: Vec<String> = links
            .filter_map(|entry| {
                fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok()
            })
            .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let unix = fs::read_to_string(format!("{directory}/net/unix")).unwrap();
        // A pair of its own, by which signals are noticed.
        let is_local = |inode: &&String| unix.lines().any(|line| line.contains(inode.as_str()));
        let others: Vec<_> = own.iter().filter(|inode| !is_local(inode)).collect();
        assert_eq!(others, [""; 0]);
    });
}

#[test]
fn kill_9_leaves_nothing_in_the_kernel() {
    isolated(|namespace| {
        let mut child = command(WITH_TRACEFS, &["--format", "json", namespace.netns])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        let objects = held_by(child.id());
        assert!(objects.len() > 10, "programs, maps and links: {objects:?}");
        assert!(objects.iter().all(|object| object.exists()));
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("an empty kernel", || !objects.iter().any(|object| object.exists()));
    });
}

#[test]
fn no_payload_is_ever_read() {
    const SECRET: &str = "correct horse battery staple";
    isolated(|namespace| {
        let tracer = Tracer::start(namespace, &["--stacks"]);
        let mut pair = Pair::over(sockets::Path::V4);
        sockets::send(&mut pair.client, &pair.server, SECRET.as_bytes());
        sockets::send(&mut pair.server, &pair.client, SECRET.repeat(100).as_bytes());
        drop(pair);
        let trace = tracer.finish();
        assert!(trace.transitions().count() > 6, "the connection was traced");
        for record in &trace.records {
            let text = record.value.to_string();
            assert!(!SECRET.split(' ').any(|word| text.contains(word)), "{text}");
        }
    });
}

#[test]
fn each_promise_names_a_test_that_there_is() {
    let document = include_str!("../../SECURITY.md");
    let tests = [
        include_str!("daemon.rs"),
        include_str!("demo.rs"),
        include_str!("exec.rs"),
        include_str!("exec_endings.rs"),
        include_str!("features.rs"),
        include_str!("owners.rs"),
        include_str!("security.rs"),
        include_str!("stacks.rs"),
        include_str!("trusted.rs"),
        include_str!("web.rs"),
        include_str!("../../crates/tracer-kernel/src/confine.rs"),
        include_str!("../../crates/tracer-kernel/src/pods.rs"),
        include_str!("../../crates/tracer-event/src/escape.rs"),
        include_str!("../../crates/tracer-output/src/flat/csv.rs"),
        include_str!("../../crates/tracer-export/src/metrics/lingering.rs"),
        include_str!("../../crates/tracer-output/src/page/groups.rs"),
        include_str!("../../crates/tracer-output/src/page/troubles.rs"),
        include_str!("../../crates/tracer-export/src/prometheus/endpoint/tests.rs"),
    ]
    .concat();
    let named: Vec<&str> = document
        .split(['(', ')'])
        .flat_map(|part| part.split(", "))
        .filter_map(|part| part.strip_prefix('`')?.strip_suffix('`'))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .filter(|name| name.contains('_') && name.chars().any(char::is_lowercase))
        .collect();
    assert!(named.len() >= 9, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "{name}");
    }
}
