//! `--stacks`: the code that made what lingers is named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{FileExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;
use tempfile::TempDir;
use tracer_tests::{
    diagnosis::Diagnosis,
    files::set_mode,
    kernel::lacks,
    netns::{Namespace, isolated},
    peer::Peer,
    record::Record,
    sockets,
    stranger::{Stranger, USER_ID},
    tracer::{Tracer, WITH_TRACEFS, child_of},
};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const FRAME_POINTERS: &[&str] = &["-O1", "-g", "-fno-omit-frame-pointer"];

/// A server that leaks, built for this.
struct Leaky {
    directory: TempDir,
    server: Peer,
    address: SocketAddr,
}

impl Leaky {
    fn start(options: &[&str]) -> Self {
        let (directory, program) = Self::build(options);
        let server = Peer::start(program.to_str().unwrap(), "leaky", &[]);
        Self::serving(directory, server)
    }

    /// Of another user, who has done something to the program.
    fn hostile(forge: impl FnOnce(&Path)) -> Self {
        let (directory, program) = Self::build(FRAME_POINTERS);
        set_mode(directory.path(), 0o755);
        forge(&program);
        let as_user = ["--regid=65534", "--clear-groups", program.to_str().unwrap()];
        Self::serving(directory, Peer::start("setpriv", "--reuid=65534", &as_user))
    }

    fn serving(directory: TempDir, mut server: Peer) -> Self {
        let address = server.answer().parse().unwrap();
        Self { directory, server, address }
    }

    fn build(options: &[&str]) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (source, program) = Self::paths(&directory);
        fs::write(&source, include_str!("../src/leaky.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(options).args(["-pthread", "-o"]).arg(&program).arg(&source);
        let status = compiler.status().expect("live tests need the command cc");
        assert!(status.success(), "cc: {status}");
        (directory, program)
    }

    fn paths(directory: &TempDir) -> (PathBuf, PathBuf) {
        (directory.path().join("leaky.c"), directory.path().join("leaky"))
    }
}

/// Clients come and go while a diagnosis is made.
fn diagnosed(prelude: &str, options: &[&str], leaky: &Leaky, count: usize) -> Diagnosis {
    let pid = leaky.server.pid().to_string();
    Diagnosis::meanwhile(prelude, &[options, &["--pid", &pid]].concat(), || {
        drop((0..count).map(|_| TcpStream::connect(leaky.address).unwrap()).collect::<Vec<_>>());
    })
}

fn functions(stack: &Value) -> Vec<&str> {
    stack.as_array().into_iter().flatten().filter_map(|frame| frame["function"].as_str()).collect()
}

#[test]
fn the_function_that_leaks_is_named_with_how_many() {
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        // There before: nobody knows their stacks any more.
        drop((0..3).map(|_| TcpStream::connect(leaky.address).unwrap()).collect::<Vec<_>>());
        let diagnosis = diagnosed(WITH_TRACEFS, &["--stacks"], &leaky, 12);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!(leak["sockets"], 15, "{leak}");
        let made = &leak["made"];
        assert_eq!(made["before"], 3, "{made}");
        let [one] = &made["stacks"].as_array().unwrap()[..] else { panic!("one stack: {made}") };
        assert_eq!(one["sockets"], 12, "{made}");
        let named = functions(&one["stack"]);
        let ours = ["take_one", "keep_all", "serve"];
        let named: Vec<&str> = named.into_iter().filter(|name| ours.contains(name)).collect();
        if named != ours {
            // The libc has no frame pointers.
            assert_eq!(named, ours[1..], "{made}");
            let gap = one["stack_gap"].as_str().unwrap_or_else(|| panic!("not said: {made}"));
            assert!(gap.contains("is missing"), "{gap}");
        }
        let frames = one["stack"].as_array().unwrap();
        let leaking = frames.iter().find(|frame| frame["function"] == "keep_all").unwrap();
        let (source, program) = Leaky::paths(&leaky.directory);
        assert_eq!(leaking["file"].as_str(), source.to_str(), "{leaking}");
        assert_eq!(leaking["module"].as_str(), program.to_str(), "{leaking}");
        assert!(leaking["line"].as_u64() > Some(10) && leaking["offset"].as_u64() > Some(0));
    });
}

#[test]
fn without_the_option_no_stack_is_told() {
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let diagnosis = diagnosed(WITH_TRACEFS, &[], &leaky, 3);
        let leak = diagnosis.evidence("close_wait_leak");
        assert_eq!((&leak["sockets"], &leak["made"]), (&3.into(), &Value::Null), "{leak}");
    });
}

#[test]
fn a_program_without_frame_pointers_is_said_to_have_none() {
    isolated(|_| {
        let leaky = Leaky::start(&["-O2", "-fomit-frame-pointer"]);
        let diagnosis = diagnosed(WITH_TRACEFS, &["--stacks"], &leaky, 3);
        let made = &diagnosis.evidence("close_wait_leak")["made"];
        let gap = made["stacks"][0]["stack_gap"].as_str().unwrap_or_else(|| panic!("{made}"));
        assert!(gap.contains("-fno-omit-frame-pointer"), "{gap}");
    });
}

#[test]
fn without_tracefs_the_stacks_of_accept_are_missing_and_that_is_said() {
    const HIDDEN: &str = "for name in tracing debug; do \
        if test -d /sys/kernel/$name; then mount -t tmpfs none /sys/kernel/$name; fi; done";
    isolated(|_| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let diagnosis = diagnosed(HIDDEN, &["--stacks"], &leaky, 3);
        let degraded = diagnosis.hello.at("/degraded").as_array().unwrap();
        let missing = |feature| degraded.iter().find(|one| one["feature"] == feature);
        if missing("fexit").is_none() {
            // Then accept() takes no tracefs.
            return;
        }
        let missing = missing("accept").unwrap();
        assert!(missing["lost"].as_str().unwrap().contains("stacks of connect()"), "{missing}");
        let made = &diagnosis.evidence("close_wait_leak")["made"];
        assert_eq!((&made["before"], made["stacks"].as_array().unwrap().len()), (&3.into(), 0));
    });
}

fn linger(tracer: &Tracer, wanted: impl Fn(&Record) -> bool) -> Record {
    tracer.wait_for("a flag", |record| record.kind() == "linger" && wanted(record))
}

fn trace(namespace: &Namespace, options: &[&str]) -> Tracer {
    let always = [namespace.netns, "--linger", "close-wait=300ms,time-wait=2s"];
    Tracer::launch(WITH_TRACEFS, &[&always, options].concat())
}

#[test]
fn a_flag_in_a_trace_carries_the_stack() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let tracer = trace(namespace, &["--stacks"]);
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(functions(flag.at("/stack")).contains(&"keep_all"), "{flag}");
        tracer.finish();
    });
}

#[test]
fn the_stack_of_a_process_that_has_ended_has_no_names_and_says_so() {
    isolated(|namespace| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tracer = trace(namespace, &["--stacks"]);
        let (client, end) = Peer::client(PEER, "courier", address);
        let server = sockets::accept(&listener);
        client.close();
        drop(server);
        let flag = linger(&tracer, |record| record.local() == Some(end.local));
        assert_eq!(flag.at("/cause/code"), "closed_first", "{flag}");
        assert!(functions(flag.at("/stack")).is_empty(), "{flag}");
        let gap = flag.text("/stack_gap").unwrap_or_else(|| panic!("{flag}"));
        assert!(gap.contains("had ended"), "{gap}");
        tracer.finish();
    });
}

#[test]
fn a_trace_without_the_option_tells_no_stack() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let tracer = trace(namespace, &[]);
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(!flag.has("/stack"), "{flag}");
        tracer.finish();
    });
}

fn objcopy(arguments: &[&str], program: &Path) {
    let status = Command::new("objcopy").args(arguments).arg(program).status();
    assert!(status.expect("live tests need the command objcopy").success());
}

fn fifo(path: &Path) {
    let _ = fs::remove_file(path);
    mkfifoat(CWD, path, Mode::from(0o666)).unwrap();
}

/// Debug information that is a FIFO, to which nobody ever writes.
fn linked_to_a_fifo(program: &Path) {
    let debug = program.with_extension("debug");
    fs::copy(program, &debug).unwrap();
    objcopy(&["--strip-debug"], program);
    objcopy(&[&format!("--add-gnu-debuglink={}", debug.display())], program);
    fifo(&debug);
}

/// Debug information that is small and becomes large.
fn with_a_bomb(program: &Path) {
    let zeros = program.with_extension("zeros");
    fs::File::create(&zeros).unwrap().set_len(400 << 20).unwrap();
    let section = format!(".debug_info={}", zeros.display());
    objcopy(&["--update-section", &section], program);
    objcopy(&["--compress-debug-sections=zlib"], program);
    assert!(fs::metadata(program).unwrap().len() < 4 << 20);
}

/// Compressed sections that are said to hold more than any machine does.
fn with_forged_sizes(program: &Path) {
    const COMPRESSED: u64 = 0x800;
    objcopy(&["--compress-debug-sections=zlib"], program);
    let bytes = fs::read(program).unwrap();
    let number = |at: usize, length: usize| {
        let mut number = [0; 8];
        number[..length].copy_from_slice(&bytes[at..at + length]);
        u64::from_le_bytes(number)
    };
    let (table, entry, count) = (number(0x28, 8), number(0x3a, 2), number(0x3c, 2));
    let headers = (0..count).map(|index| (table + index * entry) as usize);
    let compressed: Vec<u64> = headers
        .filter(|header| number(header + 8, 8) & COMPRESSED != 0)
        .map(|header| number(header + 24, 8))
        .collect();
    assert!(!compressed.is_empty());
    let file = fs::File::options().write(true).open(program).unwrap();
    for section in compressed {
        // `ch_size` of Elf64_Chdr.
        file.write_all_at(&(1u64 << 50).to_le_bytes(), section + 8).unwrap();
    }
}

/// The flag of a hostile server; that of another user's, beside it, has its names.
fn flag_beside_others(forge: impl FnOnce(&Path) + Send) -> Record {
    isolated(|namespace| {
        let (hostile, other) = (Leaky::hostile(forge), Leaky::start(FRAME_POINTERS));
        let tracer = trace(namespace, &["--stacks"]);
        drop(TcpStream::connect(hostile.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(hostile.address));
        // On a busy machine names may come later than the first flag.
        for _ in 0..5 {
            drop(TcpStream::connect(other.address).unwrap());
            thread::sleep(Duration::from_secs(1));
        }
        linger(&tracer, |record| {
            record.local() == Some(other.address)
                && functions(record.at("/stack")).contains(&"keep_all")
        });
        tracer.finish();
        flag
    })
}

#[test]
fn a_hostile_program_costs_its_own_names_and_says_so() {
    for forge in [linked_to_a_fifo, with_a_bomb, with_forged_sizes] {
        let flag = flag_beside_others(forge);
        assert!(!functions(flag.at("/stack")).contains(&"keep_all"), "{flag}");
        let gap = flag.text("/stack_gap").unwrap_or_else(|| panic!("{flag}"));
        assert!(gap.contains("no names"), "{gap}");
    }
}

#[test]
fn a_fifo_in_place_of_a_program_is_not_opened() {
    isolated(|namespace| {
        // So that the call itself is in the program.
        let leaky = Leaky::start(&[FRAME_POINTERS, &["-static"]].concat());
        let (_, program) = Leaky::paths(&leaky.directory);
        fifo(&program);
        // As the kernel calls what had this name.
        fifo(&program.with_file_name("leaky (deleted)"));
        let tracer = trace(namespace, &["--stacks"]);
        drop(TcpStream::connect(leaky.address).unwrap());
        // What is mapped is still there.
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(functions(flag.at("/stack")).contains(&"keep_all"), "{flag}");
        tracer.finish();
    });
}

#[test]
fn without_the_process_that_reads_symbols_the_trace_goes_on() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let tracer = trace(namespace, &["--stacks"]);
        let reader = child_of(tracer.pid(), "tracer-symbols").expect("a second process");
        kill_process(Pid::from_raw(reader.cast_signed()).unwrap(), Signal::KILL).unwrap();
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        let gap = flag.text("/stack_gap").unwrap_or_else(|| panic!("{flag}"));
        assert!(gap.contains("has ended"), "{gap}");
    });
}

/// Without what takes root: programs are found by their names then.
#[test]
fn file_capabilities_suffice_for_the_names_of_others() {
    isolated(|namespace| {
        let leaky = Leaky::start(FRAME_POINTERS);
        let copy =
            Stranger::with("stacks", "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search");
        let options = ["--format", "json", namespace.netns, "--linger", "close-wait=300ms"];
        let options = [&options[..], &["--stacks"]].concat();
        let tracer = Tracer::run(&mut copy.command(WITH_TRACEFS, &options));
        drop(TcpStream::connect(leaky.address).unwrap());
        let flag = linger(&tracer, |record| record.local() == Some(leaky.address));
        assert!(functions(flag.at("/stack")).contains(&"keep_all"), "{flag}");
    });
}

/// The names that a runtime has written of the code that it compiles; not those of somebody else.
#[test]
fn compiled_functions_have_the_names_that_their_runtime_has_written() {
    if !cfg!(target_arch = "x86_64") {
        lacks("code for another architecture");
    }
    for (is_own, expected) in [(true, Some("compiled handler")), (false, None)] {
        isolated(|_| {
            let leaky = Leaky::start(&[FRAME_POINTERS, &["-DCOMPILES"]].concat());
            let map = format!("/tmp/perf-{}.map", leaky.server.pid());
            sockets::eventually("names are written", || {
                fs::read_to_string(&map).is_ok_and(|text| text.ends_with('\n'))
            });
            if !is_own {
                chown(&map, Some(USER_ID), None).unwrap();
            }
            let diagnosis = diagnosed(WITH_TRACEFS, &["--stacks"], &leaky, 4);
            fs::remove_file(&map).unwrap();
            let made = &diagnosis.evidence("close_wait_leak")["made"]["stacks"][0];
            let named = functions(&made["stack"]);
            let found = named.iter().find(|name| name.starts_with("compiled"));
            assert_eq!(found.copied(), expected, "{made}");
            assert!(named.contains(&"keep_all") && named.contains(&"serve"), "{made}");
            let missing = made["stack_gap"].as_str().unwrap_or_default();
            assert_eq!(missing.contains("--perf-basic-prof"), !is_own, "{made}");
        });
    }
}
