//! Messages between the tracer, the process that reads symbols for it, and that one's workers.
//!
//! Workers read files of strangers: what they send is not trusted, only bounded and shown.

use std::io;

use serde::{Deserialize, Serialize};

use super::maps::Maps;
use tracer_event::stack::Gap;

/// Bytes of one message; a worker that has more to say is stopped.
pub(super) const LONGEST: usize = 8 << 20;

/// A process whose mappings are asked for, and the functions at addresses in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: u32,
    /// Jobs of one owner are done one after the other.
    pub(super) owner: u64,
    pub(super) pid: u32,
    pub(super) start_ns: u64,
    /// Addresses: that of the call, then those to which functions return.
    pub(super) stacks: Vec<Vec<u64>>,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: u32,
    /// The worker was stopped because it took too long.
    pub(super) is_late: bool,
    /// Lines that the worker wrote.
    pub(super) lines: Vec<u8>,
}

/// A line of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Line {
    /// The first one, unless the process has ended.
    Maps(Maps),
    /// For each stack one, in their order.
    Names(Names),
    /// The last one: the worker lives.
    End,
}

/// The functions of a stack.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Names {
    /// For each address the function, behind those that the compiler has put into it; none where
    /// there is no name.
    pub(super) functions: Vec<Vec<Function>>,
    /// The function that made the system call keeps no frame: its caller is missing.
    pub(super) skips_caller: bool,
    /// Why there are names missing.
    pub(super) gap: Option<Gap>,
}

/// A function.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// What a worker has found out.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// None where the process has ended.
    pub(super) maps: Option<Maps>,
    pub(super) names: Vec<Names>,
    pub(super) is_whole: bool,
}

impl Answer {
    pub(super) fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        for line in self.lines.split(|&byte| byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Line::Maps(maps)) => findings.maps = Some(maps),
                Ok(Line::Names(names)) => findings.names.push(names),
                Ok(Line::End) => findings.is_whole = true,
                // Half a line.
                Err(_) => {}
            }
        }
        findings
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.id.to_le_bytes().to_vec();
        payload.push(u8::from(self.is_late));
        payload.extend_from_slice(&self.lines);
        framed(&payload)
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (id, rest) = payload.split_first_chunk()?;
        let (is_late, lines) = rest.split_first()?;
        Some(Self { id: u32::from_le_bytes(*id), is_late: *is_late != 0, lines: lines.to_vec() })
    }
}

/// A job as a message.
pub(super) fn job(job: &Job) -> io::Result<Vec<u8>> {
    Ok(framed(&serde_json::to_vec(job)?))
}

fn framed(payload: &[u8]) -> Vec<u8> {
    // Nothing is longer than `LONGEST`.
    let mut message = (payload.len() as u32).to_le_bytes().to_vec();
    message.extend_from_slice(payload);
    message
}

/// Bytes that have arrived.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<u8>);

impl Inbox {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message that is whole.
    ///
    /// # Errors
    ///
    /// Where it is longer than any.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.0.first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LONGEST + 8 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let end = length + 4;
        Ok((self.0.len() >= end).then(|| {
            let payload = self.0[4..end].to_vec();
            self.0.drain(..end);
            payload
        }))
    }

    pub(super) fn job(&mut self) -> io::Result<Option<Job>> {
        Ok(self.next()?.map(|payload| serde_json::from_slice(&payload)).transpose()?)
    }

    pub(super) fn answer(&mut self) -> io::Result<Option<Answer>> {
        let invalid = || io::ErrorKind::InvalidData.into();
        self.next()?.map(|payload| Answer::from_payload(&payload).ok_or_else(invalid)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let jobs = [1, 2].map(|id| Job {
            id,
            owner: 7,
            pid: 3,
            start_ns: 4,
            stacks: vec![vec![1, u64::MAX]],
        });
        let bytes: Vec<u8> = jobs.iter().flat_map(|one| job(one).unwrap()).collect();
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for byte in bytes {
            inbox.push(&[byte]);
            seen.extend(inbox.job().unwrap());
        }
        assert_eq!(format!("{seen:?}"), format!("{jobs:?}"));
        let answer = Answer { id: 9, is_late: true, lines: b"x\n".to_vec() };
        inbox.push(&answer.to_bytes());
        assert_eq!(format!("{:?}", inbox.answer().unwrap().unwrap()), format!("{answer:?}"));
    }

    #[test]
    fn what_a_worker_tells_is_not_believed_but_read() {
        let maps = r#"{"Maps":[{"start":1,"end":2,"offset":0,"path":"/a\u001b[2J"}]}"#;
        let lines = format!("{maps}\nnonsense\n{{\"Names\":{{\"functions\":[]").into_bytes();
        let findings = Answer { id: 1, is_late: false, lines }.findings();
        assert_eq!(&*findings.maps.unwrap().find(1).unwrap().0, "/a\\x1b[2J");
        assert_eq!((findings.names.len(), findings.is_whole), (0, false));
        let mut inbox = Inbox::default();
        inbox.push(&u32::MAX.to_le_bytes());
        assert!(inbox.answer().is_err());
    }
}
