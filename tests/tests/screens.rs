//! The live view in a real terminal: what people see of it at 80 columns and at more.

use std::net::{TcpListener, TcpStream};

use tracer_tests::{
    fault::{self, come_and_go},
    netns::{Namespace, isolated},
    terminal::Terminal,
    tracer::{self, command},
};
use tracer_texts::untranslated::english;

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

fn trace(namespace: &Namespace, columns: u16, rows: u16, options: &str) -> Terminal {
    let terminal = Terminal::open(columns, rows);
    terminal.run(&format!("trace --netns {} {options}", namespace.inode));
    terminal.wait_for_words("PROCESS");
    terminal
}

fn all_of(terminal: &Terminal, words: &[&str]) -> String {
    let screen = terminal
        .wait_for(&words.join(", "), |screen| words.iter().all(|words| screen.contains(words)));
    // tmux would fold longer ones.
    assert!(screen.lines().all(|line| line.chars().count() <= 200), "{screen}");
    screen
}

/// State and reason are on the screen whatever its width, and a terminal that is resized is
/// followed.
#[test]
fn endings_are_told_apart_at_80_columns_and_a_resized_terminal_is_followed() {
    isolated(|namespace| {
        let terminal = trace(namespace, 80, 50, "");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(client);
        terminal.wait_for_words("FIN_WAIT2 orphaned");
        drop(server);
        drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
        all_of(
            &terminal,
            &["CLOSED refused", "CLOSED normally", "FIN_WAIT2 orphaned", &format!("→ {address}")],
        );
        terminal.resize(160, 50);
        drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
        all_of(&terminal, &["WHAT HAPPENED", "RST received: connection refused"]);
    });
}

/// The cause of a flag is on the screen; the addresses give way.
#[test]
fn a_flag_keeps_its_cause_at_80_columns() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        let terminal = trace(namespace, 80, 24, "--problems --linger close-wait=1s");
        come_and_go(address, 1);
        let name = format!("hoarder[{}]", server.pid());
        let screen =
            all_of(&terminal, &["⚑ stuck in CLOSE_WAIT for", &name, "the application has not"]);
        assert!(!screen.contains("↔"), "{screen}");
        server.close();
    });
}

/// A group of stuck sockets is a line that comes again when it has doubled, not one for each.
#[test]
fn a_leak_is_a_line_for_each_doubling() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        let options = "--problems --linger close-wait=500ms";
        let terminal = trace(namespace, 160, 50, options);
        come_and_go(address, 40);
        let screen = all_of(&terminal, &["⚑ 40 sockets ", "peer 127.0.0.1"]);
        assert!(screen.matches('⚑').count() <= 12, "{screen}");
        server.close();
    });
}

/// Who has a socket is on the screen whatever its width; how it goes is where there is room.
#[test]
fn a_list_of_sockets_names_their_owner_at_80_columns() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 3);
        let name = format!("hoarder[{}]", server.pid());
        for (columns, has_all) in [(80, false), (160, true)] {
            let terminal = Terminal::open(columns, 40);
            terminal.run(&format!("sockets --netns {}", namespace.inode));
            let screen = all_of(&terminal, &["PROCESS", "= 7 sockets"]);
            assert_eq!(screen.matches(&name).count(), 4, "{screen}");
            assert_eq!(screen.contains(" RTT "), has_all, "{screen}");
        }
        server.close();
    });
}

/// A quiet terminal says what it watches; a flooded one gets a summary a second.
#[test]
fn a_quiet_terminal_explains_itself_and_a_flooded_one_is_summarized() {
    isolated(|namespace| {
        let terminal = trace(namespace, 80, 40, "");
        all_of(&terminal, &["Watching the TCP connections", "· listener", "⚑ stuck"]);
        all_of(&terminal, &["no events for", "tracer demo"]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..300 {
            let client = TcpStream::connect(address).unwrap();
            drop(listener.accept().unwrap());
            drop(client);
        }
        all_of(&terminal, &["changes in a second:", "--output FILE", "closed normally"]);
    });
}

/// What matters comes first, groups are counted, and a limit says what it leaves out.
#[test]
fn sockets_are_sorted_by_what_matters_grouped_and_limited() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 5);
        let list = |options: &[&str]| tracer::sockets(namespace, options);
        let all = list(&[]);
        let states = all.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned());
        let states: Vec<String> = states.take(6).collect();
        assert_eq!(states[..5], ["CLOSE_WAIT"; 5], "{all}");
        let limited = list(&["--limit", "2"]);
        assert!(limited.contains("sockets more (--limit)"), "{limited}");
        assert_eq!(limited.matches("127.0.0.1:").count(), 4, "{limited}");
        let groups = list(&["--group", "process"]);
        let first = groups.lines().nth(1).unwrap();
        let name = format!("hoarder[{}]", server.pid());
        assert!(first.contains(&name) && first.contains("5 CLOSE_WAIT, 1 LISTEN"), "{groups}");
        for (by, words) in
            [("peer", "127.0.0.1:*"), ("container", "CONTAINER"), ("state", "CLOSE_WAIT")]
        {
            let groups = list(&["--group", by]);
            assert!(groups.contains(words), "{groups}");
        }
        server.close();
    });
}

/// What a terminal shows of commands that end, and with what; `{}` is the namespace.
const VIEWS: [(&str, &str, &str); 11] = [
    ("diagnose", "diagnose --for 1s --netns {}", "observed for"),
    ("diagnose-brief", "diagnose --brief --for 1s --netns {}", "observed for"),
    ("sockets", "sockets --netns {}", "= 41 sockets"),
    ("sockets-by-peer", "sockets --group peer --netns {}", "= 41 sockets"),
    ("features", "features", "tracing  "),
    ("features-v", "features -v", "seccomp"),
    ("demo", "demo handshake", "ESTABLISHED"),
    ("explain", "explain", "why-four"),
    ("legend", "--legend", "LOCAL"),
    ("help", "help", "diagnose"),
    ("help-trace", "help trace", "--no-snapshot"),
];

/// No terminal folds a line, whatever its width; only commands, which are to be copied, may be
/// longer. `UPDATE_PICTURES=1` draws what is on the screens into `target/views`.
#[test]
fn no_view_is_wider_than_its_terminal() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 20);
        let inode = namespace.inode.to_string();
        let mut wide_lines = Vec::new();
        for (columns, rows) in [(80, 24), (160, 50)] {
            for (view, arguments, words) in VIEWS {
                let terminal = Terminal::open(columns, rows);
                terminal.run(&arguments.replace("{}", &inode));
                terminal.wait_for("the end", |screen| {
                    let is_back = screen.trim_end().ends_with("shell>");
                    is_back && terminal.history().matches("shell>").count() > 1
                });
                let text = terminal.unfolded();
                assert!(text.contains(words), "{view}: {text}");
                let is_free = |line: &&str| {
                    ["shell> ", "$ ", "to get it:", "to know:"]
                        .iter()
                        .any(|begin| line.contains(begin))
                };
                let mut lines = text.lines().filter(|line| !is_free(line));
                let wide = lines.find(|line| line.trim_end().chars().count() > columns.into());
                wide_lines.extend(wide.map(|line| format!("{view} at {columns}: {line}")));
                draw(view, columns, &terminal);
            }
            let terminal = Terminal::open(columns, rows);
            terminal.run(&format!("top --netns {inode}"));
            terminal.wait_for_words("leaks");
            draw("top", columns, &terminal);
        }
        assert_eq!(wide_lines, Vec::<String>::new());
        server.close();
    });
}

fn draw(view: &str, columns: u16, terminal: &Terminal) {
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/views");
        std::fs::create_dir_all(directory).expect("target/views");
        let picture = anstyle_svg::Term::new().render_svg(&terminal.coloured());
        std::fs::write(format!("{directory}/live-{view}-{columns}.svg"), picture)
            .expect("a picture");
    }
}
#[test]
fn screens_in_korean_have_no_english_words() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        let terminal = Terminal::open(100, 50);
        let inode = namespace.inode;
        let run = |arguments: &str, words: &str| {
            terminal.press(&["-l", "clear"]);
            terminal.press(&["Enter"]);
            terminal.wait_for("an empty screen", |screen| screen.trim() == "shell>");
            terminal.run(&format!("{arguments} --lang ko --netns {inode}"));
            terminal.wait_for_words(words);
        };
        let shown = |first: &str| {
            let screen = terminal.screen();
            // What a host lacks is said in English, above the rest.
            let (_, begun) = screen.split_once(first).unwrap();
            let begun = begun.replace("shell>", "");
            let stray = english(&begun, &["hoarder", "screens"]);
            assert!(stray.is_empty(), "{stray:?}: {screen}");
        };
        run("trace --linger close-wait=1s", "프로세스");
        terminal.wait_for_words("동안 이벤트 없음");
        come_and_go(address, 2);
        drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
        all_of(&terminal, &["CLOSED 거부", "⚑ 소켓 2개가 CLOSE_WAIT 상태에 머묾"]);
        terminal.press(&["C-c"]);
        terminal.wait_for_words("= 전이");
        shown("이 호스트의");
        run("trace --problems --linger close-wait=1s", "프로세스");
        drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
        terminal.wait_for_words("CLOSED 거부");
        terminal.press(&["C-c"]);
        terminal.wait_for_words("= 전이");
        shown("이 호스트의");
        run("trace --format ladder", "FIN+ACK");
        drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
        terminal.wait_for_words("CLOSED │◀");
        terminal.press(&["C-c"]);
        terminal.wait_for_words("= 전이");
        shown("FIN+ACK");
        server.close();
    });
}

/// What stands in lists in any language: programs, scenarios, values of JSON.
const NAMES: [&str; 8] =
    ["all", "bash", "client", "handshake", "hoarder", "keepalive", "orphaned", "server"];

/// What is printed once: lists, the end of a command, a scenario with questions.
#[test]
fn what_commands_print_in_korean_has_no_english_words() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 2);
        let answers = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&answers, "1".repeat(9)).unwrap();
        let answers = answers.path().to_str().unwrap();
        let connects = "(exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null; kill -9 $$";
        for (arguments, words) in [
            (&["sockets", namespace.netns][..], "소켓 "),
            (&["sockets", namespace.netns, "--limit", "1"], "더 있음"),
            (&["sockets", namespace.netns, "--group", "process"], "최장"),
            (&["sockets", namespace.netns, "--group", "peer"], "(연결 대기)"),
            (&["demo", "--list"], "포트 고갈"),
            (&["demo", "refused", "--step", "--answers", answers], "거부"),
            (&["demo", "rst-unread", "--step", "--answers", answers], "맞혔습니다"),
            (&["exec", "--assert", "no-open", "--", "bash", "-c", connects], "시그널 9번"),
        ] {
            let (command_name, options) = arguments.split_first().unwrap();
            let arguments = [&[*command_name, "--lang", "ko"], options].concat();
            let output = command("", &arguments).output().unwrap();
            let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
            let lines = text.iter().flat_map(|text| text.lines());
            // Why something is missing is said as the kernel says it; names stand before titles.
            let lines = lines.filter(|line| !line.starts_with('!') && !line.contains(" WARN "));
            let shown: String = match arguments.contains(&"--list") {
                true => lines.filter_map(|line| Some(line.split_once("  ")?.1)).collect(),
                false => lines.map(|line| format!("{line}\n")).collect(),
            };
            assert!(shown.contains(words), "{arguments:?}: {shown}");
            let stray = english(&shown, &NAMES);
            assert!(stray.is_empty(), "{arguments:?}: {stray:?}: {shown}");
        }
        server.close();
    });
}
