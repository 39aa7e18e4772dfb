//! Completions in real shells: what bash, fish and zsh offer at Tab, names of this host among it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use tracer_tests::{
    cgroup::Container,
    terminal::Terminal,
    tracer::{printed, program},
};

/// `PATH` with the program under test first.
fn path() -> String {
    format!("{}:{}", program().parent().unwrap().display(), std::env::var("PATH").unwrap())
}

/// What bash completes the last word of a line to.
fn offered(line: &str) -> Vec<String> {
    let script = r#"
        source <(tracer completions bash)
        read -ra COMP_WORDS <<< "$1"
        [[ $1 == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
        _clap_complete_tracer tracer "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash", line])
        .env("PATH", path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // Outside of a completion, there are no options of one.
    let errors: Vec<&str> = errors.lines().filter(|line| !line.contains("compopt")).collect();
    assert!(output.status.success() && errors.is_empty(), "{line}: {errors:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn commands_options_and_values_are_completed() {
    assert_eq!(offered("tracer diag"), ["diagnose"]);
    assert_eq!(offered("tracer sockets --gro"), ["--group"]);
    assert_eq!(offered("tracer trace --state close-w"), ["close-wait"]);
    assert_eq!(offered("tracer sockets -s listen,time-"), ["listen,time-wait"]);
    assert_eq!(offered("tracer trace --format la"), ["ladder"]);
    assert_eq!(
        offered("tracer trace --format "),
        ["text", "ladder", "json", "csv", "logfmt", "parquet"]
    );
    assert_eq!(offered("tracer explain syn-s"), ["syn-sent"]);
    assert!(offered("tracer demo ").contains(&"teardown".to_owned()));
    assert_eq!(offered("tracer --netns ho"), ["host"]);
}

/// fish says itself what it offers, with what each value means behind a tab.
#[test]
fn fish_offers_commands_options_and_values_with_what_they_mean() {
    let offered = |line: &str| {
        let script = "tracer completions fish | source; complete -C $argv[1]";
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", script, line]).env("PATH", path());
        let text = printed(&mut fish);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("tracer diag"), ["diagnose\tFind problems, their causes and remedies"]);
    assert_eq!(offered("tracer sockets -s listen,time-"), ["listen,time-wait"]);
    let formats = offered("tracer trace --format ");
    let names: Vec<_> = formats.iter().map(|one| one.split('\t').next().unwrap()).collect();
    assert_eq!(names, ["text", "ladder", "json", "csv", "logfmt", "parquet"]);
    assert_eq!(offered("tracer --netns ho"), ["host"]);
}

/// zsh completes nothing outside of a terminal, so that it gets one, and the key.
#[test]
fn zsh_completes_what_is_typed_on_a_terminal() {
    let terminal = Terminal::open(100, 40);
    let typed = |keys: &str| terminal.press(&["-l", keys]);
    typed(&format!("PATH={} PS1='zsh> ' exec zsh -f", path()));
    terminal.press(&["Enter"]);
    terminal.wait_for_words("zsh>");
    typed(
        "autoload -U compinit && compinit -u -D && . <(tracer completions zsh); echo is $((6*7))",
    );
    terminal.press(&["Enter"]);
    terminal.wait_for_words("is 42");
    for (begun, completed) in [
        ("tracer diag", "tracer diagnose"),
        ("tracer sockets -s listen,time-", "tracer sockets -s listen,time-wait"),
        ("tracer trace --state close-w", "tracer trace --state close-wait"),
        ("tracer --netns ho", "tracer --netns host"),
        // Several: a list below the line.
        ("tracer trace --format ", "ladder   -- A sequence diagram"),
    ] {
        typed(begun);
        terminal.press(&["Tab"]);
        terminal.wait_for_words(completed);
        terminal.press(&["C-u"]);
        terminal.wait_for("an empty line", |screen| screen.contains("\nzsh>\n"));
    }
}

/// Takes the namespace away again.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn namespaces_that_there_are_now_are_completed() {
    let name = format!("completed-{}", std::process::id());
    assert!(offered("tracer top --netns completed-").iter().all(|one| *one != name));
    let added = Command::new("ip").args(["netns", "add", &name]).status().unwrap();
    assert!(added.success());
    let _named = Named(name.clone());
    assert!(offered("tracer top --netns completed-").contains(&name));
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let own = own.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
    assert_eq!(offered(&format!("tracer top --netns {own}")), [own]);
}

/// A process in a group that is named as a container's.
#[test]
fn containers_that_run_now_are_completed() {
    let container = Container::make(7);
    let id = &container.id[..12];
    let line = format!("tracer sockets --container {}", &id[..4]);
    assert!(offered(&line).iter().all(|one| one != id));
    let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    container.adopt(sleeper.id().into());
    let offered = offered(&line);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(offered.iter().any(|one| one == id), "{offered:?}");
}
