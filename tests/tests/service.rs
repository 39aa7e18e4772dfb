//! The packaged service under a real systemd: only in the machine of `cargo xtask vm --systemd`,
//! which has the package in `/packages`, and nothing to lose.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tracer_tests::{
    load,
    output::lines,
    sockets::{Pair, Path as Over, eventually},
};

const PACKAGE: &str = "/packages/tracer.deb";
const BEFORE: &str = "/packages/before.deb";
const CONFIGURATION: &str = "/etc/tracer/tracer.toml";
const FILE: &str = "/var/log/tracer/tracer.json";
const DROP_IN: &str = "/etc/systemd/system/tracer.service.d/test.conf";

/// The package, installed; purged when dropped.
struct Installed;

impl Installed {
    fn new(configuration: &str) -> Self {
        assert!(Path::new(PACKAGE).exists(), "only in the machine of `cargo xtask vm --systemd`");
        let installed = Self::of(PACKAGE);
        fs::write(CONFIGURATION, configuration).unwrap();
        installed
    }

    fn of(package: &str) -> Self {
        dpkg(&["--install", package]);
        Self
    }

    /// With a file for its output, and started.
    fn started(more: &str) -> Self {
        let installed = Self::new(&writing_to(FILE, more));
        systemctl(&["start", "tracer"]);
        installed
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // Whatever a test has come to.
        let _ = fs::remove_dir_all(Path::new(DROP_IN).parent().unwrap());
        let _ = fs::remove_file("/etc/logrotate.d/tracer");
        let _ = Command::new("dpkg").args(["--purge", "tracer"]).output();
        let _ = Command::new("systemctl").args(["reset-failed"]).output();
    }
}

/// A configuration.
fn writing_to(file: &str, more: &str) -> String {
    format!("format = \"json\"\noutput = \"{file}\"\n{more}\n")
}

/// What a program that must succeed writes.
fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}: {stdout}{stderr}");
    stdout.into_owned()
}

fn dpkg(arguments: &[&str]) -> String {
    said(Command::new("dpkg").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").arg("--no-pager").args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let journal = || journal(&["--unit", "tracer", "--lines=20"]);
    assert!(output.status.success(), "systemctl {arguments:?}: {complaint}{}", journal());
    String::from_utf8(output.stdout).unwrap()
}

fn property(name: &str) -> String {
    systemctl(&["show", "--value", "--property", name, "tracer"]).trim().to_owned()
}

fn journal(arguments: &[&str]) -> String {
    said(Command::new("journalctl").args(["--no-pager", "--quiet"]).args(arguments))
}

/// Adds something to the unit.
fn drop_in(text: &str) {
    fs::create_dir_all(Path::new(DROP_IN).parent().unwrap()).unwrap();
    fs::write(DROP_IN, text).unwrap();
    systemctl(&["daemon-reload"]);
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// A connection that is opened and closed now; the client's port.
fn connection() -> u16 {
    let Pair { client, server, .. } = Pair::over(Over::V4);
    let port = client.local_addr().unwrap().port();
    drop(client);
    drop(server);
    port
}

/// The states that the client of this port has entered, by these records.
fn states(records: &[Value], port: u16) -> Vec<&str> {
    let of_client = records.iter().filter(|record| {
        record["kind"] == "transition"
            && record["network"]["local"]["port"] == port
            && record["tcp"]["role"] == "client"
    });
    let mut states: Vec<_> = of_client.filter_map(|record| record["tcp"]["to"].as_str()).collect();
    // Whether the kernel keeps all of a socket in FIN_WAIT2 or the rest of it is its own affair.
    states.dedup();
    states
}

const LIFE: [&str; 5] = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"];

/// Waits until another process is the service, which has reported something.
fn await_another(pid: &str) {
    eventually("it is started again", || {
        property("ActiveState") == "active" && ![pid, "0"].contains(&property("MainPID").as_str())
    });
}

#[test]
#[ignore = "wants a systemd of its own"]
fn a_service_that_has_started_is_attached() {
    let _installed = Installed::new(&writing_to(FILE, ""));
    assert_eq!(property("UnitFileState"), "disabled", "it is for the user to enable it");
    systemctl(&["enable", "--now", "tracer"]);
    // No waiting: what has started sees all from now on.
    let port = connection();
    assert_eq!([property("UnitFileState"), property("ActiveState")], ["enabled", "active"]);
    systemctl(&["stop", "tracer"]);
    assert_eq!(property("Result"), "success");
    let records = lines(&read(FILE));
    assert_eq!(states(&records, port), LIFE, "{records:?}");
    assert_eq!(records.first().unwrap()["kind"], "hello");
    let summary = records.last().unwrap();
    assert_eq!((&summary["kind"], &summary["complete"]), (&"summary".into(), &true.into()));
}

#[test]
#[ignore = "wants a systemd of its own"]
fn its_status_says_how_it_does() {
    let _installed = Installed::started("");
    connection();
    eventually("the status has counts", || {
        let status = systemctl(&["status", "tracer"]);
        let line = status.lines().find_map(|line| line.trim().strip_prefix("Status: "));
        line.is_some_and(|line| line.contains(" tracked, ") && line.contains(" reported"))
    });
}

#[test]
#[ignore = "wants a systemd of its own"]
fn a_reload_takes_what_is_right_and_refuses_what_is_wrong() {
    let _installed = Installed::started("");
    let pid = property("MainPID");
    let other = "/var/log/tracer/other.json";
    fs::write(CONFIGURATION, writing_to(other, "")).unwrap();
    systemctl(&["reload", "tracer"]);
    eventually("the other file begins", || read(other).contains("\"hello\""));
    assert!(read(FILE).lines().last().unwrap().contains("\"summary\""));
    fs::write(CONFIGURATION, writing_to(FILE, "port = 0")).unwrap();
    systemctl(&["reload", "tracer"]);
    eventually("the journal says what is wrong, and where", || {
        journal(&["--unit", "tracer"]).contains("tracer.toml:3: port: invalid value '0'")
    });
    let port = connection();
    eventually("it goes on as before", || read(other).contains(&format!("\"port\":{port}")));
    assert_eq!([property("MainPID"), property("ActiveState")], [pid, "active".into()]);
    fs::write(CONFIGURATION, writing_to(other, "")).unwrap();
    systemctl(&["stop", "tracer"]);
    assert_eq!(states(&lines(&read(other)), port), LIFE);
}

#[test]
#[ignore = "wants a systemd of its own"]
fn the_watchdog_restarts_one_that_is_stopped() {
    let _installed = Installed::new(&writing_to(FILE, ""));
    drop_in("[Service]\nWatchdogSec=5\n");
    systemctl(&["start", "tracer"]);
    let pid = property("MainPID");
    let _ = connection();
    eventually("something is written", || read(FILE).contains("FIN_WAIT1"));
    let before = read(FILE);
    systemctl(&["kill", "--signal=STOP", "tracer"]);
    await_another(&pid);
    assert_eq!(property("NRestarts"), "1");
    assert!(journal(&["--unit", "tracer"]).contains("Watchdog timeout"));
    let port = connection();
    systemctl(&["stop", "tracer"]);
    let text = read(FILE);
    assert!(text.starts_with(&before), "a line that was written is lost");
    assert_eq!(states(&lines(&text), port), LIFE);
}

#[test]
#[ignore = "wants a systemd of its own"]
fn killed_and_started_again_it_loses_no_line_that_was_written() {
    let _installed = Installed::started("");
    let mut before = String::new();
    for _ in 0..3 {
        let pid = property("MainPID");
        // What the one before has written last is no growth of this one.
        let size = read(FILE).len();
        // In the middle of writing.
        eventually("a file that grows", || {
            load::connections(20);
            read(FILE).len() > size + 100_000
        });
        before = read(FILE);
        systemctl(&["kill", "--signal=KILL", "tracer"]);
        await_another(&pid);
    }
    let port = connection();
    systemctl(&["stop", "tracer"]);
    let text = read(FILE);
    assert!(text.starts_with(&before), "a line that was written is lost");
    let parsed: Vec<_> = text.lines().map(serde_json::from_str::<Value>).collect();
    let torn = parsed.iter().filter(|line| line.is_err()).count();
    assert!(torn <= 3, "{torn} lines are torn, by three that were killed");
    let records: Vec<Value> = parsed.into_iter().flatten().collect();
    assert_eq!(records.iter().filter(|record| record["kind"] == "hello").count(), 4);
    assert_eq!(states(&records, port), LIFE);
}

#[test]
#[ignore = "wants a systemd of its own"]
fn the_journal_is_searched_by_state() {
    let _installed =
        Installed::new("journald = true\nproblems = true\n[linger]\nclose-wait = \"1s\"\n");
    systemctl(&["start", "tracer"]);
    let Pair { client, server, .. } = Pair::over(Over::V4);
    let port = server.local_addr().unwrap().port();
    drop(client);
    let find = || journal(&["TCP_STATE=CLOSE_WAIT", "--output=json"]);
    eventually("it is in the journal", || find().contains(&format!(":{port}")));
    let entry = find().lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
    assert_eq!(entry["_SYSTEMD_UNIT"], "tracer.service", "{entry}");
    assert_eq!(entry["PRIORITY"], "4", "{entry}");
    drop(server);
}

#[test]
#[ignore = "wants a systemd of its own"]
fn logrotate_rotates_by_the_packaged_file() {
    let _installed = Installed::started("");
    fs::copy("/usr/share/doc/tracer/examples/logrotate", "/etc/logrotate.d/tracer").unwrap();
    let first = connection();
    eventually("something is written", || read(FILE).contains(&format!("\"port\":{first}")));
    // As its timer does.
    drop(said(Command::new("logrotate").args(["--force", "/etc/logrotate.d/tracer"])));
    eventually("the file is new", || read(FILE).starts_with("{\"kind\":\"hello\""));
    let second = connection();
    drop(said(Command::new("logrotate").args(["--force", "/etc/logrotate.d/tracer"])));
    systemctl(&["stop", "tracer"]);
    let old = said(Command::new("gzip").args(["-dc", &format!("{FILE}.2.gz")]));
    let all = lines(&[old, read(&format!("{FILE}.1")), read(FILE)].concat());
    assert_eq!([states(&all, first), states(&all, second)], [LIFE, LIFE]);
    let kinds = |kind: &str| all.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!((kinds("hello"), kinds("summary")), (3, 1));
    assert_eq!(all.last().unwrap()["complete"], true);
}

/// Every file that is there, but for what others write meanwhile.
fn whole_system() -> BTreeSet<String> {
    let mut find = Command::new("find");
    let others = ["/tmp", "/var/log/journal", "/var/log/dpkg.log", "/var/lib/dpkg/status-old"];
    find.args(["/", "-xdev"]);
    for path in others {
        find.args(["-path", path, "-prune", "-o"]);
    }
    said(find.arg("-print")).lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "wants a systemd of its own"]
fn an_upgrade_restarts_it_and_a_purge_leaves_nothing() {
    let before = whole_system();
    let installed = Installed::of(BEFORE);
    let configuration = writing_to(FILE, "# mine");
    fs::write(CONFIGURATION, &configuration).unwrap();
    systemctl(&["enable", "--now", "tracer"]);
    let (pid, first) = (property("MainPID"), connection());
    dpkg(&["--install", PACKAGE]);
    await_another(&pid);
    assert_eq!([property("UnitFileState"), property("Result")], ["enabled", "success"]);
    assert_eq!(read(CONFIGURATION), configuration, "what the user has written stays");
    let second = connection();
    dpkg(&["--remove", "tracer"]);
    assert_eq!(property("ActiveState"), "inactive");
    let records = lines(&read(FILE));
    assert_eq!([states(&records, first), states(&records, second)], [LIFE, LIFE]);
    assert_eq!(read(CONFIGURATION), configuration, "what is removed can be installed again");
    dpkg(&["--purge", "tracer"]);
    drop(installed);
    let after = whole_system();
    let left: Vec<_> = after.difference(&before).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(before.is_subset(&after), "{:?}", before.difference(&after));
    assert_eq!(systemctl(&["list-units", "--all", "--plain", "--no-legend", "tracer*"]), "");
}

/// What the drop-in says that it cannot see, it cannot, and says so; the rest it does.
#[test]
#[ignore = "wants a systemd of its own"]
fn restricted_it_traces_and_says_what_it_cannot_see() {
    let _installed = Installed::new(&writing_to(FILE, ""));
    drop_in(&read("/usr/share/doc/tracer/examples/restricted.conf"));
    systemctl(&["start", "tracer"]);
    let pid = property("MainPID");
    let bounding = read(&format!("/proc/{pid}/status"));
    let bounding = bounding.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    // CAP_PERFMON is 38, CAP_BPF 39.
    assert_eq!(bounding, "000000c000000000");
    let port = connection();
    systemctl(&["stop", "tracer"]);
    let records = lines(&read(FILE));
    assert_eq!(states(&records, port), LIFE);
    let degraded = records[0]["degraded"].to_string();
    assert!(degraded.contains("namespaces"), "{degraded}");
    println!("{degraded}");
}
