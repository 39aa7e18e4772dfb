//! `tracer demo --step` on a real terminal of 80 columns and 24 lines, a key an answer, and what is
//! left for another terminal.

use tracer_tests::{netns::inhabitants, sockets::eventually, terminal::Terminal};

/// A language, how the line ends that waits for a key, and how the last one begins.
const LANGUAGES: [(&str, &str, &str); 2] =
    [("en", "q to quit.", "In all, "), ("ko", "q를 누르면 그만둡니다.", "모두 ")];

fn last_line(screen: &str) -> &str {
    screen.trim_end().lines().next_back().unwrap_or_default().trim_end()
}

/// Answers with the first choice until the shell is back; how many keys that took, and what was on
/// the screen at each.
fn play(terminal: &Terminal, waits: &str) -> Vec<String> {
    let mut screens =
        vec![terminal.wait_for("a question", |screen| last_line(screen).ends_with(waits))];
    terminal.press(&["1"]);
    loop {
        let before = screens.last().cloned().unwrap_or_default();
        let screen = terminal.wait_for("a question, or the shell", |screen| {
            let last = last_line(screen);
            *screen != *before && (last.ends_with(waits) || last == "shell>")
        });
        if last_line(&screen) == "shell>" {
            return screens;
        }
        screens.push(screen);
        terminal.press(&["1"]);
    }
}

/// From nothing to the lost last ACK, by single keys; no line is folded, and what was asked,
/// answered and explained since the key before is on the screen.
#[test]
fn the_course_fits_a_terminal_of_80_columns_in_both_languages() {
    for (language, waits, total) in LANGUAGES {
        let terminal = Terminal::open(80, 24);
        terminal.run(&format!("demo --step --lang {language}"));
        let screens = play(&terminal, waits);
        assert!(screens.len() > 25, "{language}: {} keys", screens.len());
        // The line that waited for the key before is still there.
        for screen in &screens[1..] {
            let waiting = screen.lines().filter(|line| line.trim_end().ends_with(waits));
            assert!(waiting.count() >= 2, "{screen}");
        }
        let all = terminal.history();
        assert!(all.contains(total), "{all}");
        assert!(!terminal.has_folded(), "{all}");
        terminal.assert_as_before();
    }
}

/// Whenever somebody has enough, the terminal is as it was.
#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    // At a question; while something happens; between two lessons; before all; with --live.
    for (options, words, keys) in [
        ("--step handshake", "q to quit.", ""),
        ("--step keepalive-timeout", "▶", ""),
        ("--step", "Next lesson", "1323n"),
        ("--step --lang ko", "그만둡니다.", "1"),
        ("time-wait", "Ctrl-C if you do not", ""),
        ("handshake --live", "tracer top --netns", ""),
    ] {
        let terminal = Terminal::open(80, 24);
        terminal.run(&format!("demo {options}"));
        for key in keys.chars() {
            let before = terminal.wait_for("a question", |screen| last_line(screen).ends_with('.'));
            terminal.press(&[&key.to_string()]);
            terminal.wait_for("what follows", |screen| screen != before);
        }
        terminal.wait_for_words(words);
        terminal.press(&["C-c"]);
        terminal.assert_as_before();
    }
}

/// What `--live` leaves is seen from another terminal, by the command that it names.
#[test]
fn another_terminal_looks_at_what_a_demo_leaves() {
    let (first, second) = (Terminal::open(80, 24), Terminal::open(80, 24));
    first.run("demo close-wait --live");
    let screen = first.wait_for_words("tracer top --netns ");
    let inode: String = screen
        .split("tracer top --netns ")
        .nth(1)
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    second.run(&format!("top --netns {inode}"));
    second.wait_for_words("CLOSE_WAIT");
    second.press(&["q"]);
    second.assert_as_before();
    first.press(&["C-c"]);
    first.assert_as_before();
    let inode = inode.parse().unwrap();
    eventually("the end of the namespace", || inhabitants(inode) == 0);
}
