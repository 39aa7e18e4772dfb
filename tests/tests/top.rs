//! `tracer top` in a real terminal: the leak is on the first screen, the keys do what the footer
//! says, and the terminal is as before when it ends, however it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::SocketAddr, process::Command};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    fault::{self, come_and_go},
    netns::{Namespace, isolated},
    peer::Peer,
    sockets::eventually,
    terminal::Terminal,
    tracer::{program, refused},
};

const FAULT: &str = env!("CARGO_BIN_EXE_fault");

fn leaking(name: &str, sockets: usize) -> (Peer, SocketAddr) {
    let (server, address) = fault::server(FAULT, name, &["keep"]);
    come_and_go(address, sockets);
    (server, address)
}

fn top(namespace: &Namespace, columns: u16, rows: u16) -> Terminal {
    let terminal = Terminal::open(columns, rows);
    terminal.run(&format!("top --linger close-wait=1s --netns {}", namespace.inode));
    terminal.wait_for_words("Overview");
    terminal
}

/// The one process that traces this namespace.
fn pid(namespace: &Namespace) -> Pid {
    let is_it = |entry: &fs::DirEntry| {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        arguments.get(1) == Some(&&b"top"[..])
            && arguments.contains(&namespace.inode.to_string().as_bytes())
    };
    let mut entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let found = entries.find(is_it).expect("tracer top runs");
    Pid::from_raw(found.file_name().to_str().unwrap().parse().unwrap()).unwrap()
}

#[test]
fn a_leak_is_on_the_first_screen_and_the_keys_lead_to_all_of_it() {
    isolated(|namespace| {
        let (server, address) = leaking("hoarder", 12);
        let terminal = top(namespace, 120, 40);
        let name = format!("hoarder[{}]", server.pid());
        let leak = format!("{name} leaks 12");
        let words =
            ["CLOSE_WAIT", "fds", "127.0.0.1 × 12", "must close()", "LAST 5 MINUTES", &leak];
        // A screen that is looked at while it is drawn has only some of them.
        terminal.wait_for("the leak", |screen| words.iter().all(|word| screen.contains(word)));
        // At 80 columns too.
        terminal.resize(80, 24);
        terminal.wait_for("80×24", |screen| {
            let words = [&name, "remedy"];
            screen.lines().count() <= 24 && words.iter().all(|word| screen.contains(word))
        });
        terminal.press(&["?"]);
        terminal.wait_for_words("filter as you type");
        terminal.press(&["Escape"]);
        // Filter, sort, group, details.
        terminal.press(&["/"]);
        terminal.press(&["-l", "close_wait hoarder"]);
        terminal.press(&["Enter"]);
        terminal.wait_for("12 of 25 sockets", |screen| {
            screen.contains("12 of 25 sockets") && screen.matches(&name).count() == 12
        });
        terminal.press(&["s"]);
        terminal.wait_for_words("sorted by age");
        terminal.press(&["Enter"]);
        let words = ["held by", "CLOSE_WAIT", &address.to_string()];
        terminal.wait_for("details", |screen| words.iter().all(|word| screen.contains(word)));
        terminal.press(&["Escape", "Escape", "g"]);
        let screen = terminal.wait_for_words("by process");
        assert!(screen.contains(&name), "{screen}");
        terminal.press(&["4"]);
        terminal.wait_for_words("SYN_SENT");
        terminal.press(&["5"]);
        terminal.wait_for_words("connect() to ESTABLISHED");
        terminal.press(&["q"]);
        terminal.assert_as_before();
        server.close();
    });
}

/// Findings too, though ports and queues are judged by all sockets.
#[test]
fn a_filter_leaves_out_the_findings_of_others() {
    isolated(|namespace| {
        let (wanted, _) = leaking("wanted", 12);
        let (other, _) = leaking("other", 13);
        let terminal = Terminal::open(120, 40);
        let options = "top --linger close-wait=1s --netns";
        terminal.run(&format!("{options} {} comm wanted", namespace.inode));
        let leaks = |server: &Peer, count| format!("[{}] leaks {count}", server.pid());
        let screen = terminal.wait_for_words(&leaks(&wanted, 12));
        assert!(!screen.contains(&leaks(&other, 13)), "{screen}");
        terminal.press(&["q"]);
        wanted.close();
        other.close();
    });
}

#[test]
fn what_happens_is_seen_as_it_happens() {
    isolated(|namespace| {
        let terminal = top(namespace, 120, 40);
        terminal.wait_for_words("no problems found");
        terminal.press(&["2"]);
        let (server, address) = leaking("late", 3);
        let screen = terminal
            .wait_for("3 in CLOSE_WAIT", |screen| screen.matches("CLOSE_WAIT").count() == 3);
        assert!(screen.contains(&format!("late[{}]", server.pid())), "{screen}");
        terminal.press(&["Enter"]);
        let screen = terminal.wait_for_words("LISTEN → SYN_RECV");
        for words in ["SYN_RECV → ESTABLISHED", "ESTABLISHED → CLOSE_WAIT", "SYN+ACK seq="] {
            assert!(screen.contains(words), "{words}:\n{screen}");
        }
        assert!(screen.contains(&address.to_string()), "{screen}");
        terminal.press(&["C-c"]);
        terminal.assert_as_before();
        server.close();
    });
}

/// The clipboard has the command; where there is none, the terminal's own selection works.
#[test]
fn the_command_of_a_remedy_is_copied_and_can_be_selected() {
    isolated(|namespace| {
        let (server, address) = leaking("hoarder", 12);
        let terminal = top(namespace, 80, 24);
        terminal.wait_for_words("leaks 12");
        assert!(terminal.is("mouse_any_flag"));
        terminal.press(&["c"]);
        let screen = terminal.wait_for_words("Copied to the terminal's clipboard");
        let command = terminal.clipboard();
        assert!(command.contains(&format!(":{}", address.port())), "{command}");
        assert!(screen.lines().any(|line| line.trim_end() == command), "{command}: {screen}");
        eventually("the mouse is the terminal's", || !terminal.is("mouse_any_flag"));
        terminal.press(&["q"]);
        terminal.wait_for_words("leaks 12");
        eventually("the mouse is taken again", || terminal.is("mouse_any_flag"));
        terminal.press(&["q"]);
        terminal.assert_as_before();
        server.close();
    });
}

#[test]
fn a_signal_ends_it_and_gives_the_terminal_back() {
    isolated(|namespace| {
        for signal in [Signal::TERM, Signal::HUP] {
            let terminal = top(namespace, 80, 24);
            kill_process(pid(namespace), signal).unwrap();
            terminal.assert_as_before();
        }
    });
}

#[test]
fn a_terminal_that_can_show_nothing_is_refused_in_one_line() {
    let terminal = Terminal::open(120, 24);
    terminal.press(&["-l", &format!("TERM=dumb {} top; echo status $?", program().display())]);
    terminal.press(&["Enter"]);
    let screen = terminal.wait_for_words("status 2");
    assert!(screen.contains("TERM is dumb: set TERM"), "{screen}");
    let errors = refused(Command::new(program()).arg("top"));
    assert!(errors.contains("takes a terminal"), "{errors}");
}

#[test]
fn without_utf_8_there_is_nothing_beyond_ascii() {
    isolated(|namespace| {
        let (server, _) = leaking("hoarder", 5);
        let terminal = Terminal::open(100, 30);
        let arguments = format!("top --netns {}", namespace.inode);
        terminal
            .press(&["-l", &format!("LC_ALL=C TERM=vt100 {} {arguments}", program().display())]);
        terminal.press(&["Enter"]);
        let screen = terminal.wait_for_words("leaks 5");
        assert!(screen.is_ascii(), "{screen}");
        terminal.press(&["4"]);
        let screen = terminal.wait_for_words("SYN_SENT");
        assert!(screen.is_ascii() && screen.contains("+-"), "{screen}");
        terminal.press(&["q"]);
        eventually("a shell", || terminal.screen().trim_end().ends_with("shell>"));
        server.close();
    });
}
