//! Bars from left to right with their names and numbers, each of one or several parts.

use maud::{Markup, html};

/// One bar.
pub(super) struct Bar {
    /// What it stands for.
    pub(super) name: String,
    /// Its number, with its unit.
    pub(super) number: String,
    /// Parts: class of the colour, what it is, and its size.
    pub(super) parts: Vec<(&'static str, String, u64)>,
}

/// Bars of which one of size `full` has the whole width; `marks` are shares of it.
pub(super) fn bars(bars: &[Bar], full: u64, marks: &[f64]) -> Markup {
    let share = |size: u64| format!("width:{:.2}%", size as f64 * 100.0 / full.max(1) as f64);
    html! {
        div.bars {
            @for Bar { name, number, parts } in bars {
                div.bar {
                    div.name { (name) }
                    div.track {
                        @for (class, what, size) in parts.iter().filter(|(_, _, size)| *size > 0) {
                            div.part.(class) style=(share(*size)) title=(what) {}
                        }
                        @for mark in marks {
                            div.mark style=(format!("left:{:.0}%", mark * 100.0)) {}
                        }
                    }
                    div.number { (number) }
                }
            }
        }
    }
}

/// What the colours stand for.
pub(super) fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, name) in entries {
                li { span.swatch.(class) {} (name) }
            }
        }
    }
}
