//! What the README and docs/watching.md show, regenerated: `cargo xtask test -- --test readme -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracer_tests::{
    fault,
    netns::isolated,
    sockets::eventually,
    terminal::Terminal,
    tracer::{WITH_TRACEFS, command, wait},
};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const WATCHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/watching.md");
const PORT: u16 = 8080;

/// What tracer writes while curl fetches a page.
fn shown(options: &[&str]) -> String {
    isolated(|namespace| {
        let mut server = Command::new("python3")
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
        let inode = namespace.inode.to_string();
        let arguments = [&["--netns", &inode], options].concat();
        let mut tracer = command(WITH_TRACEFS, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(tracer.stdout.take().unwrap());
        let mut text = String::new();
        out.read_line(&mut text).unwrap();
        // For the first look at the sockets, which finds the listener.
        thread::sleep(Duration::from_millis(500));
        let page = format!("http://127.0.0.1:{PORT}/");
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

/// The first screen of `tracer top` while a server leaks.
fn screen() -> String {
    isolated(|namespace| {
        let (server, address) = fault::server(env!("CARGO_BIN_EXE_fault"), "shop-api", &["keep"]);
        fault::come_and_go(address, 100);
        let terminal = Terminal::open(100, 26);
        terminal.run(&format!("top --netns {}", namespace.inode));
        for _ in 0..20 {
            fault::come_and_go(address, 8);
            thread::sleep(Duration::from_secs(1));
        }
        let screen = terminal.wait_for_words("leaks");
        terminal.press(&["q"]);
        server.close();
        screen
    })
}

/// What a command writes while a server leaks, without the number of the namespace.
fn about_a_leak(arguments: &[&str]) -> String {
    isolated(|namespace| {
        let (server, address) = fault::server(env!("CARGO_BIN_EXE_fault"), "shop-api", &["keep"]);
        fault::come_and_go(address, 100);
        let inode = namespace.inode.to_string();
        let arguments = [arguments, &["--netns", &inode]].concat();
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
    let screen = screen();
    // The namespace of the sample means nothing to who reads it.
    let option = screen.split_once("--netns ").map(|(_, after)| {
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        format!("--netns {}", &after[..digits])
    });
    let option = option.expect("the options are shown");
    let screen = screen.trim_end().replace(&option, &" ".repeat(option.len()));
    let screen = format!("```console\n$ sudo tracer top\n{screen}\n```\n");
    readme = replace(&readme, "top", &screen);
    fs::write(README, readme).unwrap();
}
