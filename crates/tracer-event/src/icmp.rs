//! ICMP errors that answer a SYN, and what connect() fails with.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracer_wire::Record;

/// `SO_EE_ORIGIN_ICMP6` (include/uapi/linux/errqueue.h).
const ORIGIN_ICMP6: u8 = 3;

/// Which protocol an error came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// ICMP, of IPv4.
    Icmp,
    /// ICMPv6.
    Icmp6,
}

/// An ICMP error as the kernel has queued it on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Which protocol it came by.
    pub origin: Origin,
    /// Its type.
    pub r#type: u8,
    /// Its code.
    pub code: u8,
}

impl Icmp {
    /// The one that a record has, if it has one.
    pub fn of(record: &Record) -> Option<Self> {
        let origin = match record.icmp_origin {
            0 => return None,
            ORIGIN_ICMP6 => Origin::Icmp6,
            _ => Origin::Icmp,
        };
        Some(Self { origin, r#type: record.icmp_type, code: record.icmp_code })
    }

    /// What it says (RFC 792, 1122 and 1812; RFC 4443).
    pub fn words(self) -> &'static str {
        let Self { origin, r#type, code } = self;
        match (origin, r#type, code) {
            (Origin::Icmp, 3, 0) => "ICMP network unreachable",
            (Origin::Icmp, 3, 1) => "ICMP host unreachable",
            (Origin::Icmp, 3, 2) => "ICMP protocol unreachable",
            (Origin::Icmp, 3, 3) | (Origin::Icmp6, 1, 4) => PORT_UNREACHABLE,
            (Origin::Icmp, 3, 5) => "ICMP source route failed",
            (Origin::Icmp, 3, 6) => "ICMP network unknown",
            (Origin::Icmp, 3, 7) => "ICMP host unknown",
            (Origin::Icmp, 3, 8) => "ICMP source host isolated",
            (Origin::Icmp, 3, 9) => "ICMP network prohibited: a firewall refuses",
            (Origin::Icmp, 3, 10) => "ICMP host prohibited: a firewall refuses",
            (Origin::Icmp, 3, 11) => "ICMP network unreachable for this type of service",
            (Origin::Icmp, 3, 12) => "ICMP host unreachable for this type of service",
            (Origin::Icmp, 3, 13) | (Origin::Icmp6, 1, 1) => PROHIBITED,
            (Origin::Icmp, 3, 14 | 15) => "ICMP precedence refused",
            (Origin::Icmp, 11, _) => "ICMP time to live exceeded: a routing loop?",
            (Origin::Icmp, 12, _) => "ICMP parameter problem",
            (Origin::Icmp, ..) => "ICMP error",
            (Origin::Icmp6, 1, 0) => "ICMPv6 no route to destination",
            (Origin::Icmp6, 1, 2) => "ICMPv6 beyond the scope of the source address",
            (Origin::Icmp6, 1, 3) => "ICMPv6 address unreachable",
            (Origin::Icmp6, 1, 5) => "ICMPv6 source address refused by policy",
            (Origin::Icmp6, 1, 6) => "ICMPv6 route rejected",
            (Origin::Icmp6, 2, _) => "ICMPv6 packet too big",
            (Origin::Icmp6, 3, _) => "ICMPv6 hop limit exceeded: a routing loop?",
            (Origin::Icmp6, 4, _) => "ICMPv6 parameter problem",
            (Origin::Icmp6, ..) => "ICMPv6 error",
        }
    }
}

const PORT_UNREACHABLE: &str = "ICMP port unreachable: firewall, or no endpoint behind the service";
const PROHIBITED: &str = "ICMP administratively prohibited: a firewall refuses";

/// As it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
struct IcmpBody<'a> {
    /// Which protocol it came by.
    origin: Origin,
    /// Its type (RFC 792, RFC 4443).
    r#type: u8,
    /// Its code.
    code: u8,
    /// What it says.
    #[serde(borrow)]
    text: Cow<'a, str>,
}

impl Serialize for Icmp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin, r#type, code } = *self;
        IcmpBody { origin, r#type, code, text: self.words().into() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Icmp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is what the numbers say.
        let IcmpBody { origin, r#type, code, text: _ } = IcmpBody::deserialize(deserializer)?;
        Ok(Self { origin, r#type, code })
    }
}

impl JsonSchema for Icmp {
    fn schema_name() -> Cow<'static, str> {
        "Icmp".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        IcmpBody::json_schema(generator)
    }
}

macro_rules! errors {
    ($($name:ident = $errno:literal,)+) => {
        /// What connect() fails with, or SO_ERROR tells, after an ICMP error (`icmp_err_convert`
        /// in net/ipv4/icmp.c, `icmpv6_err_convert`, `tcp_v4_err`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[expect(missing_docs, reason = "the names of errno(3)")]
        pub enum Errno {
            $($name,)+
        }

        impl Errno {
            /// By its number.
            pub fn of(number: u16) -> Option<Self> {
                match number {
                    $($errno => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

errors! {
    EACCES = 13,
    ENONET = 64,
    EPROTO = 71,
    EMSGSIZE = 90,
    ENOPROTOOPT = 92,
    EOPNOTSUPP = 95,
    ENETUNREACH = 101,
    ECONNREFUSED = 111,
    EHOSTDOWN = 112,
    EHOSTUNREACH = 113,
}

/// What the application was told at SYN_SENT → CLOSED of a socket that is [`Unreachable`]; `None`
/// where it was not: SO_ERROR takes what is noted.
///
/// [`Unreachable`]: super::close::Reason::Unreachable
pub fn told(record: &Record) -> Option<Errno> {
    match (record.error, record.soft_error) {
        (0, 0) => Errno::of(record.icmp_errno.into()),
        (0, _) => None,
        (error, _) => Errno::of(error),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::taken_by_so_error(0, 0, 111, Some(Errno::ECONNREFUSED))]
    #[case::closed_before_it_was_asked_for(0, 111, 111, None)]
    #[case::the_kernel_has_ended_it(113, 0, 113, Some(Errno::EHOSTUNREACH))]
    #[case::of_another_error(0, 0, 5, None)]
    fn the_application_is_told_what_it_has_asked_for(
        #[case] error: u16,
        #[case] soft_error: u16,
        #[case] icmp_errno: u8,
        #[case] expected: Option<Errno>,
    ) {
        let record = Record { error, soft_error, icmp_errno, icmp_origin: 2, ..Record::EMPTY };
        assert_eq!(told(&record), expected);
    }
}
