//! Every reader of bytes that others choose, by one name each, and what is promised of all of
//! them: whatever the bytes are, no panic, an error of one harmless line, memory in proportion to
//! them. The properties beside this call these functions, and so do the fuzz targets of
//! `tracer/fuzz`; there is nothing of it in the program.

#[cfg(test)]
mod tests;

use std::{fmt::Display, io::Read as _, sync::Arc};

use jiff::tz::TimeZone;
use serde_json::Value;
use tracer_wire::{Holder, Plain as _, Record};

use crate::{
    cli,
    pair::{self, show::View},
    replay::{
        anonymize::Anonymizer,
        decode::{Decoder, Item},
        enricher::Recorded,
        source::Source,
    },
};
use tracer_event::{
    container,
    enricher::Context,
    escape::is_unprintable,
    header::{Header, Mode},
    summary::Summary,
    update::{Observer, Update},
    wall_clock::WallClock,
};
use tracer_kernel::{
    btf::Btf, cgroup, host, load::offsets, mounts, process, ring, stacks::maps::Maps, tracefs,
};
use tracer_model::{
    filter::parse::{self, NoNames},
    pair::join,
    table::{Options, Snapshot, Table},
};
use tracer_output::{
    Format,
    flat::FlatLines,
    json::{Json, Take as _},
    ladder::{Ladder, Style},
    packed::{MAGIC, Packer, Unpacker},
    stamps::{Times, Timestamps},
    text::{Palette, Stories, Text},
};

/// A present.
pub const CLOCK: WallClock = WallClock { lead: 1_700_000_000_123_456_789, now: 5_000_000_000_000 };

/// All formats, as they write to a pipe.
pub fn formats() -> Vec<Box<dyn Format>> {
    let times = || Times::new(Timestamps::Relative, TimeZone::UTC);
    let text = |stories| Text::new(Palette::PLAIN, None, times(), stories);
    let ladder =
        |explain| Ladder::new(Style { explain, relative: !explain }, Palette::PLAIN, None, times());
    vec![
        Box::new(Json::default()),
        Box::new(text(Stories::Steps)),
        Box::new(text(Stories::Only)),
        Box::new(ladder(true)),
        Box::new(ladder(false)),
        Box::new(FlatLines::csv()),
        Box::new(FlatLines::logfmt()),
    ]
}

/// What is told, in all formats.
struct Told {
    formats: Vec<Box<dyn Format>>,
    out: Vec<u8>,
}

impl Told {
    fn new() -> Self {
        let mut told = Self { formats: formats(), out: Vec::new() };
        let header = Header {
            version: "0".into(),
            kernel: "6".into(),
            mode: Mode::Btf,
            degraded: Vec::new(),
            options: Vec::new(),
            host: None,
            file: None,
            partial: None,
        };
        told.each(|format, out| format.header(&header, CLOCK, out));
        told
    }

    fn tell(&mut self, update: &Update<'_>, context: Context<'_>) {
        self.each(|format, out| format.update(update, context, out));
    }

    fn finish(mut self) {
        self.each(|format, out| format.summary(&Summary::default(), CLOCK.into(), out));
    }

    /// Nothing but the ends of lines steers a terminal.
    fn each(&mut self, mut work: impl FnMut(&mut dyn Format, &mut Vec<u8>)) {
        for format in &mut self.formats {
            self.out.clear();
            work(&mut **format, &mut self.out);
            let text = str::from_utf8(&self.out).expect("formats write UTF-8");
            let stray = text.chars().find(|c| is_unprintable(*c) && *c != '\n');
            assert_eq!(stray, None, "{text}");
        }
    }
}

impl Observer for Told {
    fn observe(&mut self, update: Update<'_>) {
        self.tell(&update, CLOCK.into());
    }
}

/// What is said of a mistake is a short line that steers no terminal.
fn assert_said(error: &impl Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 2_000, "{} bytes: {text:.200}", text.len());
    assert!(!text.chars().any(is_unprintable), "{text:?}");
}

/// The kernel's BTF.
pub fn btf(bytes: &[u8]) {
    let members = offsets::wanted();
    match Btf::parse(bytes, |name| members.contains(name)) {
        Ok(btf) => {
            assert!(btf.targets().for_aya().is_ok(), "{bytes:?}");
            // Which of several names is wanted makes no difference.
            let _ = btf.tracepoint_arguments("tcp_retransmit_synack");
            let _ = offsets::has_reset_reason(&btf);
            if let Err(error) = offsets::resolve(&btf) {
                assert_said(&error);
            }
        }
        Err(error) => assert_said(&error),
    }
}

/// The `format` file of a tracepoint.
pub fn format_file(bytes: &[u8]) {
    match tracefs::parse(&String::from_utf8_lossy(bytes)) {
        // The programs read a record no further.
        Ok(layout) => assert!(layout.protocol < 4096 && layout.daddr_v6 < 4096),
        Err(error) => assert_said(&error),
    }
}

/// The files of `/proc`; each reader gets them all.
pub fn proc(bytes: &[u8]) {
    let _ = process::Stat::parse(bytes);
    for mount in mounts::parse(bytes) {
        assert!(mount.path().as_os_str().len() <= bytes.len());
    }
    if let Some(group) = cgroup::of_process(bytes, |_, _, _| None) {
        let shown = group.container.as_deref().map(container::short);
        assert!(!group.path.chars().chain(shown.unwrap_or("").chars()).any(is_unprintable));
    }
    let maps = Maps::parse(bytes);
    for address in [0, 1, 0x7f00_0000_0000, u64::MAX / 2, u64::MAX] {
        let _ = maps.find(address);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (host::parse::descriptor_limit(&text), cgroup::path_in(bytes, b"freezer"));
    let _ = host::parse::interfaces(text.as_bytes());
    let _ = host::parse::counters(&text);
    let (range, reserved) = text.split_once('\n').unwrap_or((&text, ""));
    if let Some(ports) = host::parse::port_range(range, reserved) {
        assert!(ports.size() <= 65536);
        let _ = ports.contains(1024);
    }
}

/// Items of the ring buffer, one behind the other, each with its kind of damage; every fourth is
/// what a look at the sockets found instead.
pub fn records(bytes: &[u8]) {
    let mut told = Told::new();
    let mut table = Table::new(Options { max_sockets: 8, ..Options::default() });
    let mut now = 0;
    let mut chunks = bytes.chunks(size_of::<Record>() + size_of::<Holder>());
    for (index, chunk) in chunks.by_ref().enumerate() {
        let (Some(record), holder) = (Record::copied_from(chunk), chunk.get(size_of::<Record>()..))
        else {
            // Too short for one: the reader counts it as damaged.
            assert!(ring::decode(chunk).is_none());
            continue;
        };
        let record = Record {
            // No kernel has run for a century.
            time_ns: record.time_ns % (1 << 62),
            jiffies: record.jiffies % (1 << 40),
            ..record
        };
        let holders = holder.and_then(Holder::copied_from).into_iter().collect();
        now = record.time_ns.max(now);
        if index % 4 == 3 {
            let records = vec![record];
            let held_at = Some(record.time_ns);
            let namespaces = if index % 8 == 3 { vec![record.netns] } else { Vec::new() };
            let ended = now + 1000 * (index as u64 % 5);
            let look = Snapshot { begun: now, ended, records, namespaces, holders, held_at };
            table.merge(&look, &mut told);
        } else if let Some(ring::Item::Record(record)) = ring::decode(record.as_bytes()) {
            table.ingest(record, &mut told);
        }
        table.expire(now, &mut told);
    }
    table.expire(1 << 63, &mut told);
    told.finish();
}

/// A recording, plain or compressed.
pub fn recording(bytes: &[u8]) {
    replay(bytes, None);
}

/// A recording whose addresses and names are replaced.
pub fn anonymized(bytes: &[u8]) {
    replay(bytes, Some(Anonymizer::new(b"key")));
}

fn replay(bytes: &[u8], anonymizer: Option<Anonymizer>) {
    let enricher = Arc::<Recorded>::default();
    let mut told = Told::new();
    let mut decoder = Decoder::new(Arc::clone(&enricher));
    let mut source = match Source::of_bytes("a.json", bytes) {
        Ok(source) => source.anonymized(anonymizer),
        Err(error) => return assert_said(&error),
    };
    loop {
        match source.next(&mut decoder) {
            Ok(Some(Item::Update(item))) => {
                let context = Context { clock: decoder.clock(), enricher: &*enricher };
                told.tell(&item.update(), context);
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                assert_said(&error);
                assert!(error.to_string().contains("a.json"), "{error}");
                break;
            }
        }
    }
    source.take_cut().iter().for_each(assert_said);
    told.finish();
}

/// A recording in the binary form: lines of JSON that are packed, up to a NUL, and then what becomes
/// of the block's bytes: of each three, two say which byte and one what it is. Where there is no line
/// before the NUL, what stands behind it is the block.
pub fn packed(bytes: &[u8]) {
    let (lines, rest) =
        bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let values: Vec<Value> =
        lines.split(|&byte| byte == b'\n').flat_map(serde_json::from_slice).collect();
    let mut file = packed_file(&values, rest);
    if !values.is_empty() {
        // Nested more deeply than any line of ours, they are refused.
        assert!(unpacked(&file).is_none_or(|read| read == values), "{values:?}");
        let block = file.split_at_mut(MAGIC.len()).1;
        for change in rest.as_chunks().0 {
            let [low, high, new] = *change;
            let place = usize::from(u16::from_le_bytes([low, high]));
            if let Some(byte) = block.get_mut(place) {
                *byte = new;
            }
        }
    }
    if let Some(values) = unpacked(&file) {
        assert_eq!(unpacked(&packed_file(&values, &[])), Some(values));
    }
    recording(&file);
}

/// A file with these lines, or with a block that has been packed.
fn packed_file(lines: &[Value], block: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    lines.iter().for_each(|line| packer.take(line));
    match packer.block() {
        Some(lines) => [&MAGIC, lines.stored(false).expect("a small block").bytes()].concat(),
        None => [&MAGIC[..], &[0], &(block.len() as u32).to_le_bytes(), block].concat(),
    }
}

/// The lines in it, each of which is JSON.
fn unpacked(file: &[u8]) -> Option<Vec<Value>> {
    let mut text = String::new();
    Unpacker::new(file).read_to_string(&mut text).ok()?;
    // The last one is half a line where the file breaks off.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    Some(whole.map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// Recordings of two hosts, one behind the other with a NUL between them.
pub fn pair(bytes: &[u8]) {
    let middle = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (first, second) = bytes.split_at(middle);
    let read = |name, bytes: &[u8]| pair::read::recording(&mut Source::of_bytes(name, bytes)?);
    let both = [read("a", first), read("b", second.get(1..).unwrap_or_default())];
    let [Ok(first), Ok(second)] = both else {
        return both.iter().filter_map(|one| one.as_ref().err()).for_each(assert_said);
    };
    let (recordings, names) = ([first, second], ["a", "b"].map(str::to_owned));
    let joined = join(&recordings);
    let view =
        View { recordings: &recordings, names: &names, joined: &joined, all: true, texts: None };
    let times = || Times::new(Timestamps::Utc, TimeZone::UTC);
    let style = Style { explain: false, relative: false };
    let text = view.text(|| Ladder::new(style, Palette::PLAIN, None, times()));
    let json = view.json().expect("JSON");
    for text in [text, json] {
        let stray = text.chars().find(|c| is_unprintable(*c) && *c != '\n');
        assert_eq!(stray, None, "{text}");
    }
}

/// A daemon's configuration file.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(error) = cli::config::mistake(text) {
        assert_said(&error);
        assert!(error.to_string().starts_with("t.toml:"), "{error}");
    }
}

/// A filter, as arguments have it.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = parse::begins(text);
    match parse::parse(text, &NoNames) {
        Ok(expression) => {
            let again = parse::parse(&expression.to_string(), &NoNames);
            // Printed it may be longer than what may be read.
            assert!(text.len() > 256 || again == Ok(expression), "{text:?}");
        }
        Err(mistake) => {
            assert_said(&mistake);
            mistake.pointer().lines().for_each(|line| assert_said(&line));
        }
    }
}
