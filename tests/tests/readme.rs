//! What the README and docs/watching.md show, samples and pictures, and the recording that the views
//! are tested with, regenerated: `cargo xtask test -- --test readme -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tracer_tests::{
    fault,
    netns::{isolated, run},
    options::set_tcp,
    page::Page,
    recording::Recorder,
    sockets::eventually,
    terminal::Terminal,
    tracer::{WITH_TRACEFS, command, program, wait},
};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const WATCHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/watching.md");
const VIEWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer/tests/views.jsonl");
const PORT: u16 = 8080;

/// A web server, and the address of its page.
fn web_server() -> (Child, String) {
    let server = Command::new("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.1", &PORT.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Without a connection, of which the trace would tell. 0A is LISTEN.
    let listens = format!("0100007F:{PORT:04X} 00000000:0000 0A");
    eventually("the server", || {
        fs::read_to_string("/proc/thread-self/net/tcp").unwrap().contains(&listens)
    });
    (server, format!("http://127.0.0.1:{PORT}/"))
}

/// What tracer writes while curl fetches a page.
fn shown(options: &[&str]) -> String {
    isolated(|namespace| {
        let (mut server, page) = web_server();
        let arguments = [&[namespace.netns], options].concat();
        let mut tracer = command(WITH_TRACEFS, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(tracer.stdout.take().unwrap());
        let mut text = String::new();
        out.read_line(&mut text).unwrap();
        // For the first look at the sockets, which finds the listener.
        thread::sleep(Duration::from_millis(500));
        let curl = Command::new("curl").args(["-s", "-o", "/dev/null", &page]).status();
        assert!(curl.unwrap().success());
        thread::sleep(Duration::from_millis(1_500));
        kill_process(Pid::from_child(&tracer), Signal::INT).unwrap();
        out.read_to_string(&mut text).unwrap();
        assert!(wait(&mut tracer).success(), "{text}");
        server.kill().unwrap();
        server.wait().unwrap();
        text
    })
}

/// Runs the program on a screen that is empty but for it, in 256 colours; tracefs is there.
fn run_alone(terminal: &Terminal, arguments: &str) {
    let tracer = format!("TERM=xterm-256color {} {arguments}", program().display());
    let script = format!("clear; unshare --mount sh -c '{WITH_TRACEFS}; {tracer}'");
    terminal.press(&["-l", &script]);
    terminal.press(&["Enter"]);
}

/// A screen without what concerns the machine that made it, below the command that a reader types.
fn picture(screen: &str, typed: &str, namespace: &str) -> String {
    let shown = screen.replace(&format!("--netns {namespace}"), "");
    let lines = shown.lines().filter(|line| !line.contains("shell>"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    anstyle_svg::Term::new().render_svg(&format!("$ {typed}\n{}", lines.trim_end()))
}

/// The first screen of `tracer top` while a server leaks.
fn picture_of_top() -> String {
    isolated(|namespace| {
        let (server, address) = fault::server(env!("CARGO_BIN_EXE_fault"), "shop-api", &["keep"]);
        fault::come_and_go(address, 100);
        let terminal = Terminal::open(100, 26);
        let inode = namespace.inode.to_string();
        run_alone(&terminal, &format!("top --netns {inode}"));
        for _ in 0..20 {
            fault::come_and_go(address, 8);
            thread::sleep(Duration::from_secs(1));
        }
        terminal.wait_for_words("leaks");
        let screen = terminal.coloured();
        terminal.press(&["q"]);
        server.close();
        picture(&screen, "sudo tracer top", &inode)
    })
}

/// A live trace on a terminal: a page is fetched, a connection refused, another reset.
fn picture_of_a_trace() -> String {
    isolated(|namespace| {
        let terminal = Terminal::open(120, 40);
        let inode = namespace.inode.to_string();
        run_alone(&terminal, &format!("--netns {inode} --linger time-wait=1s"));
        terminal.wait_for_words("PROCESS");
        let (mut server, page) = web_server();
        let fetch =
            |page: &str| Command::new("curl").args(["-s", "-o", "/dev/null", page]).status();
        assert!(fetch(&page).unwrap().success());
        assert!(!fetch("http://127.0.0.1:81/").unwrap().success());
        terminal.wait_for_words("stuck in TIME_WAIT");
        terminal.press(&["C-c"]);
        terminal.wait_for_words("nothing lost");
        server.kill().unwrap();
        server.wait().unwrap();
        picture(&terminal.coloured(), "sudo tracer", &inode)
    })
}

#[test]
#[ignore = "rewrites docs/trace.svg and docs/top.svg; wants curl and python3"]
fn the_readme_shows_real_screens() {
    fs::write(docs("trace.svg"), picture_of_a_trace()).unwrap();
    fs::write(docs("top.svg"), picture_of_top()).unwrap();
}

/// The page of a host on which a server leaks, beside one that does not.
#[test]
#[ignore = "rewrites docs/report.png; wants curl, python3 and chromium"]
fn the_docs_show_a_real_report() {
    isolated(|namespace| {
        let program = env!("CARGO_BIN_EXE_fault");
        let (server, address) = fault::server(program, "shop-api", &["keep"]);
        let (mut web, page) = web_server();
        let directory = tempfile::tempdir().unwrap();
        let inode = namespace.inode;
        let arguments = "report --duration 20s --linger close-wait=5s -o report.html";
        let arguments = format!("{arguments} --netns {inode}");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut report = command(WITH_TRACEFS, &arguments);
        let mut report =
            report.current_dir(directory.path()).stdout(Stdio::null()).spawn().unwrap();
        while report.try_wait().unwrap().is_none() {
            fault::come_and_go(address, 8);
            let fetched = Command::new("curl").args(["-s", "-o", "/dev/null", &page]).status();
            assert!(fetched.unwrap().success());
            thread::sleep(Duration::from_millis(500));
        }
        web.kill().unwrap();
        web.wait().unwrap();
        server.close();
        let file = directory.path().join("report.html");
        let html = fs::read_to_string(&file).unwrap();
        // What concerns the machine that made it.
        let netns =
            format!(" <span class=\"word\">--netns</span> <span class=\"word\">{inode}</span>");
        let html = html.replace(&netns, "").replace(program, "/usr/bin/shop-api");
        fs::write(&file, html).unwrap();
        let page = Page::load(&file, directory.path());
        page.draw(docs("report.png").as_ref(), (1_100, 2_150), 0.7);
    });
}

/// A sentence, pictures, two commands, four questions, what it needs and what it does not know.
#[test]
fn the_readme_is_short_and_in_order() {
    let readme = fs::read_to_string(README).unwrap();
    assert!(readme.lines().count() <= 110, "the rest belongs to docs/");
    let parts = [
        "**tracer follows every TCP connection",
        "](docs/trace.svg)",
        "](docs/top.svg)",
        "cargo xtask run",
        "cargo xtask test",
        "## Four questions",
        "**What is happening now?**",
        "**What is wrong, why, and what do I do?**",
        "**What is there, since when, whose?**",
        "**How does it move?**",
        "## What it needs",
        "## What it does not know",
    ];
    let places = parts.map(|part| readme.find(part).unwrap_or_else(|| panic!("without {part:?}")));
    assert!(places.is_sorted(), "{places:?}");
}

fn docs(name: &str) -> String {
    format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a command writes while a server leaks, without the number of the namespace.
fn about_a_leak(arguments: &[&str]) -> String {
    isolated(|namespace| {
        let (server, address) = fault::server(env!("CARGO_BIN_EXE_fault"), "shop-api", &["keep"]);
        fault::come_and_go(address, 100);
        let arguments = [arguments, &[namespace.netns]].concat();
        let output = command(WITH_TRACEFS, &arguments).output().unwrap();
        server.close();
        String::from_utf8(output.stdout).unwrap()
    })
}

/// Puts `text` between the marks of that name.
fn replace(readme: &str, name: &str, text: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = readme.split_once(&begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}{text}<!-- end -->{after}")
}

#[test]
#[ignore = "rewrites README.md; wants curl and python3"]
fn the_readme_shows_real_output() {
    let sample = |options: &str, text: &str| {
        format!("```console\n$ sudo tracer {options}\n{}\n```\n", text.trim_end())
    };
    let mut readme = fs::read_to_string(README).unwrap();
    let options = ["--linger", "time-wait=1s"];
    readme = replace(&readme, "text", &sample(&options.join(" "), &shown(&options)));
    for (name, arguments) in
        [("diagnose", &["diagnose", "--brief"][..]), ("sockets", &["sockets", "--limit", "3"])]
    {
        readme = replace(&readme, name, &sample(&arguments.join(" "), &about_a_leak(arguments)));
    }
    let watching = fs::read_to_string(WATCHING).unwrap();
    let options = ["--format", "ladder", "--explain"];
    let ladder = sample(&options.join(" "), &shown(&options));
    fs::write(WATCHING, replace(&watching, "ladder", &ladder)).unwrap();
    fs::write(README, readme).unwrap();
}

/// Connections that end in different ways, of which one is between long addresses.
fn endings() {
    for address in ["2001:db8:85a3:1111:2222:8a2e:370:7334", "127.0.0.1"] {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let (mut client, mut server) = connect();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        server.read_exact(&mut [0; 18]).unwrap();
        server.write_all(&[b'x'; 5_000]).unwrap();
        client.read_exact(&mut [0; 5_000]).unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        drop(server);
        // Unread data: the server resets.
        let (mut client, server) = connect();
        client.write_all(b"nobody reads this").unwrap();
        drop(server);
        assert!(client.read(&mut [0]).is_err());
        // Aborted.
        let (client, mut server) = connect();
        Socket::from(client).set_linger(Some(Duration::ZERO)).unwrap();
        assert!(server.read(&mut [0]).is_err());
        // The server closes first.
        let (mut client, server) = connect();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    drop(TcpStream::connect("127.0.0.1:1").unwrap_err());
}

/// A client that gets no answer: its listener has no place left.
fn timeout(address: std::net::SocketAddr) {
    let _waiting: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    set_tcp(&client, libc::TCP_SYNCNT, 1);
    assert!(client.connect(&address.into()).is_err());
}

#[test]
#[ignore = "rewrites tracer/tests/views.jsonl"]
fn the_views_are_tested_with_a_real_recording() {
    isolated(|namespace| {
        run("ip", &["address", "add", "2001:db8:85a3:1111:2222:8a2e:370:7334/128", "dev", "lo"]);
        let directory = tempfile::tempdir().unwrap();
        let options = ["--linger", "close-wait=500ms,time-wait=1s"];
        let recorder = Recorder::start(namespace, directory.path(), &options);
        let program = env!("CARGO_BIN_EXE_fault");
        let (server, address) = fault::server(program, "shop-api", &["keep"]);
        let (deaf, full) = fault::server(program, "payments", &["deaf", "1"]);
        fault::come_and_go(address, 5);
        endings();
        timeout(full);
        fault::come_and_go(address, 5);
        // Two seconds more, in which the trace flags what is stuck.
        thread::sleep(Duration::from_secs(2));
        let path = recorder.path().to_owned();
        recorder.finish();
        fs::copy(path, VIEWS).unwrap();
        deaf.close();
        server.close();
    });
}
