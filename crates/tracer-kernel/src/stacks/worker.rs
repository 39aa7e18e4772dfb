//! Reads what a process has mapped, and the symbols of these files, in a process that may be lost.
//!
//! Whoever owns the files and the file systems decides what happens here: reading may never come to
//! an end, files may be cut short while they are mapped, sections may be of any size. Nothing of it
//! is waited for elsewhere ([`super::reader`]).
//!
//! Files are opened first, with the privileges that takes, and only where they are regular; then
//! all privileges but that of reading are given up, and only then is anything parsed.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer, source};
use hashbrown::HashMap;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, openat, statx},
    process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit},
};

use super::{
    maps::{FileId, Mapping, Maps, bounded},
    perf_map, prologue,
    protocol::{Function, Job, Line, Names},
};
use crate::{confine, mounts, process::is_same};
use tracer_event::{escape::escape, process::Process, stack::Gap};

/// Memory of its own, bytes; files that are mapped take none.
const MEMORY: u64 = 256 << 20;
/// Addresses that may be mapped, bytes.
const ADDRESSES: u64 = 64 << 30;
/// Seconds of a processor.
const CPU: u64 = 8;
/// Descriptors.
const FILES: u64 = 256;
/// Bytes of `/proc/PID/maps` that are read.
const MAPS: u64 = 16 << 20;
/// Where distributions put debug information.
const DEBUG_DIRECTORIES: [&str; 2] = ["/usr/lib/debug", "/lib/debug"];

/// Does a job; all that it finds is written line by line.
pub(super) fn work(job: &Job, mut out: impl Write) -> io::Result<()> {
    limit();
    let mut say = |line: &Line| {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        out.write_all(&text)
    };
    let process = Process { pid: job.pid, comm: [0; 16], start_ns: job.start_ns };
    if let Some(maps) = maps_of(&process) {
        let line = Line::Maps(maps);
        say(&line)?;
        if let Line::Maps(maps) = &line
            && !job.stacks.is_empty()
        {
            let files = Files::open(job, maps);
            confine::confine_reading(&files.readable());
            let symbols = Symbols::new(maps, &files, &job.stacks);
            for stack in &job.stacks {
                say(&Line::Names(symbols.of(stack)))?;
            }
        }
    }
    say(&Line::End)
}

/// Whatever happens, it ends soon and takes little with it.
fn limit() {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    for (resource, most) in [
        (Resource::Data, MEMORY),
        (Resource::As, ADDRESSES),
        (Resource::Cpu, CPU),
        (Resource::Nofile, FILES),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ] {
        // Where less is allowed already, that stays.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

fn maps_of(process: &Process) -> Option<Maps> {
    if !is_same(process) {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(format!("/proc/{}/maps", process.pid)).ok()?;
    file.take(MAPS).read_to_end(&mut text).ok()?;
    // Another process may have got the number meanwhile; and one that has ended keeps its number, but
    // no memory, until its parent asks for its status.
    (is_same(process) && !text.is_empty()).then(|| Maps::parse(&text))
}

/// What is mapped at the addresses of a job, open for reading.
struct Files {
    mapped: HashMap<FileId, Result<File, Gap>>,
    /// Names of code that is in no file, where the process has some.
    perf_map: Option<File>,
}

impl Files {
    fn open(job: &Job, maps: &Maps) -> Self {
        let mounts = fs::read(format!("/proc/{}/mountinfo", job.pid)).unwrap_or_default();
        let mut mapped = HashMap::new();
        let mut is_compiled = false;
        for (mapping, _) in job.stacks.iter().flatten().filter_map(|&address| maps.at(address)) {
            is_compiled |= mapping.is_compiled();
            if mapping.file.inode != 0 {
                let file = || open(job.pid, mapping, &mounts);
                mapped.entry(mapping.file).or_insert_with(file);
            }
        }
        let perf_map = is_compiled.then(|| perf_map::open(job.pid, &mounts)).flatten();
        Self { mapped, perf_map }
    }

    fn get(&self, mapping: &Mapping) -> Option<Result<&File, Gap>> {
        Some(self.mapped.get(&mapping.file)?.as_ref().map_err(|gap| *gap))
    }

    /// These files, and the directories in which there may be files with debug information.
    fn readable(&self) -> Vec<PathBuf> {
        let own = self.mapped.values().flatten().map(path);
        let beside = own.clone().filter_map(|path| fs::read_link(path).ok());
        let beside = beside.filter_map(|path| path.parent().map(Path::to_owned));
        own.chain(beside).chain(DEBUG_DIRECTORIES.map(PathBuf::from)).collect()
    }
}

/// A path by which an open file can be opened once more.
fn path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Opens what is mapped, wherever the root of the process is and whatever its name leads to now;
/// without the capability that this takes, by its name.
fn open(pid: u32, mapping: &Mapping, mounts: &[u8]) -> Result<File, Gap> {
    let Mapping { start, end, path, .. } = mapping;
    let by_address = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
    let by_name = format!("/proc/{pid}/root{path}");
    // Nothing of the file itself is asked yet: O_PATH opens no device and waits for no writer.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat(CWD, by_address, flags, Mode::empty())
        .or_else(|_| openat(CWD, by_name, flags, Mode::empty()))
        .map_err(|_| Gap::NotRegular)?;
    check(&found, mapping, mounts)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = openat(CWD, again, flags, Mode::empty()).map_err(|_| Gap::NotRegular)?;
    Ok(file.into())
}

/// Whether it is the file that is mapped, regular, and answered for by the kernel.
fn check(found: &OwnedFd, mapping: &Mapping, mounts: &[u8]) -> Result<(), Gap> {
    // What is known without asking whoever serves the file system.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = statx(found.as_fd(), "", flags, StatxFlags::TYPE | StatxFlags::INO)
        .map_err(|_| Gap::NotRegular)?;
    let FileId { major, minor, inode } = mapping.file;
    if FileType::from_raw_mode(known.stx_mode.into()) != FileType::RegularFile
        || known.stx_ino != inode
    {
        return Err(Gap::NotRegular);
    }
    let device = format!("{major}:{minor}");
    if mounts::is_fuse(mounts, device.as_bytes()) { Err(Gap::Fuse) } else { Ok(()) }
}

/// But for the first, addresses of a stack are those of the instruction after a call.
fn call((index, address): (usize, &u64)) -> u64 {
    address.saturating_sub(u64::from(index > 0))
}

/// Finds names in files.
struct Symbols<'a> {
    maps: &'a Maps,
    files: &'a Files,
    /// By the address of the call.
    compiled: HashMap<u64, String>,
    symbolizer: Symbolizer,
}

impl<'a> Symbols<'a> {
    fn new(maps: &'a Maps, files: &'a Files, stacks: &[Vec<u64>]) -> Self {
        let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
        let calls = || stacks.iter().flat_map(|stack| stack.iter().enumerate().map(call));
        let file = files.perf_map.as_ref();
        let compiled = file.map(|file| perf_map::names(file, calls().collect()));
        Self { maps, files, compiled: compiled.unwrap_or_default(), symbolizer }
    }

    fn of(&self, stack: &[u64]) -> Names {
        let mut names = Names::default();
        for (index, &address) in stack.iter().enumerate() {
            let call = call((index, &address));
            let functions = match self.find(call) {
                Some(Ok((file, offset))) => {
                    self.named(file, offset, index == 0, &mut names.skips_caller)
                }
                Some(Err(gap)) => {
                    names.gap = names.gap.or(Some(gap));
                    Vec::new()
                }
                None => self.compiled(call, &mut names.gap),
            };
            names.functions.push(functions);
        }
        if is_interpreted(&names.functions) {
            names.gap = names.gap.or(Some(Gap::Interpreted));
        }
        names
    }

    /// The function of a runtime that has compiled it.
    fn compiled(&self, call: u64, gap: &mut Option<Gap>) -> Vec<Function> {
        if !self.maps.at(call).is_some_and(|(mapping, _)| mapping.is_compiled()) {
            return Vec::new();
        }
        let name = self.compiled.get(&call);
        if name.is_none() {
            *gap = gap.or(Some(Gap::Compiled));
        }
        name.map(|name| Function { name: name.clone(), file: None, line: None })
            .into_iter()
            .collect()
    }

    fn find(&self, address: u64) -> Option<Result<(&File, u64), Gap>> {
        let (mapping, offset) = self.maps.at(address)?;
        Some(self.files.get(mapping)?.map(|file| (file, offset)))
    }

    fn named(
        &self,
        file: &File,
        offset: u64,
        is_first: bool,
        skips_caller: &mut bool,
    ) -> Vec<Function> {
        let source = source::Source::Elf(source::Elf::new(path(file)));
        let found = self.symbolizer.symbolize(&source, Input::FileOffset(&[offset]));
        let Some(Symbolized::Sym(symbol)) = found.ok().and_then(|mut found| found.pop()) else {
            return Vec::new();
        };
        let start = offset.checked_sub(symbol.offset as u64);
        *skips_caller |= is_first && start.is_some_and(|start| !prologue::keeps_frame(file, start));
        functions(&symbol)
    }
}

/// Functions that stand for those that they interpret: of node without
/// `--interpreted-frames-native-stack`, of the JVM in a perf map, of Python.
const INTERPRETERS: [&str; 3] =
    ["Builtins_InterpreterEntryTrampoline", "Interpreter", PYTHON_INTERPRETER];
const PYTHON_INTERPRETER: &str = "_PyEval_EvalFrameDefault";
/// With `-X perf` each function of Python is called by one with its name, beside the interpreter.
const PYTHON_FUNCTION: &str = "py::";

/// Whether functions of a stack are hidden behind their interpreter.
fn is_interpreted(stack: &[Vec<Function>]) -> bool {
    let names = || stack.iter().flatten().map(|function| function.name.as_str());
    let interprets = |name: &str| match name {
        PYTHON_INTERPRETER => !names().any(|name| name.starts_with(PYTHON_FUNCTION)),
        name => INTERPRETERS.contains(&name),
    };
    names().any(interprets)
}

/// A function and those that the compiler has put into it, the innermost first.
fn functions(symbol: &Sym<'_>) -> Vec<Function> {
    let inlined = symbol.inlined.iter().rev();
    let inlined = inlined.map(|function| (&function.name, function.code_info.as_ref()));
    let outermost = (&symbol.name, symbol.code_info.as_deref());
    let function = |(name, code): (&std::borrow::Cow<'_, str>, Option<&CodeInfo<'_>>)| Function {
        name: bounded(&escape(name.as_bytes())),
        file: code.map(|code| bounded(&escape(place(code).as_os_str().as_encoded_bytes()))),
        line: code.and_then(|code| code.line),
    };
    inlined.chain([outermost]).map(function).collect()
}

fn place(code: &CodeInfo<'_>) -> PathBuf {
    code.dir.as_deref().unwrap_or(Path::new("")).join(&code.file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use rstest::rstest;

    use super::*;
    use crate::process::Stat;

    fn mapping_of(path: &Path) -> Mapping {
        let found = fs::metadata(path).unwrap();
        let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
        let file = FileId { major, minor, inode: found.ino() };
        let path = path.to_str().unwrap().into();
        // Nothing is mapped there: it is found by its name.
        Mapping { start: 1, end: 2, offset: 0, path, file }
    }

    #[rstest]
    #[case(&["connect", "Builtins_InterpreterEntryTrampoline"], true)]
    #[case(&["connect", "JS:~internalConnect node:net:1038:25"], false)]
    #[case(&["Interpreter", "call_stub"], true)]
    #[case(&["_PyEval_EvalFrameDefault", "main"], true)]
    #[case(&["_PyEval_EvalFrameDefault", "py::serve:/srv/app.py", "main"], false)]
    fn functions_are_hidden_behind_their_interpreter(#[case] names: &[&str], #[case] hidden: bool) {
        let function =
            |name: &&str| vec![Function { name: (*name).into(), file: None, line: None }];
        assert_eq!(is_interpreted(&names.iter().map(function).collect::<Vec<_>>()), hidden);
    }

    #[test]
    fn who_has_ended_has_nothing_mapped_although_the_number_is_there() {
        let process = |pid| {
            let ticks = Stat::of(pid).unwrap().start_ticks;
            let start_ns = ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second();
            Process { pid, comm: [0; 16], start_ns }
        };
        assert!(maps_of(&process(std::process::id())).is_some());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = process(child.id());
        while !fs::read(format!("/proc/{}/maps", ended.pid)).unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert!(is_same(&ended), "its number is there");
        assert!(maps_of(&ended).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn only_regular_files_are_opened_and_only_those_that_are_mapped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"text").unwrap();
        let mapping = mapping_of(&file);
        let open = |mounts: &[u8]| open(std::process::id(), &mapping, mounts).map(drop);
        assert_eq!(open(b""), Ok(()));
        let FileId { major, minor, .. } = mapping.file;
        let fuse = format!("1 2 {major}:{minor} / / rw - fuse.sshfs x rw\n");
        assert_eq!(open(fuse.as_bytes()), Err(Gap::Fuse));
        fs::remove_file(&file).unwrap();
        assert_eq!(open(b""), Err(Gap::NotRegular));
        fs::write(directory.path().join("other"), b"takes the inode").unwrap();
        rustix::fs::mkfifoat(CWD, &file, Mode::RWXU).unwrap();
        assert_eq!(open(b""), Err(Gap::NotRegular), "another file");
        let fifo = mapping_of(&file);
        assert_eq!(super::open(std::process::id(), &fifo, b"").map(drop), Err(Gap::NotRegular));
    }
}
