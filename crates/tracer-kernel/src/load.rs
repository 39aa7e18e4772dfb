//! Loads the programs and attaches them: with BTF where there is one, else the classic tracepoint.

mod accept;
mod attach;
mod error;
mod kernel_btf;
mod loader;
pub mod offsets;
mod rings;
mod settings;
pub mod types;
mod verify;

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
};

use aya::{
    Btf, Ebpf,
    maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{ProgramError, ProgramFd, TracePoint},
};
use aya_log::EbpfLogger;
use tracer_wire::{Counters, Filter, Offsets, Plain as _, RecordLayout, Settings, name};

pub use self::error::LoadError;
use self::{
    error::creation_failed,
    types::Types,
    verify::{Hook, Refused, Wanted},
};
use super::{
    feature::{self, Feature},
    limits, stacks, tracefs,
};
use tracer_event::{
    escape::without_numbers,
    header::{Degraded, Mode},
};

/// The eBPF half, put there by `build.rs`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer.bpf.o"));

/// What is to be loaded.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which programs; `None` for the best that work.
    pub mode: Option<Mode>,
    /// Decided in the kernel.
    pub filter: Filter,
    /// Size of the ring buffers together, bytes: a power of two, at least a page.
    pub buffer_size: u32,
    /// See who accepts connections, which makes other system calls slower.
    pub accept: bool,
    /// Remember the user stack of each connect() and accept().
    pub stacks: bool,
    /// Report retransmitted data too, not only SYN, SYN+ACK and FIN.
    pub retransmitted_data: bool,
    /// Let the programs log what they do.
    pub diagnostics: bool,
}

/// The attached programs and the maps they share with us.
pub struct Tracer {
    /// Keeps the programs attached.
    pub ebpf: Ebpf,
    /// The main program: the kernel counts how often it was skipped.
    pub main: ProgramFd,
    /// The other programs that report events, for the same reason. The guard is not among them: of
    /// what the kernel skipped there, the main program was shown all.
    pub others: Vec<ProgramFd>,
    /// Snapshots can be taken.
    pub has_iterators: bool,
    /// Records, of each CPU or of several.
    pub rings: Vec<RingBuf<MapData>>,
    /// See `tracer_wire::name::READER`.
    pub reader: Array<MapData, u32>,
    /// What was counted in the kernel.
    pub counters: PerCpuArray<MapData, PodCounters>,
    /// How events are obtained.
    pub mode: Mode,
    /// What does not work here.
    pub degraded: Vec<Degraded>,
    /// The programs' own log, if asked for.
    pub logger: Option<EbpfLogger<&'static dyn log::Log>>,
    /// The hooks on resets are attached.
    pub resets_traced: bool,
    /// A snapshot may miss a socket that is there, if others come and go around it.
    pub snapshots_skip: bool,
    /// The user stacks, if asked for.
    pub stacks: Option<stacks::Source>,
}

/// [`Counters`] for aya, whose trait cannot be implemented on a foreign type.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct PodCounters(pub Counters);

// SAFETY: integers only, see `tracer_wire::Plain`.
unsafe impl aya::Pod for PodCounters {}

/// Different stacks that are remembered: 1 KiB each, taken when the map is made.
const STACKS: u32 = 1 << 14;

/// The main program of each mode.
const MAIN_BTF: &str = "set_state";
const MAIN_CLASSIC: &str = "set_state_classic";
/// Taken where there are no cookies.
const DESTROY: &str = "destroy_sock";
/// The iterators.
pub(super) const SOCKETS: &str = "sockets";
pub(super) const HOLDERS: &str = "holders";

/// Name of the program, its target, and what it is for.
const ITERATORS: [(&str, &str, Feature); 2] =
    [(SOCKETS, "tcp", feature::SOCKETS), (HOLDERS, "task_file", feature::HOLDERS)];

/// Loads and attaches.
///
/// # Errors
///
/// Where no way to trace works; the message names each.
pub fn load(request: &Request) -> Result<Tracer, LoadError> {
    limits::memory(request.buffer_size)?;
    match request.mode {
        Some(Mode::Btf) => load_btf(request),
        Some(Mode::Tracepoint) => load_classic(request, "asked for by --mode".into()),
        None => load_btf(request).or_else(|btf| {
            load_classic(request, btf.to_string()).map_err(|tracepoint| LoadError::NoWay {
                btf: Box::new(btf),
                tracepoint: Box::new(tracepoint),
            })
        }),
    }
}

fn load_btf(request: &Request) -> Result<Tracer, LoadError> {
    let types = Types::read()?;
    let has_reason = types.has_reset_reason;
    let best = settings::best(has_reason, request.stacks, request.retransmitted_data);
    let returns = if request.accept { accept::returns(&types.offsets) } else { Vec::new() };
    let mut attempt = |settings| {
        let (mut ebpf, targets) = object_and_targets(request, &types, &settings)?;
        // The log's map has to be taken before the programs load.
        let logger = logger(request, &mut ebpf);
        let all = programs(&returns, &settings);
        let verify = |ebpf: &mut _| verify::load(ebpf, &all, &targets);
        let (rings, mut refused) = rings::create(&mut ebpf, request.buffer_size, verify)?;
        // First: of each end that is told, it is known whether a reset came before.
        let resets = attach::optional(&attach::RESETS, &mut ebpf, &mut refused, has_reason);
        attach::attach(&mut ebpf, MAIN_BTF, &mut refused)?;
        if settings.reads_addresses == 1 {
            // Without it is another attempt.
            refused.check(SOCKETS).map_err(|error| LoadError::program(SOCKETS, &error))?;
        }
        Ok((ebpf, rings, refused, logger, resets))
    };
    let ((mut ebpf, rings, mut refused, logger, resets), mut degraded) =
        settings::first_that_works(best, &mut attempt)?;
    let snapshots_skip = types.iterators_skip;
    // Before the ring buffers are mapped: not both at once.
    drop(types);
    if let Some(cookies) = degraded.iter_mut().find(|missing| feature::COOKIES.is_in(missing))
        && let Err(error) = attach::attach(&mut ebpf, DESTROY, &mut refused)
    {
        let further = "and what ended unseen can be taken for the next one there";
        cookies.lost = format!("{}, {further} ({error})", cookies.lost).into();
    }
    degraded.extend(resets);
    degraded.extend(attach::optional(&attach::OTHERS, &mut ebpf, &mut refused, has_reason));
    if request.accept {
        degraded.extend(accept::attach(&mut ebpf, &mut refused, &returns, request.stacks));
    }
    degraded.extend(missing_iterators(&mut refused));
    let tracer = finish(request, (ebpf, rings), Mode::Btf, degraded, logger)?;
    Ok(Tracer { snapshots_skip, ..tracer })
}

fn missing_iterators(refused: &mut Refused) -> impl Iterator<Item = Degraded> {
    ITERATORS.into_iter().filter_map(|(program, _, feature)| {
        let error = refused.check(program).err()?;
        let reason = LoadError::program(program, &error).to_string();
        Some(feature.missing(reason, "use Linux 5.9 or later"))
    })
}

/// All that is loaded, what takes the verifier longest first. The iterators are attached for each
/// snapshot.
fn programs(returns: &[accept::Return], settings: &Settings) -> Vec<Vec<Wanted>> {
    let main = (MAIN_BTF, Hook::Typed("inet_sock_set_state"));
    let mut optional =
        attach::optional_ones().map(|&(program, tracepoint, _)| (program, Hook::Typed(tracepoint)));
    let guard = optional.next();
    let destroy = (DESTROY, Hook::Typed("tcp_destroy_sock"));
    let destroy = (settings.has_cookie_helper == 0).then_some(destroy);
    let others = [main].into_iter().chain(guard).chain(iterators()).chain(optional).chain(destroy);
    accept::wanted(returns).into_iter().chain(others.map(|one| vec![one])).collect()
}

fn iterators() -> [Wanted; 2] {
    ITERATORS.map(|(program, target, _)| (program, Hook::Iterator(target)))
}

/// Loads only what snapshots need; nothing is attached.
///
/// # Errors
///
/// Where the kernel has no BTF or refuses the iterators.
pub fn load_iterators_only() -> Result<Ebpf, LoadError> {
    let request = Request {
        mode: Some(Mode::Btf),
        filter: Filter::default(),
        buffer_size: rustix::param::page_size() as u32,
        accept: false,
        stacks: false,
        retransmitted_data: false,
        diagnostics: false,
    };
    let types = Types::read()?;
    let mut attempt = |settings| {
        let (mut ebpf, targets) = object_and_targets(&request, &types, &settings)?;
        // Without holders the list is still worth having.
        let mut refused = verify::load(&mut ebpf, &iterators().map(|one| vec![one]), &targets);
        refused.check(SOCKETS).map_err(|error| LoadError::program(SOCKETS, &error))?;
        Ok(ebpf)
    };
    let best = Settings { has_cookie_helper: 1, reads_addresses: 1, ..Settings::default() };
    settings::first_that_works(best, &mut attempt).map(|(ebpf, _)| ebpf)
}

fn load_classic(request: &Request, reason: String) -> Result<Tracer, LoadError> {
    let layout = tracefs::record_layout()?;
    let settings = Settings::default();
    let mut ebpf = object(request, &Offsets::NONE, &settings, &layout)?;
    let (rings, ()) = rings::create(&mut ebpf, request.buffer_size, |_| ())?;
    let logger = logger(request, &mut ebpf);
    let program = verify::loaded::<TracePoint>(&mut ebpf, MAIN_CLASSIC, &mut Refused::default());
    let attached = program.and_then(|program| {
        program.load()?;
        program.attach("sock", "inet_sock_set_state")
    });
    attached.map_err(|error| LoadError::program(MAIN_CLASSIC, &error))?;
    let mut degraded =
        vec![feature::BTF.missing(reason, "use a kernel with CONFIG_DEBUG_INFO_BTF")];
    if request.stacks {
        degraded.push(settings::no_stacks("the classic tracepoint is in use".into()));
    }
    finish(request, (ebpf, rings), Mode::Tracepoint, degraded, logger)
}

/// The object, and what its programs are attached to: side by side, as neither needs the other.
fn object_and_targets(
    request: &Request,
    types: &Types,
    settings: &Settings,
) -> Result<(Ebpf, Btf), LoadError> {
    thread::scope(|scope| {
        let maker = thread::Builder::new().name("tracer-loader".into());
        let maker = maker.spawn_scoped(scope, || types.targets.for_aya());
        let ebpf = object(request, &types.offsets, settings, &RecordLayout::default())?;
        // Where no thread can be started, this one does all the work.
        let targets = maker.ok().and_then(|maker| maker.join().ok());
        let targets = targets.unwrap_or_else(|| types.targets.for_aya());
        Ok((ebpf, targets.map_err(|error| LoadError::Object(error.to_string()))?))
    })
}

/// The object with its constants filled in and its maps created.
fn object(
    request: &Request,
    offsets: &Offsets,
    settings: &Settings,
    layout: &RecordLayout,
) -> Result<Ebpf, LoadError> {
    // Three levels up from silence: what the programs have to say is for developers.
    const DEBUG: u8 = aya_log::Level::Debug as u8;
    let level: &'static u8 = if request.diagnostics { &DEBUG } else { &0 };
    // The programs have no relocations by BTF: they get the offsets of members from here.
    loader::new()
        .btf(None)
        .override_global(name::OFFSETS, offsets.as_bytes(), true)
        .override_global(name::SETTINGS, settings.as_bytes(), true)
        .override_global(name::FILTER, request.filter.as_bytes(), true)
        .override_global(name::RECORD_LAYOUT, layout.as_bytes(), true)
        .override_global(aya_log::LEVEL, level, true)
        .map_max_entries(name::EVENTS, rings::places())
        .map_max_entries(name::STACKS, if settings.stacks == 1 { STACKS } else { 1 })
        .load(OBJECT)
        .map_err(|error| LoadError::Object(creation_failed(&error)))
}

fn logger(request: &Request, ebpf: &mut Ebpf) -> Option<EbpfLogger<&'static dyn log::Log>> {
    request.diagnostics.then(|| EbpfLogger::init(ebpf).ok()).flatten()
}

/// Starts the reader of symbols; without it there are no stacks.
fn symbols(
    ebpf: &mut Ebpf,
    degraded: &mut Vec<Degraded>,
) -> Result<Option<stacks::Source>, LoadError> {
    let failed = |error| {
        let reason = format!("the process that reads symbols cannot be started: {error}");
        degraded.push(settings::no_stacks(without_numbers(&reason)));
        None
    };
    Ok(stacks::Source::start(take(ebpf, name::STACKS)?).map_or_else(failed, Some))
}

fn finish(
    request: &Request,
    (mut ebpf, rings): (Ebpf, Vec<MapData>),
    mode: Mode,
    mut degraded: Vec<Degraded>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
) -> Result<Tracer, LoadError> {
    for missing in &mut degraded {
        missing.reason = without_numbers(&missing.reason);
    }
    let works = |feature: Feature| {
        mode == Mode::Btf && !degraded.iter().any(|missing| feature.is_in(missing))
    };
    let has_iterators = works(feature::SOCKETS);
    let resets_traced = works(feature::RECEIVE_RESET) && works(feature::SEND_RESET);
    let has_stacks = request.stacks && works(feature::STACKS);
    let descriptor = |program| {
        let program = ebpf.program(program).ok_or(ProgramError::NotLoaded)?;
        Ok(program.fd()?.try_clone()?)
    };
    let main = if mode == Mode::Btf { MAIN_BTF } else { MAIN_CLASSIC };
    let main = descriptor(main).map_err(|error| LoadError::program("main", &error))?;
    let others = attach::optional_ones().filter(|(program, ..)| *program != attach::GUARD);
    let others = others.filter_map(|(program, ..)| descriptor(program).ok()).collect();
    let rings = rings.into_iter().map(|ring| RingBuf::try_from(Map::RingBuf(ring)));
    let rings = rings.collect::<Result<_, _>>();
    let rings = rings.map_err(|source| LoadError::Map { map: name::EVENTS, source })?;
    let reader = take(&mut ebpf, name::READER)?;
    let counters = take(&mut ebpf, name::COUNTERS)?;
    let stacks = if has_stacks { symbols(&mut ebpf, &mut degraded)? } else { None };
    Ok(Tracer {
        ebpf,
        main,
        others,
        has_iterators,
        rings,
        reader,
        counters,
        mode,
        degraded,
        logger,
        resets_traced,
        snapshots_skip: true,
        stacks,
    })
}

fn take<T: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    map: &'static str,
) -> Result<T, LoadError> {
    let missing = || LoadError::Object(format!("the object has no map {map}"));
    let taken = ebpf.take_map(map).ok_or_else(missing)?;
    taken.try_into().map_err(|source| LoadError::Map { map, source })
}

/// What was counted on all CPUs of a kind of record.
pub fn counters(map: &PerCpuArray<MapData, PodCounters>, kind: u8) -> Counters {
    let mut sum = Counters::default();
    if let Ok(values) = map.get(&u32::from(kind), 0) {
        for PodCounters(Counters { seen, submitted, ring_full }) in values.iter() {
            sum.seen += seen;
            sum.submitted += submitted;
            sum.ring_full += ring_full;
        }
    }
    sum
}

/// How often the kernel skipped a program because it was running on that CPU
/// (`recursion_misses` of the program, 5.12 and later; 0 where the kernel does not say).
pub fn recursion_misses(program: &ProgramFd) -> u64 {
    let fd = program.as_fd().as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
        .unwrap_or(0)
}
