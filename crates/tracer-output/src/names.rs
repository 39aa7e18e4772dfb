//! Names of addresses, looked up in the background: nothing ever waits for one.
//!
//! An address stands until its name is known. A thread of its own asks the system's resolver, one
//! address after the other; what does not fit into its queue is asked for again the next time that
//! the address is written.

use std::{
    borrow::Cow,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, SyncSender},
    },
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use tracer_event::endpoint::Endpoint;
use tracer_event::escape::escape;
use tracer_health as health;

/// Addresses that may wait for an answer.
const QUEUE: usize = 256;
/// More answers than this are not remembered: starting over costs little.
const REMEMBERED: usize = 1 << 14;

/// The longest name of an address that is shown whole.
const NAME: usize = 32;

/// What is known of an address.
#[derive(Clone, Debug)]
enum Answer {
    Asked,
    None,
    Name(Arc<str>),
}

type Answers = Arc<Mutex<HashMap<IpAddr, Answer, RandomState>>>;

/// Names, as far as they are known.
#[derive(Debug)]
pub struct Names {
    answers: Answers,
    questions: SyncSender<IpAddr>,
}

impl Names {
    /// Starts the thread that asks the system's resolver (`getnameinfo`).
    ///
    /// # Errors
    ///
    /// Where no thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::with(|address| {
            let name = dns_lookup::lookup_addr(address).ok()?;
            // Where there is none, the resolver gives the address back.
            name.parse::<IpAddr>().is_err().then_some(name)
        })
    }

    pub(super) fn with(
        look_up: impl Fn(&IpAddr) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        let answers = Answers::default();
        let theirs = Arc::clone(&answers);
        let (questions, receiver) = mpsc::sync_channel::<IpAddr>(QUEUE);
        let work = move || {
            for address in receiver {
                // Whoever runs the zone may have chosen any bytes.
                let name = look_up(&address).map(|name| escape(name.as_bytes()).into());
                let answer = name.map_or(Answer::None, Answer::Name);
                lock(&theirs).insert(address, answer);
            }
        };
        // A resolver may take its time: nobody waits for it.
        health::spawn("tracer-names", || health::idle(work))?;
        Ok(Self { answers, questions })
    }

    /// The name of an address, if it is known by now; asks for it where it has not been asked for.
    pub fn of(&self, address: IpAddr) -> Option<Arc<str>> {
        if address.is_unspecified() {
            return None;
        }
        let mut answers = lock(&self.answers);
        match answers.get(&address) {
            Some(Answer::Name(name)) => return Some(Arc::clone(name)),
            Some(Answer::Asked | Answer::None) => return None,
            None => {}
        }
        if answers.len() >= REMEMBERED {
            answers.clear();
        }
        if self.questions.try_send(address).is_ok() {
            answers.insert(address, Answer::Asked);
        }
        None
    }

    /// Name and port, where the name is known; else the address. A name that is too long loses its
    /// end, an address nothing.
    pub fn named(&self, end: Endpoint) -> String {
        let Some(name) = self.of(end.address()) else { return end.to_string() };
        let name: Cow<'_, str> = match name.char_indices().nth(NAME) {
            Some(_) => name.chars().take(NAME - 1).chain(['…']).collect(),
            None => (&*name).into(),
        };
        match end.port {
            0 => format!("{name}:*"),
            port => format!("{name}:{port}"),
        }
    }
}

fn lock(answers: &Answers) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Answer, RandomState>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    #[test]
    fn an_address_stands_until_its_name_is_known_and_is_asked_for_once() {
        let (go, wait) = channel::<()>();
        let (asked, questions) = channel();
        let names = Names::with(move |address| {
            wait.recv().ok()?;
            asked.send(*address).ok()?;
            (address.is_ipv4()).then(|| "host.example\x1b[31m".to_owned())
        })
        .unwrap();
        let (v4, v6): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(names.of(v4), None);
            assert_eq!(names.of(v6), None);
        }
        (0..2).for_each(|_| go.send(()).unwrap());
        let patience = Duration::from_secs(20);
        assert_eq!(questions.recv_timeout(patience), Ok(v4));
        assert_eq!(questions.recv_timeout(patience), Ok(v6));
        // Both answers are in as soon as the thread would take a third question.
        go.send(()).unwrap();
        assert_eq!(names.of("192.0.2.2".parse().unwrap()), None);
        questions.recv_timeout(patience).unwrap();
        assert_eq!(names.of(v4).as_deref(), Some("host.example\\x1b[31m"));
        assert_eq!(names.of(v6), None);
    }

    #[test]
    fn a_resolver_that_hangs_holds_nobody_up() {
        let (_never, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let names = Names::with(move |_| {
            let _ = wait.lock().map(|wait| wait.recv());
            None
        })
        .unwrap();
        for last in 0..10 * QUEUE as u32 {
            assert_eq!(names.of(IpAddr::V4((0x0a00_0000 + last).into())), None);
        }
    }
}
