//! The fields of an event one after the other, each with its path: for tables, for logs with
//! fields, and for OTLP's attributes.

use serde::Serialize;
use serde_json::Value;

use super::visit::{Unsupported, Visitor, visit};

/// The value of a field; a field without one is left out.
#[derive(Debug, PartialEq)]
pub enum Leaf<'a> {
    /// Words, a name, an address.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// A number below zero.
    Negative(i64),
    /// A fraction.
    Fraction(f64),
    /// Yes or no.
    Flag(bool),
    /// A list, as JSON has it.
    List(Vec<Value>),
}

/// Takes the fields of an event.
pub trait Fields {
    /// What is between the names of a path.
    const SEPARATOR: char;
    /// Whether lists are wanted.
    const LISTS: bool;

    /// The next field.
    fn field(&mut self, path: &str, leaf: Leaf<'_>);
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub struct Memory {
    path: String,
    /// For each object on the way, how long the path to it is.
    objects: Vec<usize>,
    list: Vec<u8>,
}

/// Gives the fields of `value` to `fields`.
///
/// # Errors
///
/// Where it holds something that events do not.
pub fn flatten(
    value: &impl Serialize,
    memory: &mut Memory,
    fields: &mut impl Fields,
) -> Result<(), Unsupported> {
    memory.path.clear();
    memory.objects.clear();
    visit(value, &mut Flattener { memory, fields, in_name: false, lists: 0 })
}

struct Flattener<'a, F> {
    memory: &'a mut Memory,
    fields: &'a mut F,
    /// The text that comes is the name of a field, not its value.
    in_name: bool,
    /// Lists within lists; what is in them is kept as JSON.
    lists: usize,
}

impl<F: Fields> Flattener<'_, F> {
    #[inline]
    fn give(&mut self, leaf: Leaf<'_>) {
        self.fields.field(&self.memory.path, leaf);
    }

    /// The path goes on below the present object.
    #[inline]
    fn enter(&mut self, name: &str) {
        let Memory { path, objects, .. } = &mut *self.memory;
        path.truncate(objects.last().copied().unwrap_or(0));
        if !path.is_empty() {
            path.push(F::SEPARATOR);
        }
        path.push_str(name);
    }
}

/// Methods of [`Visitor`]: within a list its JSON is written, elsewhere this is done.
macro_rules! outside_lists {
    ($(fn $method:ident($this:ident $(, $value:ident: $type:ty)*) $body:block)+) => {$(
        #[inline]
        fn $method(&mut self $(, $value: $type)*) {
            match self.lists {
                0 => {
                    let $this = self;
                    $body
                }
                _ if F::LISTS => self.memory.list.$method($($value),*),
                _ => {}
            }
        }
    )+};
}

impl<F: Fields> Visitor for Flattener<'_, F> {
    outside_lists! {
        fn null(_this) {}
        fn flag(this, flag: bool) { this.give(Leaf::Flag(flag)); }
        fn unsigned(this, number: u64) { this.give(Leaf::Number(number)); }
        fn signed(this, number: i64) {
            this.give(u64::try_from(number).map_or(Leaf::Negative(number), Leaf::Number));
        }
        fn fraction(this, number: f64) { this.give(Leaf::Fraction(number)); }
        fn text(this, text: &str) {
            if this.in_name { this.enter(text) } else { this.give(Leaf::Text(text)) }
        }
        fn word(this, word: &'static str) { this.text(word); }
        fn begin_object(this) { this.memory.objects.push(this.memory.path.len()); }
        fn name(this, name: &'static str, _is_first: bool) { this.enter(name); }
        fn begin_name(this, _is_first: bool) { this.in_name = true; }
        fn end_name(this) { this.in_name = false; }
        fn end_object(this) {
            let Memory { path, objects, .. } = &mut *this.memory;
            path.truncate(objects.pop().unwrap_or(0));
        }
    }

    fn begin_list(&mut self) {
        if self.lists == 0 {
            self.memory.list.clear();
        }
        self.lists += 1;
        self.memory.list.begin_list();
    }

    fn item(&mut self, is_first: bool) {
        self.memory.list.item(is_first);
    }

    fn end_list(&mut self) {
        self.memory.list.end_list();
        self.lists -= 1;
        if self.lists == 0 && F::LISTS {
            let list = serde_json::from_slice(&self.memory.list).unwrap_or_default();
            self.give(Leaf::List(list));
        }
    }
}
