//! Lists of counted things in the evidence of findings.

/// Lists of things and how many sockets each has: in JSON a name for each. Makes a module for
/// `#[serde(with = "…")]`.
macro_rules! counted {
    ($module:ident: $(#[$meta:meta])* $name:ident: $type:ty) => {
        mod $module {
            use schemars::JsonSchema;
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            use super::*;

            /// One and its sockets.
            #[derive(Serialize, Deserialize, JsonSchema)]
            pub(super) struct Counted {
                $(#[$meta])*
                $name: $type,
                sockets: u64,
            }

            pub(super) fn serialize<S: Serializer>(
                list: &[($type, u64)],
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let counted =
                    |($name, sockets): &($type, u64)| Counted { $name: $name.clone(), sockets: *sockets };
                serializer.collect_seq(list.iter().map(counted))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Vec<($type, u64)>, D::Error> {
                let list = Vec::<Counted>::deserialize(deserializer)?;
                Ok(list.into_iter().map(|Counted { $name, sockets }| ($name, sockets)).collect())
            }
        }
    };
}
pub(super) use counted;
