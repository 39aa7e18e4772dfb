//! `host` and `feature`: what works here (`tracer features --format json`).

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use super::header::Mode;

/// The kernel and the privileges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Host<'a> {
    /// Release of the kernel.
    pub kernel: Cow<'a, str>,
    /// How events are got; null where they cannot be got at all.
    pub mode: Option<Mode>,
    /// The kernel's lockdown mode; null where it is not known.
    pub lockdown: Option<Cow<'a, str>>,
    /// The capabilities that `tracer features` has.
    pub capabilities: Cow<'a, [String]>,
}

/// Something that may work or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Feature<'a> {
    /// Its name.
    pub feature: Cow<'a, str>,
    /// Whether it works.
    pub available: bool,
    /// What cannot be had where it does not.
    pub lost: Cow<'a, str>,
    /// Why it does not work.
    pub reason: Option<Cow<'a, str>>,
    /// How to get it; null where it works, or where another feature is to be got first.
    pub remedy: Option<Cow<'a, str>>,
}
