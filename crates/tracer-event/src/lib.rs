//! What is reported: one file a kind of event, with its fields, their units and their JSON, both
//! ways. Nothing else says what a field means.
//!
//! Pure: no clock, no I/O. The model makes events with times of `CLOCK_MONOTONIC`; what is written
//! has times of the wall clock ([`mod@line`]). Names and paths that somebody else chose are escaped
//! where they are written, and read back as they were ([`name`]).
//!
//! ```
//! use tracer_event::state::State;
//!
//! // States are read as people type them, and written as RFC 9293 has them.
//! let state: State = "close-wait".parse()?;
//! assert_eq!(state.name(), "CLOSE_WAIT");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// The words that stand for the values of an enum, in JSON and elsewhere: `name`, `ALL` in this
/// order, and JSON both ways.
macro_rules! named {
    ($type:ident, $what:literal { $([$($value:tt)+] $word:literal,)+ }) => {
        impl $type {
            /// How many there are.
            pub const COUNT: usize = [$($word),+].len();

            /// All of them.
            pub const ALL: [Self; Self::COUNT] = [$($($value)+),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $($($value)+ => $word,)+
                }
            }
        }

        impl serde::Serialize for $type {
            #[inline]
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_unit_variant(stringify!($type), 0, self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::ALL.into_iter().find(|one| one.name() == word).ok_or_else(|| {
                    serde::de::Error::custom(format_args!(concat!("{:?} is not ", $what), word))
                })
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::ALL.map(Self::name) })
            }
        }
    };
}

pub mod activity;
pub mod close;
pub mod community;
pub mod connection;
pub mod container;
pub mod diagnosis;
pub mod diff;
pub mod duration;
pub mod endpoint;
pub mod enricher;
pub mod escape;
pub mod exec;
pub mod features;
pub mod finding;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod header;
pub mod host;
pub mod icmp;
pub mod initial;
pub mod line;
pub mod linger;
pub mod loss;
pub mod name;
pub mod pair;
pub mod phrase;
pub mod process;
pub mod reset;
pub mod retransmit;
pub mod segment;
pub mod sequence;
pub mod socket;
pub mod stack;
pub mod state;
pub mod subject;
pub mod summary;
pub mod transition;
pub mod update;
pub mod wall;
pub mod wall_clock;
pub mod zone;

/// For `skip_serializing_if`: left out where it is 0.
pub fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}
