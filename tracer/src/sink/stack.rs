//! Stacks in words: a line a call.

use std::{borrow::Cow, sync::Arc};

use super::{escape::harmless, text::grouped};
use crate::model::stack::{Frame, Gap, Stack};

/// Calls shown; those at the far end start the program or the thread.
const SHOWN: usize = 12;

/// The calls of a stack, the last one first, and what is missing.
pub fn lines(stack: &Stack) -> Vec<String> {
    let mut lines: Vec<String> = stack.frames.iter().take(SHOWN).map(frame).collect();
    if stack.frames.len() > SHOWN {
        lines.push(format!("… {} more", grouped((stack.frames.len() - SHOWN) as u64)));
    }
    lines.extend(gap(stack));
    lines
}

/// What a stack does not tell, and why.
pub fn gap(stack: &Stack) -> Option<String> {
    let words = match stack.gap? {
        Gap::Ended => "no names: the process had ended before they were looked up".into(),
        Gap::Cut => format!(
            "(stack ends after {} frame{}: built without frame pointers \
             (-fno-omit-frame-pointer))",
            stack.frames.len(),
            if stack.frames.len() == 1 { "" } else { "s" },
        ),
        Gap::Caller => {
            "(who calls the first of these is missing: it is in a library without frame \
                        pointers)"
                .into()
        }
        Gap::Lost => "the kernel has no stack under this number any more".into(),
        Gap::NotRegular => "no names: what the process runs is not a regular file".into(),
        Gap::Fuse => {
            "no names: what the process runs is on FUSE, a file system that a process serves".into()
        }
        Gap::TooLong => "no names: reading the program's symbols took too long".into(),
        Gap::Died => "no names: the program's symbols are damaged or take too much memory".into(),
        Gap::Late => "no names: they were not read in time".into(),
        Gap::Refused => {
            "no names: reading symbols of this owner's programs has failed, and is tried again later"
                .into()
        }
        Gap::NoReader => "no names: the process that reads symbols has ended".into(),
    };
    Some(words)
}

/// `serve at src/main.rs:12`; `libc.so.6+0x10a3f0` where there are no symbols.
fn frame(frame: &Frame) -> String {
    let place = place(frame);
    match (&frame.function, &frame.file, frame.line) {
        (Some(function), Some(file), Some(line)) => format!("{function} at {file}:{line}"),
        (Some(function), Some(file), None) => format!("{function} at {file}"),
        (Some(function), None, _) => format!("{function} in {place}"),
        (None, ..) => place,
    }
}

fn place(Frame { module, offset, .. }: &Frame) -> String {
    let module = module.as_ref().map(|path| path.rsplit('/').next().unwrap_or_default());
    module.map_or_else(|| format!("{offset:#x}"), |name| format!("{name}+{offset:#x}"))
}

/// A call, as JSON.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct FrameBody<'a> {
    /// Its name, where there are symbols.
    pub(crate) function: Option<Cow<'a, str>>,
    /// Path of the program or library, where known.
    pub(crate) module: Option<Cow<'a, str>>,
    /// Where in that file; without one the address.
    pub(crate) offset: u64,
    /// Path of the source, where there is debug information.
    pub(crate) file: Option<Cow<'a, str>>,
    /// Line in it.
    pub(crate) line: Option<u32>,
}

impl FrameBody<'_> {
    /// Without a borrow.
    pub(crate) fn into_owned(self) -> FrameBody<'static> {
        let Self { function, module, offset, file, line } = self;
        let text = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        FrameBody { function: text(function), module: text(module), offset, file: text(file), line }
    }
}

impl<'a> From<&'a Frame> for FrameBody<'a> {
    fn from(Frame { function, module, offset, file, line }: &'a Frame) -> Self {
        let text = |text: &'a Option<Arc<str>>| text.as_deref().map(harmless);
        Self {
            function: text(function),
            module: text(module),
            offset: *offset,
            file: text(file),
            line: *line,
        }
    }
}

/// The calls of a stack as JSON.
pub fn frames(stack: &Stack) -> Vec<FrameBody<'_>> {
    stack.frames.iter().map(FrameBody::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(function: Option<&str>, file: Option<&str>, line: Option<u32>) -> Frame {
        Frame {
            function: function.map(Into::into),
            module: Some("/opt/app/server".into()),
            offset: 0x1234,
            file: file.map(Into::into),
            line,
        }
    }

    #[test]
    fn a_call_is_named_as_far_as_it_is_known() {
        let frames = vec![
            named(Some("serve"), Some("src/main.rs"), Some(12)),
            named(Some("serve"), None, None),
            named(None, None, None),
            Frame { module: None, ..named(None, None, None) },
        ];
        let stack = Stack { frames, gap: Some(Gap::Ended) };
        assert_eq!(
            lines(&stack),
            [
                "serve at src/main.rs:12",
                "serve in server+0x1234",
                "server+0x1234",
                "0x1234",
                "no names: the process had ended before they were looked up",
            ]
        );
    }

    #[test]
    fn a_stack_that_was_cut_says_what_to_do() {
        let stack = Stack { frames: vec![named(Some("accept4"), None, None)], gap: Some(Gap::Cut) };
        let words = gap(&stack).unwrap();
        assert_eq!(
            words,
            "(stack ends after 1 frame: built without frame pointers (-fno-omit-frame-pointer))"
        );
        let frames = vec![named(Some("recurse"), None, None); 20];
        assert_eq!(lines(&Stack { frames, gap: None }).last().unwrap(), "… 8 more");
    }
}
