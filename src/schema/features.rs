//! What syntax, edition and `features` options say of fields and enums, resolved: from the file
//! inwards, each level overriding what it inherits.

use super::descriptor_set::{FeatureSet, FieldDescriptor, FileDescriptor};

/// The features that decide what bytes and JSON look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// Being unset is another thing than being at the default.
    pub(super) explicit_presence: bool,
    /// Numbers without a name are no values of an enum.
    pub(super) closed_enums: bool,
    /// Lists of numbers are written behind one key.
    pub(super) packed: bool,
    /// Messages are written between a start and an end key, as groups are.
    pub(super) delimited: bool,
}

const EDITION_PROTO2: i32 = 998;
const EDITION_PROTO3: i32 = 999;
const EDITION_2023: i32 = 1000;
const EDITION_2024: i32 = 1001;

impl Features {
    const PROTO2: Self =
        Self { explicit_presence: true, closed_enums: true, packed: false, delimited: false };
    const PROTO3: Self =
        Self { explicit_presence: false, closed_enums: false, packed: true, delimited: false };
    /// What 2023 starts from; 2024 changes nothing of these.
    const EDITIONS: Self =
        Self { explicit_presence: true, closed_enums: false, packed: true, delimited: false };

    /// What holds in a file where nothing inside says otherwise. The error names the syntax or
    /// edition that is not known.
    pub(super) fn of_file(file: &FileDescriptor) -> Result<Self, String> {
        let base = match (file.syntax.as_str(), file.edition) {
            ("" | "proto2", None | Some(EDITION_PROTO2)) => Self::PROTO2,
            ("proto3", None | Some(EDITION_PROTO3)) => Self::PROTO3,
            ("editions", Some(EDITION_2023 | EDITION_2024)) => Self::EDITIONS,
            ("editions", Some(edition)) => {
                return Err(format!("edition {edition} is not supported: 2023 and 2024 are"));
            }
            ("editions", None) => return Err("editions, but it does not say which".to_owned()),
            (syntax, _) => return Err(format!("syntax `{syntax}` is not known")),
        };
        Ok(base.with(file.options.as_ref().and_then(|options| options.features.as_ref())))
    }

    /// These, where `said` does not override them.
    pub(super) fn with(mut self, said: Option<&FeatureSet>) -> Self {
        let Some(said) = said else { return self };
        // 0 is "not said"; LEGACY_REQUIRED (3) is explicit too.
        match said.field_presence {
            1 | 3 => self.explicit_presence = true,
            2 => self.explicit_presence = false,
            _ => {}
        }
        match said.enum_type {
            1 => self.closed_enums = false,
            2 => self.closed_enums = true,
            _ => {}
        }
        match said.repeated_field_encoding {
            1 => self.packed = true,
            2 => self.packed = false,
            _ => {}
        }
        match said.message_encoding {
            1 => self.delimited = false,
            2 => self.delimited = true,
            _ => {}
        }
        self
    }

    /// What holds for one field, given what holds around it.
    pub(super) fn of_field(self, field: &FieldDescriptor) -> Self {
        let options = field.options.as_ref();
        let mut features = self.with(options.and_then(|options| options.features.as_ref()));
        features.explicit_presence |= field.proto3_optional;
        if let Some(packed) = options.and_then(|options| options.packed) {
            features.packed = packed;
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::descriptor_set::{FieldOptions, FileOptions};

    fn file(syntax: &str, edition: Option<i32>) -> FileDescriptor {
        FileDescriptor { syntax: syntax.to_owned(), edition, ..FileDescriptor::default() }
    }

    #[test]
    fn a_file_starts_from_its_syntax_or_edition() {
        assert_eq!(Features::of_file(&file("", None)), Ok(Features::PROTO2));
        assert_eq!(Features::of_file(&file("proto2", None)), Ok(Features::PROTO2));
        assert_eq!(Features::of_file(&file("proto3", None)), Ok(Features::PROTO3));
        for edition in [EDITION_2023, EDITION_2024] {
            let features = Features::of_file(&file("editions", Some(edition)));
            assert_eq!(features, Ok(Features::EDITIONS));
        }
        for (syntax, edition, said) in [
            ("editions", Some(1002), "edition 1002 is not supported"),
            ("editions", None, "does not say which"),
            ("proto4", None, "`proto4` is not known"),
        ] {
            let error = Features::of_file(&file(syntax, edition)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_inside_overrides_what_is_around_it() {
        let implicit_expanded =
            FeatureSet { field_presence: 2, repeated_field_encoding: 2, ..FeatureSet::default() };
        let mut editions = file("editions", Some(EDITION_2023));
        editions.options = Some(FileOptions { features: Some(implicit_expanded) });
        let around = Features::of_file(&editions).unwrap();
        assert_eq!(
            around,
            Features { explicit_presence: false, packed: false, ..Features::EDITIONS }
        );

        let closed_delimited =
            FeatureSet { enum_type: 2, message_encoding: 2, ..FeatureSet::default() };
        let inside = around.with(Some(&closed_delimited));
        assert!(inside.closed_enums && inside.delimited && !inside.packed);
        let back = FeatureSet {
            field_presence: 3,
            enum_type: 1,
            repeated_field_encoding: 1,
            message_encoding: 1,
        };
        assert_eq!(inside.with(Some(&back)), Features::EDITIONS);
    }

    #[test]
    fn a_field_says_packed_and_optional_in_the_old_way_too() {
        let options = FieldOptions { packed: Some(true), features: None };
        let packed = FieldDescriptor { options: Some(options), ..FieldDescriptor::default() };
        assert!(Features::PROTO2.of_field(&packed).packed);
        let optional = FieldDescriptor { proto3_optional: true, ..FieldDescriptor::default() };
        assert!(Features::PROTO3.of_field(&optional).explicit_presence);
        assert!(!Features::PROTO3.of_field(&FieldDescriptor::default()).explicit_presence);
    }
}
