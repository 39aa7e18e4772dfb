//! What the benches share: the kernel's events of a connection, and a table that takes them.

use tracer_event::{
    state::State,
    update::{Observer, Update},
};
use tracer_model::{
    table::{Options, Table},
    time_wait::Ticks,
};
use tracer_wire::{Record, flag, kind};

pub(crate) const NETNS: u32 = 4_026_531_840;

/// The events of one connection, client first: connect, accept, close by the client, close by the
/// server.
#[expect(clippy::too_many_lines, reason = "ten records, spelled out")]
pub(crate) fn life(index: u64) -> [Record; 10] {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
    };
    let port = 10_000 + (index % 50_000) as u16;
    let begun = 1_000_000_000 + index * 27_000;
    let mapped = |last: u8| {
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, last]);
        address
    };
    let end = |client: bool, step: u64, from: State, to: State| {
        let (local, peer) = if client { (port, 8080) } else { (8080, port) };
        Record {
            kind: kind::STATE,
            time_ns: begun + step * 2_000,
            jiffies: 4_295_000_000 + (begun + step * 2_000) / 4_000_000,
            sk: 0xffff_8880_0000_0000 + (index * 2 + u64::from(client)) * 2432,
            cookie: 1 + index * 2 + u64::from(client),
            local_address: mapped(1),
            peer_address: mapped(2),
            local_port: local,
            peer_port: peer,
            netns: NETNS,
            pid: 4711,
            comm: *b"load\0\0\0\0\0\0\0\0\0\0\0\0",
            old_state: from as u8,
            new_state: to as u8,
            snd_una: 1_000,
            write_seq: 1_000,
            srtt_us: 240,
            inode: if client { 123_456 } else { 0 },
            flags: if step > 5 { flag::DEAD } else { flag::HAS_SOCKET },
            ..Record::EMPTY
        }
    };
    let done = |record: Record| Record { flags: record.flags | flag::DONE, ..record };
    [
        end(true, 0, Closed, SynSent),
        end(false, 1, Listen, SynRecv),
        end(true, 2, SynSent, Established),
        end(false, 3, SynRecv, Established),
        end(true, 4, Established, FinWait1),
        end(false, 5, Established, CloseWait),
        end(false, 6, CloseWait, LastAck),
        end(true, 7, FinWait1, FinWait2),
        done(end(true, 8, FinWait2, Closed)),
        done(end(false, 9, LastAck, Closed)),
    ]
}

/// An empty one.
pub(crate) fn table() -> Table {
    Table::new(Options {
        ticks: Ticks { hz: 250 },
        look_patience: 2_000_000_000,
        max_sockets: usize::MAX,
        ..Options::default()
    })
}

/// Counts the updates.
#[derive(Default)]
pub(crate) struct Count(pub(crate) u64);

impl Observer for Count {
    fn observe(&mut self, _: Update<'_>) {
        self.0 += 1;
    }
}

/// Takes events as the reader does, in batches.
pub(crate) fn ingest(table: &mut Table, events: &[Record], out: &mut impl Observer) {
    for batch in events.chunks(4096) {
        for record in batch {
            table.ingest(record, out);
        }
        table.expire(batch[batch.len() - 1].time_ns, out);
    }
}
