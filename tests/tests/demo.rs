//! Each scenario of `tracer demo` plays on this kernel, looks as it did before, shows what was on
//! the wire, and leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_lab::scenario::{self, Scenario};
use tracer_tests::{
    drawn::Comparison,
    kernel::lacks,
    netns::{inhabitants, inside},
    slowness::is_usual,
    sockets::eventually,
    tap::Tap,
    tracer::{child_of, printed, program, refused, wait},
};

/// Two timers of a second each run at the same time: either end may be the first.
const RACES: [&str; 1] = ["syn-ack-lost"];
/// Where segments are held, which their senders take for lost.
const HELD: [&str; 2] = ["simultaneous-open", "simultaneous-close"];
/// Where nobody reads: a sender on a slow machine takes what waits there for lost.
const UNREAD: &str = "zero-window";
/// What scenarios show that is sent again once.
const FIRST_AGAIN: [&str; 2] = ["↻1 PSH+ACK", "↻1 FIN"];
/// What the beginning says of a kernel that does not tell of RSTs without a socket.
const NO_ANSWERS: &str = "! resets without a socket not available";
/// Shows nothing but such an RST.
const OF_AN_RST: &str = "rst-nobody";
/// How many are played at a time.
const PLAYERS: usize = 3;
/// A width at which nothing depends on the time of day.
const BETWEEN: &str = "│";

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("demo").args(arguments).stdin(Stdio::null()).env_remove("LANG");
    command.env_remove("LC_ALL").env_remove("LC_MESSAGES");
    command
}

/// Plays a scenario; what is drawn, and what of that was not on the wire.
fn play(scenario: &Scenario) -> (String, Vec<String>) {
    let mut command = demo(&[scenario.name]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It waits for the trace to begin, which takes longer than this.
    let (player, _) = player_of(&child);
    let tap = inside(Path::new(&format!("/proc/{player}/ns/net")), |_| Tap::open());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("TUN device") && errors.contains("No such device") {
        lacks("TUN devices");
    }
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", scenario.name);
    let text = String::from_utf8(output.stdout).unwrap();
    let wrong = Comparison::with(&tap.finish()).check(&text);
    (text, wrong)
}

/// What is the same each time: rows with segments and states, without times and process numbers.
/// What a snapshot finds comes when it is taken, and a diagram that it interrupts begins again.
fn lasting(name: &str, text: &str) -> String {
    let mut block = String::new();
    let mut is_again = false;
    let line = |line: &str| {
        if std::mem::take(&mut is_again) {
            return None;
        }
        let columns: Vec<char> = line.chars().collect();
        let is_row = columns.get(22) == Some(&'│');
        let is_sentence = is_row
            && columns[..22].iter().all(|&c| c == ' ')
            && columns[23] == ' '
            && columns[24] != ' ';
        if is_sentence || line.starts_with(['!', '=', '⚠']) {
            return None;
        }
        if is_row && depends_on_speed(name, line) {
            return None;
        }
        if is_row {
            // The first cell is the time since the row before.
            let rest: String = columns[10..].iter().collect();
            return Some(without_durations(&rest));
        }
        let is_title = line.starts_with('━');
        if is_title {
            let title = line.split(" ━━").next().unwrap().to_owned();
            is_again = title == block;
            block.clone_from(&title);
            return (!is_again).then_some(title);
        }
        // The ends of a connection, with process numbers.
        (line.contains(':') && line.contains("  ") && line.contains("10.0.0.")
            || line.contains("127.0.0.1:"))
        .then(|| without_processes(line))
    };
    let lines: Vec<String> = text.lines().filter_map(line).collect();
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// How often something is said or sent again, and which data where a buffer is full; of what is held
/// for a while, whether it is.
fn depends_on_speed(name: &str, row: &str) -> bool {
    let is_first = FIRST_AGAIN.iter().any(|again| row.contains(again)) || row.contains("SYN");
    row.contains("⚑ still") || row.contains('↻') && (HELD.contains(&name) || !is_first)
}

/// `stuck in CLOSE_WAIT for 1.00s` → `stuck in CLOSE_WAIT`
fn without_durations(row: &str) -> String {
    match row.split_once(" for ").filter(|(before, _)| before.contains("stuck")) {
        Some((before, _)) => before.to_owned(),
        None => row.to_owned(),
    }
}

/// `client[123] 127.0.0.1:40001   127.0.0.1:80 server[123]?`, in single spaces and without the
/// numbers and the mark, which depends on what the kernel tells of accept().
fn without_processes(line: &str) -> String {
    let word = |word: &str| word.split('[').next().unwrap().to_owned();
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/demo/{name}.txt"))
}

/// Without what only a fast machine or a new kernel shows: a row that waits too long for its number is
/// drawn without it; SYNs are sent again each second since Linux 6.5, and at longer and longer
/// intervals before; the number of an RST that no socket sends is told since 6.12, and so is its end.
fn comparable(name: &str, rows: &str, is_old: bool) -> String {
    if is_usual() && !is_old {
        return rows.to_owned();
    }
    let is_there = |row: &&str| {
        let again = row.contains('↻');
        let is_later = is_old && again && row.contains("SYN") && !row.contains("↻1");
        let is_unread = !is_usual() && again && name == UNREAD;
        !is_later && !is_unread
    };
    let row = |row: &str| {
        let mut row = row.to_owned();
        if !is_usual() && !row.contains('↻') {
            row = row.replace(" SYN seq=0 ", " SYN ");
        }
        if is_old {
            row = row.replace(" RST seq=0 ack=1 ", " RST ack=1 ");
            row = row.strip_suffix(" CLOSED").unwrap_or(&row).to_owned();
        }
        // Around what is shorter the arrow is longer.
        let mut last = None;
        row.retain(|c| last.replace(c) != Some('─') || c != '─');
        row + "\n"
    };
    rows.lines().filter(is_there).map(row).collect()
}

/// Plays one after the other, some at a time; what differs from before.
fn play_all(scenarios: Vec<&'static Scenario>) {
    let (waiting, wrong) = (Mutex::new(scenarios), Mutex::new(Vec::new()));
    let update = env::var_os("UPDATE_DOCS").is_some();
    let player = || {
        while let Some(scenario) = { waiting.lock().unwrap().pop() } {
            let (text, not_there) = play(scenario);
            if !not_there.is_empty() {
                wrong.lock().unwrap().push(format!("{}: {not_there:#?} of\n{text}", scenario.name));
            }
            let (seen, path) = (lasting(scenario.name, &text), golden(scenario.name));
            assert!(seen.contains(BETWEEN) || scenario.name == OF_AN_RST, "{text}");
            if update {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &seen).unwrap();
            }
            let known = fs::read_to_string(&path).unwrap_or_default();
            let is_old = text.contains(NO_ANSWERS);
            let known = comparable(scenario.name, &known, is_old);
            let may_differ = RACES.contains(&scenario.name) || is_old && scenario.name == OF_AN_RST;
            let same = |seen: &str| may_differ || comparable(scenario.name, seen, is_old) == known;
            let again = |_| same(&lasting(scenario.name, &play(scenario).0));
            // A second look: another one may have kept the machine busy. An emulated one is late
            // for timers now and then.
            let more = if is_usual() { 1 } else { 4 };
            if !same(&seen) && !(0..more).any(again) {
                wrong.lock().unwrap().push(format!("{}:\n{text}", scenario.name));
            }
        }
    };
    thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS).map(|_| scope.spawn(player)).collect();
        players.into_iter().for_each(|player| player.join().unwrap());
    });
    let wrong = wrong.into_inner().unwrap();
    let names: Vec<&str> = wrong.iter().filter_map(|text| text.split(':').next()).collect();
    let (texts, names) = (wrong.join("\n"), names.join(", "));
    assert!(
        wrong.is_empty(),
        "other than before (UPDATE_DOCS=1 takes it):\n{texts}\nthese: {names}"
    );
}

#[test]
fn each_scenario_looks_as_before() {
    play_all(scenario::all().collect());
}

/// The process that plays, and its namespace, once it has one of its own.
fn player_of(child: &Child) -> (u32, u64) {
    let namespace = |pid: u32| fs::metadata(format!("/proc/{pid}/ns/net")).map(|link| link.ino());
    let own = namespace(std::process::id()).unwrap();
    let mut found = None;
    eventually("the process that plays", || {
        let name = ["demo", "client", "server"];
        let player = name.iter().find_map(|name| child_of(child.id(), name));
        found = player.and_then(|pid| Some((pid, namespace(pid).ok()?)));
        found.is_some_and(|(_, other)| other != own)
    });
    found.unwrap()
}

#[test]
fn nothing_is_left_of_a_demo_whenever_it_is_interrupted() {
    for (signal, delay) in
        [(Signal::INT, 0), (Signal::INT, 700), (Signal::TERM, 1_200), (Signal::KILL, 1_000)]
    {
        let mut child = demo(&["keepalive-timeout"]).stdout(Stdio::null()).spawn().unwrap();
        let (pid, namespace) = player_of(&child);
        thread::sleep(Duration::from_millis(delay));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = wait(&mut child);
        assert!(status.success() || signal == Signal::KILL, "{signal:?}: {status}");
        eventually("the end of the process that plays", || {
            !Path::new(&format!("/proc/{pid}")).exists() && inhabitants(namespace) == 0
        });
    }
}

#[test]
fn it_stays_for_another_terminal_when_asked() {
    let mut child = demo(&["handshake", "--live"]).stdout(Stdio::null()).spawn().unwrap();
    let (_, namespace) = player_of(&child);
    let sockets = || {
        let mut command = Command::new(program());
        command.args(["sockets", "--format", "json", "--netns", &namespace.to_string()]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    eventually("both ends", || sockets().matches("\"state\":\"ESTABLISHED\"").count() == 2);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(sockets().matches("\"state\":\"ESTABLISHED\"").count(), 2);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(wait(&mut child).success());
}

#[test]
fn the_list_is_in_the_language_of_the_environment() {
    let list = |variable: &str, value: &str| printed(demo(&["--list"]).env(variable, value));
    let (english, korean) = (list("LANG", "C"), list("LC_ALL", "ko_KR.UTF-8"));
    assert_eq!(english.lines().count(), scenario::all().count());
    assert!(english.contains("teardown-three"), "{english}");
    assert!(korean.contains("연결 해제") && !korean.contains("Teardown"), "{korean}");
}

#[test]
fn what_there_is_none_of_is_said_in_a_line() {
    let error = refused(&mut demo(&["nonsense"]));
    assert!(error.starts_with("tracer: no scenario \"nonsense\""), "{error}");
}

/// What `--step` says with these answers: a character each.
fn step(name: &str, arguments: &[&str], answers: &str) -> String {
    let path = env::temp_dir().join(format!("tracer-answers-{name}-{}", std::process::id()));
    fs::write(&path, answers).unwrap();
    let file = path.to_string_lossy().into_owned();
    let text = printed(&mut demo(&[arguments, &["--step", "--answers", &file]].concat()));
    fs::remove_file(&path).unwrap();
    text
}

#[test]
fn a_step_asks_and_judges_by_what_the_kernel_does() {
    // SYN, SYN+ACK, ack = 1, ESTABLISHED.
    let right = step("right", &["handshake"], "1 3 2 3");
    assert!(right.contains("4 of 4 answers were right."), "{right}");
    assert!(!right.contains("✗"), "{right}");
    let wrong = step("wrong", &["handshake"], "1 2 1 3");
    assert!(wrong.contains("2 of 4 answers were right."), "{wrong}");
    assert!(wrong.contains("The kernel did otherwise: SYN+ACK."), "{wrong}");
    let korean = step("korean", &["handshake", "--lang", "ko"], "1323");
    assert!(korean.contains("문제 4개 가운데 4개를 맞혔습니다."), "{korean}");
}

#[test]
fn whoever_stops_answering_has_ended_it() {
    let text = step("quits", &["handshake"], "1q");
    assert!(!text.contains("answers were right"), "{text}");
}

/// From nothing to the lost last ACK: each question of a lesson has an answer that the kernel gives.
#[test]
fn the_course_leads_to_the_lost_last_ack() {
    // The first choice each time; between lessons any key, which counts spaces.
    let answers = "1111 1 1 11111 1 11 11 1 1 1111".replace(' ', "n");
    let text = step("course", &[], &answers);
    assert!(text.contains("In all, "), "{text}");
    assert!(text.contains("The last ACK is lost"), "{text}");
    let unknown = text.matches("does not count").count();
    assert_eq!(unknown, 0, "{text}");
}
