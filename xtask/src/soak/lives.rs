//! What the tracer tells, as it comes: the sockets that are open by it, and the kernel's own list.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::bench::command;
use crate::bench::namespace::Namespace;

/// Sockets by their cookies.
pub(super) type Table = BTreeMap<u64, String>;

/// What was told so far.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) table: Table,
    pub(super) lines: u64,
    pub(super) lost: u64,
    /// Flags on sockets in CLOSE_WAIT.
    pub(super) flagged: u64,
    pub(super) summary: bool,
}

/// Reads the tracer's lines.
pub(super) struct Lives(Arc<Mutex<Told>>);

impl Lives {
    pub(super) fn read(stdout: impl Read + Send + 'static) -> Self {
        let told = Arc::<Mutex<Told>>::default();
        let lives = Self(Arc::clone(&told));
        thread::spawn(move || {
            let mut lines = BufReader::with_capacity(1 << 20, stdout);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                told.lock().unwrap_or_else(PoisonError::into_inner).note(&line);
                line.clear();
            }
        });
        lives
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sockets that are not closed.
    pub(super) fn table(&self) -> Table {
        self.lock().table.clone()
    }

    /// How many they are, lines and losses.
    pub(super) fn counts(&self) -> (usize, u64, u64) {
        let told = self.lock();
        (told.table.len(), told.lines, told.lost)
    }

    /// All but the sockets.
    pub(super) fn told(&self) -> Told {
        let Told { lines, lost, flagged, summary, .. } = *self.lock();
        Told { lines, lost, flagged, summary, table: Table::new() }
    }
}

impl Told {
    /// The lines have a fixed order of fields; a parser for all of it would take the processors
    /// that the load is to have.
    fn note(&mut self, line: &str) {
        self.lines += 1;
        match text(line, r#"{"kind":""#) {
            Some("transition") => self.step(line),
            Some("linger") => {
                let raised = line.contains(r#""status":"raised""#);
                self.flagged += u64::from(raised && line.contains(r#""state":"CLOSE_WAIT""#));
            }
            Some("loss") => self.lost += number(line, r#""count":"#).unwrap_or(0),
            Some("summary") => self.summary = true,
            _ => {}
        }
    }

    fn step(&mut self, line: &str) {
        let Some((about, tcp)) = line.split_once(r#","tcp":{"#) else { return };
        let (cookie, to) = (number(about, r#""cookie":"#), text(tcp, r#""to":""#));
        match (cookie, to) {
            (Some(cookie), Some("CLOSED")) => drop(self.table.remove(&cookie)),
            (Some(cookie), Some(to)) => drop(self.table.insert(cookie, to.to_owned())),
            _ => {}
        }
    }
}

fn text<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let rest = &line[line.find(before)? + before.len()..];
    rest.split_once('"').map(|(text, _)| text)
}

fn number(line: &str, before: &str) -> Option<u64> {
    let rest = &line[line.find(before)? + before.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// What `ss` shows of a namespace.
pub(super) fn kernel(namespace: &Namespace) -> Result<Table> {
    let said = command::output(namespace.command("ss").args(["-tanoeH"]))?;
    said.lines().map(|line| socket(line).with_context(|| format!("ss says {line}"))).collect()
}

fn socket(line: &str) -> Option<(u64, String)> {
    let mut words = line.split_ascii_whitespace();
    let state = match words.next()? {
        "ESTAB" => "ESTABLISHED".to_owned(),
        // FIN-WAIT-1
        other => other.replace("WAIT-", "WAIT").replace('-', "_"),
    };
    let cookie = words.find_map(|word| word.strip_prefix("sk:"))?;
    Some((u64::from_str_radix(cookie, 16).ok()?, state))
}

/// Sockets that were shown otherwise before and after the kernel was asked.
pub(super) fn differences(before: &Table, kernel: &Table, after: &Table) -> Vec<String> {
    let mut cookies: Vec<&u64> = before.keys().chain(kernel.keys()).collect();
    cookies.sort_unstable();
    cookies.dedup();
    let differs = |cookie: &&u64| {
        let (told, known) = (before.get(*cookie), kernel.get(*cookie));
        told != known && after.get(*cookie) != known && before.get(*cookie) == after.get(*cookie)
    };
    let describe = |cookie: &u64| {
        let [told, known] =
            [before, kernel].map(|table| table.get(cookie).map_or("nothing", String::as_str));
        format!("socket {cookie}: told {told}, ss says {known}")
    };
    cookies.into_iter().filter(differs).map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_a_table() {
        let step = |cookie: u64, to: &str| {
            format!(
                "{{\"kind\":\"transition\",\"socket\":{{\"cookie\":{cookie},\"ordinal\":1}},\
                 \"tcp\":{{\"from\":\"X\",\"to\":\"{to}\"}}}}"
            )
        };
        let mut told = Told::default();
        for line in [step(7, "LISTEN"), step(8, "ESTABLISHED"), step(8, "CLOSED")] {
            told.note(&line);
        }
        told.note(r#"{"kind":"loss","where":"output","count":5,"healed":false}"#);
        told.note(r#"{"kind":"linger","tcp":{"state":"CLOSE_WAIT"},"status":"raised"}"#);
        assert_eq!(told.table, Table::from([(7, "LISTEN".into())]));
        assert_eq!((told.lines, told.lost, told.flagged, told.summary), (5, 5, 1, false));
    }

    #[test]
    fn states_of_ss_are_those_of_the_tracer() {
        let line = "FIN-WAIT-2 0 0 127.0.0.1:1 127.0.0.1:2 timer:(x,1,0) ino:0 sk:1f cgroup:/";
        assert_eq!(socket(line), Some((0x1f, "FIN_WAIT2".into())));
        assert_eq!(socket("ESTAB 0 0 a b sk:2"), Some((2, "ESTABLISHED".into())));
        assert_eq!(socket("TIME-WAIT 0 0 a b sk:3").unwrap().1, "TIME_WAIT");
        assert_eq!(socket("LISTEN 0 0 a b"), None);
    }

    #[test]
    fn only_what_lasts_is_a_difference() {
        let table = |state: &str| Table::from([(1, state.to_owned())]);
        let (listen, other) = (table("LISTEN"), table("TIME_WAIT"));
        assert_eq!(differences(&listen, &listen, &listen), [""; 0]);
        assert_eq!(differences(&listen, &other, &other), [""; 0]);
        assert_eq!(differences(&listen, &other, &listen).len(), 1);
        assert_eq!(differences(&Table::new(), &other, &Table::new()).len(), 1);
    }
}
