//! The numbers behind a chart, folded away.

use maud::{Markup, html};

/// A table with its columns' names; the first column names the row, the others are numbers or text
/// as `texts` says (from the right, how many are text).
pub(super) fn table(columns: &[&str], rows: &[Vec<String>], texts: usize) -> Markup {
    let numbers = columns.len() - texts;
    html! {
        div.wide {
            table {
                thead { tr {
                    @for (index, name) in columns.iter().enumerate() {
                        th.n[(1..numbers).contains(&index)] scope="col" { (name) }
                    }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (index, cell) in row.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } }
                                @else { td.n[index < numbers] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The same, unfolded by a click.
pub(super) fn folded(name: &str, columns: &[&str], rows: &[Vec<String>], texts: usize) -> Markup {
    html! {
        details {
            summary { (name) }
            (table(columns, rows, texts))
        }
    }
}
