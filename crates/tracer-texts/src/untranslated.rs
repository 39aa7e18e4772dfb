//! What is left in English on a screen in another language: for the tests of all screens.

/// What is the same in every language: commands, options and keys, names of Linux and of TCP.
const ALLOWED: &[&str] = &[
    "accept",
    "ack",
    "backlog",
    "close",
    "connect",
    "cookie",
    "curl",
    "demo",
    "diagnose",
    "inode",
    "legend",
    "listen",
    "listener",
    "localhost",
    "loopback",
    "lsof",
    "max",
    "netns",
    "nsenter",
    "pid",
    "seq",
    "sport",
    "state",
    "tmux",
    "top",
    "tracefs",
    "tracer",
    "uid",
];

/// English words: those in small letters, as states, segments and columns are in capitals; without
/// those that are the same in every language, and `names` of programs.
pub fn english<'a>(screen: &'a str, names: &[&str]) -> Vec<&'a str> {
    let words = screen.split(|c: char| !c.is_ascii_alphanumeric() && !"-_/".contains(c));
    let is_word =
        |word: &&str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.filter(is_word).filter(|word| !ALLOWED.contains(word) && !names.contains(word)).collect()
}
