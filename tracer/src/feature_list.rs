//! What works here, for people and for machines.

use std::{borrow::Cow, io::Write as _};

use crate::features::{Missing, Survey, Tried};
use tracer_event::{
    features::{Feature, Host},
    header::Mode,
    wall_clock::WallClock,
};
use tracer_output::{
    json::Bare,
    phrase,
    phrases::said,
    stamps::Stamps,
    text::Palette,
    width::{columns, padded},
    wrap::broken,
};
use tracer_texts::Texts;

/// What there is, in three lines; below them what is missing, what is lost without it, why, and how
/// to get it. Words go on below themselves on a terminal that is as narrow as `width`; commands
/// stay whole. Without texts in English.
///
/// # Errors
///
/// Those of `out`.
pub fn text(
    survey: &Survey,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let Survey { kernel, mode, features, .. } = survey;
    let missing: Vec<&Tried> = features.iter().filter(|tried| tried.missing.is_some()).collect();
    let (total, some, bad) = (features.len(), missing.len(), palette.warning);
    let (style, words) = match some {
        0 => (
            palette.open,
            phrase!(texts, "screen-all", [total], "all {total} features are available"),
        ),
        _ => (
            bad,
            phrase!(texts, "screen-some", [some, total], "{some} of {total} features missing"),
        ),
    };
    writeln!(out, "{style}{words}{style:#}")?;
    writeln!(out, "{} Linux {kernel}", padded(said(texts, "kernel"), 8))?;
    writeln!(out, "{} {}", padded(said(texts, "tracing"), 8), traced(*mode, texts))?;
    let labels = [said(texts, "if missing"), said(texts, "to get it")];
    let indent = 2 + labels.map(columns).into_iter().max().unwrap_or(0) + 2;
    let [without, to_get_it] = labels.map(|label| padded(&format!("  {label}:"), indent));
    for Tried { feature, missing } in &missing {
        let Some(Missing { reason, remedy }) = missing else { continue };
        let name = said(texts, feature.name);
        let title = phrase!(texts, "screen-lacks", [name], "no {name}:");
        let words = below(2, &format!("{title} {}", said(texts, reason)), width);
        let reason = words.strip_prefix(&title).unwrap_or(&words);
        writeln!(out, "\n{bad}{title}{bad:#}{reason}")?;
        writeln!(out, "{without}{}", below(indent, said(texts, feature.lost), width))?;
        if let Some(remedy) = remedy {
            writeln!(out, "{to_get_it}{}", got(remedy, indent, texts, width))?;
        }
    }
    at_once(survey, texts, out)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = said(texts, "the whole list");
    writeln!(out, "\n{}{list}: tracer features -v{:#}", palette.dim, palette.dim)
}

/// The command for all privileges that are missing.
fn at_once(survey: &Survey, texts: Option<&Texts>, out: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(all) = &survey.all else { return Ok(()) };
    writeln!(out, "\n{}:\n  {all}", said(texts, "all that takes privileges, at once"))
}

/// Words that begin behind `indent` columns and go on below themselves.
fn below(indent: usize, words: &str, width: Option<usize>) -> String {
    let room = width.map(|width| width.saturating_sub(indent).max(20));
    broken(words, room).join(&format!("\n{:indent$}", ""))
}

/// How to get what is missing: a command stays whole, advice does not.
fn got(remedy: &str, indent: usize, texts: Option<&Texts>, width: Option<usize>) -> String {
    let words = said(texts, remedy);
    if remedy.starts_with("use ") { below(indent, words, width) } else { words.to_owned() }
}

fn traced(mode: Option<Mode>, texts: Option<&Texts>) -> &str {
    let words = match mode {
        Some(Mode::Btf) => "with BTF: all that the kernel knows of a socket",
        Some(Mode::Tracepoint) => "by the classic tracepoint: addresses, ports and states",
        None => "not possible",
    };
    said(texts, words)
}

/// One line a feature; below those that are missing, why, and how to get them.
///
/// # Errors
///
/// Those of `out`.
pub fn whole(
    survey: &Survey,
    texts: Option<&Texts>,
    (palette, width): (Palette, Option<usize>),
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    about_host(survey, texts, width, out)?;
    let name = |tried: &Tried| said(texts, tried.feature.name).to_owned();
    let (features, dim) = (&survey.features, palette.dim);
    let names = features.iter().map(|tried| columns(&name(tried))).max().unwrap_or(0);
    let [no, yes] = ["no", "yes"].map(|answer| said(texts, answer));
    let answers = columns(no).max(columns(yes));
    let indent = answers + 2 + names + 2;
    let labelled = |label, words| format!("{}: {}", said(texts, label), said(texts, words));
    for tried in features {
        let Tried { feature, missing } = tried;
        let (answer, style) =
            if missing.is_some() { (no, palette.warning) } else { (yes, palette.plain) };
        let (answer, name) = (padded(answer, answers), padded(&name(tried), names));
        let lost = below(indent, &labelled("if missing", feature.lost), width);
        writeln!(out, "{style}{answer}{style:#}  {name}  {dim}{lost}{dim:#}")?;
        let Some(Missing { reason, remedy }) = missing else { continue };
        writeln!(out, "{:indent$}{}", "", below(indent, &labelled("why", reason), width))?;
        if let Some(remedy) = remedy {
            let label = format!("{}: ", said(texts, "to get it"));
            let words = got(remedy, indent + columns(&label), texts, width);
            writeln!(out, "{:indent$}{label}{words}", "")?;
        }
    }
    at_once(survey, texts, out)
}

/// The kernel and the privileges.
fn about_host(
    survey: &Survey,
    texts: Option<&Texts>,
    width: Option<usize>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let Survey { kernel, lockdown, capabilities, mode, .. } = survey;
    let lockdown = match lockdown {
        Ok(mode) => mode.clone(),
        Err(remedy) => phrase!(texts, "screen-unknown", [remedy], "unknown; to know: {remedy}"),
    };
    let held = if capabilities.is_empty() { "none".into() } else { capabilities.join(" ") };
    for (label, text) in [
        ("kernel", kernel.as_str()),
        ("lockdown", &lockdown),
        ("capabilities", &below(14, said(texts, &held), width)),
        ("tracing", traced(*mode, texts)),
    ] {
        writeln!(out, "{}  {text}", padded(said(texts, label), 12))?;
    }
    writeln!(out)
}

/// An object of kind `host`, then one of kind `feature` for each.
///
/// # Errors
///
/// None that can happen.
pub fn json(survey: &Survey, clock: WallClock, out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut stamps = Stamps::utc();
    let time = Cow::Borrowed(stamps.write(clock.wall(clock.now)));
    let Survey { kernel, lockdown, capabilities, mode, features, .. } = survey;
    let lockdown = lockdown.as_deref().ok().map(Into::into);
    let (kernel, capabilities) = (kernel.into(), capabilities.into());
    let host = Host { kernel, mode: *mode, lockdown, capabilities };
    serde_json::to_writer(&mut *out, &Bare::new("host", time.clone(), host))?;
    out.push(b'\n');
    for Tried { feature, missing } in features {
        let line = Feature {
            feature: feature.name.into(),
            available: missing.is_none(),
            lost: feature.lost.into(),
            reason: missing.as_ref().map(|missing| (&missing.reason).into()),
            remedy: missing.as_ref().and_then(|missing| missing.remedy.as_deref()).map(Into::into),
        };
        serde_json::to_writer(&mut *out, &Bare::new("feature", time.clone(), line))?;
        out.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use tracer_kernel::feature::ALL;
    use tracer_output::json::schema::schema;

    #[test]
    fn the_lines_are_as_the_schema_says() {
        let reason = "the kernel has no BTF".to_owned();
        let missing = Missing { reason, remedy: Some("use another one".into()) };
        let tried = |(index, feature)| {
            let missing = Some(missing.clone()).filter(|_| index == 0);
            Tried { feature, missing }
        };
        let survey = Survey {
            kernel: "6.12.0".into(),
            lockdown: Err("as root"),
            capabilities: vec!["CAP_BPF".into()],
            mode: None,
            features: ALL.into_iter().enumerate().map(tried).collect(),
            all: None,
        };
        let mut out = Vec::new();
        json(&survey, WallClock::default(), &mut out).unwrap();
        let schema = jsonschema::validator_for(&schema()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1 + ALL.len());
        for line in text.lines() {
            let object: Value = serde_json::from_str(line).unwrap();
            let problems: Vec<_> = schema.iter_errors(&object).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{problems:?}: {line}");
        }
    }
}
