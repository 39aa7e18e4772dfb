//! What a process does, in words.

use super::{
    Line, Listener, Remedy,
    remedies::advice,
    words::{halted, line, of_programs, process, programs},
};
use crate::{
    activity::{Awaited, Doing, Throttled, Wait, WaitKind},
    duration::grouped,
    escape::harmless,
    phrase::{Wording, wording},
    process::Process,
};

pub(super) fn of_listener(from: &Listener) -> Vec<Line> {
    let mut lines = of_programs(&from.processes);
    if let Some(halt) = from.halted {
        let who = programs(&from.processes);
        lines.push(line("state", wording!("who-does", "{who} {does}", [who], does = halted(halt))));
    } else if let (Some(doing), Some(first)) = (&from.doing, from.processes.first()) {
        lines.extend(of_activity(doing, &first.process));
    }
    lines
}

/// What a process does, in a few words after its name: `sleeps`, `is busy (98 % of a processor)`.
pub(super) fn does(doing: &Doing) -> Option<Wording> {
    const BUSY: u32 = 50;
    let Doing { cpu_percent, blocked, .. } = *doing;
    if blocked > 0 {
        return Some(wording!("does-block", "is blocked in the kernel (uninterruptible)"));
    }
    if let Some(percent) = cpu_percent.filter(|percent| *percent >= BUSY) {
        let percent = percent.to_string();
        return Some(wording!("does-work", "is busy ({percent} % of a processor)", [percent]));
    }
    if doing.throttled.is_some() {
        return Some(wording!("does-throttle", "is throttled by its CPU quota"));
    }
    let idle = |wait: &Wait| WaitKind::of(&wait.function) == WaitKind::Lock;
    if doing.computes() && doing.cause().is_none_or(idle) {
        return Some(wording!("does-starve", "is ready to run and waits for a processor"));
    }
    waits_for(doing)
}

fn waits_for(doing: &Doing) -> Option<Wording> {
    let function = &*doing.cause()?.function;
    Some(match WaitKind::of(function) {
        WaitKind::Accept => wording!("does-accept", "waits in accept() of another socket"),
        WaitKind::Receive => match &doing.on {
            None => wording!("does-receive", "waits for data from a peer"),
            Some(on) => {
                let peer = peer(on);
                match on.takes_nothing {
                    true => wording!("does-send", "waits for {peer} to take what it sends", [peer]),
                    false => wording!("does-receive-of", "waits for data from {peer}", [peer]),
                }
            }
        },
        WaitKind::Connect => match doing.on.as_ref().map(peer) {
            None => wording!("does-connect", "waits in connect()"),
            Some(peer) => wording!("does-connect-to", "waits for its connect() to {peer}", [peer]),
        },
        WaitKind::Datagram => {
            wording!("does-datagram", "waits for a datagram (UDP or a Unix socket)")
        }
        WaitKind::Pipe => wording!("does-pipe", "waits to write to a full pipe"),
        WaitKind::Events | WaitKind::Poll | WaitKind::Ring => {
            wording!("does-poll", "waits for other events")
        }
        WaitKind::Sleep => wording!("does-sleep", "sleeps"),
        WaitKind::Lock => wording!("does-lock", "waits for a lock"),
        WaitKind::Child => wording!("does-wait", "waits for a child process"),
        WaitKind::Other if matches!(function, "" | "0") => return None,
        WaitKind::Other => {
            wording!("does-other", "waits in {function}", function = &*harmless(function))
        }
    })
}

/// `10.0.0.2:5432 (postgres[812])`
fn peer(on: &Awaited) -> String {
    let who = on.process.map(|one| format!(" ({})", process(&one))).unwrap_or_default();
    format!("{}{who}", on.peer)
}

/// Where the threads of a process wait.
pub(super) fn of_activity(doing: &Doing, who: &Process) -> Option<Line> {
    let Doing { cpu_percent, ready_percent, ref throttled, blocked, ref waits, .. } = *doing;
    let wait = |wait: &Wait| match wait.threads {
        1 => harmless(&wait.function).into_owned(),
        threads => format!("{} × {threads}", harmless(&wait.function)),
    };
    let known = waits.iter().filter(|wait| !matches!(&*wait.function, "" | "0"));
    let parts: Vec<Wording> = known.map(|one| wait(one).into()).collect();
    let waits =
        (!parts.is_empty()).then(|| wording!("threads-wait", "threads wait in {parts}", [parts]));
    let count = Wording::count(blocked.into(), "thread");
    let blocked = (blocked > 0)
        .then(|| wording!("threads-blocked", "{count} in uninterruptible sleep", [count]));
    let cpu = cpu_percent.map(|percent| {
        wording!("of-a-processor", "{percent} % of a processor", percent = percent.to_string())
    });
    let ready = ready_percent.filter(|percent| *percent > 0).map(|percent| {
        let percent = percent.to_string();
        wording!("ready-for-one", "ready and waiting for one {percent} % of the time", [percent])
    });
    let quota = throttled.as_ref().map(of_quota);
    let both = |one, other| wording!("one-and-other", "{one}; {other}", [one, other]);
    let does = [waits, blocked, cpu, ready, quota].into_iter().flatten().reduce(both)?;
    Some(line("state", wording!("who-does", "{who}: {does}", [does], who = process(who))))
}

fn of_quota(throttled: &Throttled) -> Wording {
    wording!(
        "throttled-by",
        "throttled in {throttled} of {periods} periods by the CPU quota of {group}",
        throttled = grouped(throttled.throttled),
        periods = grouped(throttled.periods),
        group = harmless(&throttled.group).into_owned(),
    )
}

/// Gives a process its processor.
pub(super) fn raise_quota(doing: Option<&Doing>) -> Option<Remedy> {
    let throttled = doing?.throttled.as_ref()?;
    Some(advice(wording!(
        "remedy-quota",
        "raise the CPU quota of control group {group} (cpu.max; in cgroup v1 cpu.cfs_quota_us; the \
         CPU limit of a container), or use less",
        group = harmless(&throttled.group).into_owned(),
    )))
}
