//! What the messages of an RPC are written in.

/// How a message becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Protobuf, as the upstream has it.
    Proto,
    /// ProtoJSON.
    Json,
}

impl Codec {
    /// The codec of this name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::Proto, Self::Json]
            .into_iter()
            .find(|codec| name.eq_ignore_ascii_case(codec.name().as_bytes()))
    }

    /// The codec that stands behind the `+` of a media type. Without one it is protobuf.
    pub fn of_suffix(suffix: &[u8]) -> Option<Self> {
        match suffix.split_first() {
            None => Some(Self::Proto),
            Some((b'+', name)) => Self::named(name),
            Some(_) => None,
        }
    }

    /// `proto` or `json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proto => "proto",
            Self::Json => "json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_names_a_codec() {
        for (suffix, codec) in [
            ("", Some(Codec::Proto)),
            ("+proto", Some(Codec::Proto)),
            ("+JSON", Some(Codec::Json)),
            ("+thrift", None),
            ("+", None),
            ("json", None),
        ] {
            assert_eq!(Codec::of_suffix(suffix.as_bytes()), codec, "{suffix}");
        }
    }
}
