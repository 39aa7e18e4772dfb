//! What the user wants to see.
//!
//! An [`Expression`], written in a language ([`parse()`]) or by options. Ports, addresses and
//! namespaces are decided in the kernel as far as they fit there ([`Filter::in_kernel`]) and always
//! once more here, on the completed addresses. Owners and states are decided here only: the table
//! has to see all transitions of a connection to know them.

mod expression;
mod facts;
mod kernel;
pub mod parse;
mod ports;
mod recorded;
mod states;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use tracer_event::{endpoint::Tuple, enricher::Enricher, header::Partial, update::Update};

pub use expression::{Comparison, Condition, End, Expression, IpVersion, Network, Operator};
pub use facts::{Facts, is_problem, kept};
pub use ports::PortSet;
pub use recorded::Recorded;
pub use states::StateSet;

use kernel::Kernel;
use parse::{Mistake, NoNames, parse};

/// What is wanted, and what of it the kernel decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    expression: Expression,
    kernel: Kernel,
}

impl Default for Filter {
    /// Wants everything.
    fn default() -> Self {
        Expression::ALL.into()
    }
}

impl From<Expression> for Filter {
    fn from(expression: Expression) -> Self {
        let kernel = Kernel::of(&expression);
        Self { expression, kernel }
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Expression::from(condition).into()
    }
}

impl FromStr for Filter {
    type Err = Mistake;

    /// Reads a filter in which nothing has a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, &NoNames).map(Self::from)
    }
}

impl Filter {
    /// What is wanted.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Whether everything is wanted.
    pub fn is_all(&self) -> bool {
        matches!(&self.expression, Expression::And(parts) if parts.is_empty())
    }

    /// The only network namespace in which something is wanted, where there is one: inode number.
    pub fn netns(&self) -> Option<u32> {
        self.kernel.netns
    }

    /// All that is in the network namespace of this one.
    pub fn of_namespace(&self) -> Self {
        self.netns().map_or_else(Self::default, |netns| Condition::Netns(netns).into())
    }

    /// That it leaves out a part of what happens to a connection, if it does.
    pub fn partial(&self) -> Option<Partial> {
        let conditions = self.expression.conditions();
        conditions.iter().any(|one| one.is_of_moment()).then_some(Partial::Filter)
    }

    /// The part that the kernel can decide.
    pub fn in_kernel(&self) -> tracer_wire::Filter {
        self.kernel.wire()
    }

    /// Where the kernel half has that of another filter: what it decides of this one, and the
    /// conditions that are left to us.
    pub fn split(&self, in_kernel: &Self) -> (Expression, Expression) {
        let kernel = &in_kernel.kernel;
        let parts = match &self.expression {
            Expression::And(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let left = parts.iter().filter(|part| !kernel.decides(part)).cloned();
        (kernel.expression(), Expression::all_of(left))
    }

    /// Whether the kernel lets events of a socket with these ends through: `None` while it only
    /// does because the local port is not known yet.
    pub fn covers(&self, tuple: &Tuple) -> Option<bool> {
        self.kernel.covers(tuple)
    }

    /// Whether an update is wanted. Losses always are, and findings, which are of wanted
    /// sockets only, as are flags, of which each is asked about by itself. [`Recorded`] decides on
    /// findings that were found with another filter.
    pub fn wants<S: Enricher + ?Sized>(&self, update: &Update<'_>, enricher: &S) -> bool {
        // To gather the facts takes a tenth of what the table takes.
        self.is_all()
            || Facts::of_update(update).is_none_or(|facts| self.may_want(&facts, enricher))
    }

    /// Whether a socket of which this is known can be wanted. Its control group is looked up only
    /// if that is asked for.
    pub fn may_want<S: Enricher + ?Sized>(&self, facts: &Facts<'_>, enricher: &S) -> bool {
        let group = || enricher.cgroup(facts.subject());
        facts::holds(&self.expression, facts, group) != Some(false)
    }

    /// The same, whatever its control group is.
    pub fn may_want_anywhere(&self, facts: &Facts<'_>) -> bool {
        facts::holds_anywhere(&self.expression, facts) != Some(false)
    }
}
