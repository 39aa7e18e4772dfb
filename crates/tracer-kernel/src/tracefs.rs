//! What tracefs describes: the classic tracepoint's record layout, from its `format` file, and which
//! events there are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracer_wire::RecordLayout;

/// Where tracefs is mounted, or debugfs with it inside.
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const EVENT: &str = "sock/inet_sock_set_state";

/// One of the events that report accept().
pub const ACCEPT: &str = "syscalls/sys_exit_accept4";

/// Why an event cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TracefsError {
    /// Nothing at the usual places.
    #[error("tracefs is not mounted: mount -t tracefs tracefs {}", MOUNTS[0])]
    NotMounted,
    /// No read access.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The record is not laid out as expected.
    #[error("events/{EVENT}/format describes no field {0:?}")]
    Field(&'static str),
    /// This kernel has no such event.
    #[error("this kernel has no event {0}")]
    NoEvent(&'static str),
}

/// Reads the layout of the running kernel.
///
/// # Errors
///
/// Where tracefs is not mounted, not readable, or describes another record.
pub fn record_layout() -> Result<RecordLayout, TracefsError> {
    parse(&read(EVENT, "format")?)
}

/// Whether an event can be attached to: its number can be read.
///
/// # Errors
///
/// Where tracefs is not mounted, not readable, or has no such event.
pub fn has_event(event: &'static str) -> Result<(), TracefsError> {
    read(event, "id").map(drop)
}

/// A file of an event, wherever tracefs is mounted.
fn read(event: &'static str, file: &str) -> Result<String, TracefsError> {
    let mut refused = TracefsError::NotMounted;
    for mount in MOUNTS {
        let events = Path::new(mount).join("events");
        let path = events.join(event).join(file);
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(text),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                refused = TracefsError::Read { path, source };
            }
            Err(_) if events.is_dir() => refused = TracefsError::NoEvent(event),
            Err(_) => {}
        }
    }
    Err(refused)
}

/// Reads lines like `field:__u16 sport; offset:24; size:2; signed:0;`, with tabs.
pub fn parse(format: &str) -> Result<RecordLayout, TracefsError> {
    let field = |name: &'static str| {
        format.lines().find_map(|line| find(line, name)).ok_or(TracefsError::Field(name))
    };
    let offset = |name| field(name).map(|(offset, _)| offset);
    let (protocol, protocol_size) = field("protocol")?;
    Ok(RecordLayout {
        skaddr: offset("skaddr")?,
        oldstate: offset("oldstate")?,
        newstate: offset("newstate")?,
        sport: offset("sport")?,
        dport: offset("dport")?,
        family: offset("family")?,
        protocol,
        protocol_size,
        saddr: offset("saddr")?,
        daddr: offset("daddr")?,
        saddr_v6: offset("saddr_v6")?,
        daddr_v6: offset("daddr_v6")?,
    })
}

/// Offset and size of the field `name`, if `line` describes it.
fn find(line: &str, name: &str) -> Option<(u32, u32)> {
    let mut parts = line.split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    let declared = declaration.rsplit([' ', '*']).next()?;
    if declared.split('[').next()? != name {
        return None;
    }
    let mut value = |key: &str| parts.find_map(|part| part.strip_prefix(key)?.parse().ok());
    let (offset, size): (u32, u32) = (value("offset:")?, value("size:")?);
    // The largest record of a trace event is a page; anything else is no format file.
    (offset < 4096 && size <= 16).then_some((offset, size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of Linux 6.18.
    const FORMAT: &str = "name: inet_sock_set_state
ID: 1234
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;
\tfield:int newstate;\toffset:20;\tsize:4;\tsigned:1;
\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;
\tfield:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;
\tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;
\tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;
\tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;
\tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;
\tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;

print fmt: \"family=%s\", REC->family
";

    #[test]
    fn the_format_file_is_understood() {
        let layout = parse(FORMAT).unwrap();
        assert_eq!((layout.skaddr, layout.sport, layout.daddr_v6), (8, 24, 56));
        assert_eq!((layout.protocol, layout.protocol_size), (30, 2));
    }

    #[test]
    fn a_missing_field_is_named() {
        let without = FORMAT.replace("saddr_v6", "elsewhere");
        assert_eq!(
            parse(&without).unwrap_err().to_string(),
            "events/sock/inet_sock_set_state/format describes no field \"saddr_v6\""
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in ".{0,300}") {
            let _ = parse(&text);
        }
    }
}
