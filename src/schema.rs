//! The schema: from descriptor bytes to resolved types, services and HTTP bindings.
//!
//! Reads a `FileDescriptorSet` itself, because typed descriptors lose the custom options that
//! routes come from. Building is all-or-nothing and reports every [`Problem`] it finds. A
//! [`Schema`] never changes once built. No I/O.
//!
//! ```
//! use transom::schema::{Schema, compile_protos};
//!
//! let source = r#"
//!     syntax = "proto3";
//!     package greet.v1;
//!     import "google/api/annotations.proto";
//!     service Greeter {
//!       rpc Greet(Name) returns (Name) { option (google.api.http) = {get: "/v1/greet/{name}"}; }
//!     }
//!     message Name { string name = 1; }
//! "#;
//! let bytes = compile_protos(&[("greet.proto".to_owned(), source.to_owned())])?;
//! let schema = Schema::from_descriptor_set(bytes)?;
//! assert_eq!(schema.services()[0].methods[0].full_name(), "greet.v1.Greeter/Greet");
//! # Ok::<_, transom::schema::Problems>(())
//! ```

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;

mod builder;
mod builtin;
mod catalog;
mod descriptor_set;
mod features;
mod field_builder;
mod field_path;
mod http_rule;
mod near_miss;
mod problem;
mod proto_survey;
mod service_builder;
mod service_config;
mod source_map;
mod types;
mod yaml;

pub use builtin::{BUILTIN_FILES, builtin_file, compile_protos, details_descriptor_set};
pub use catalog::{Idempotency, Method, Service, SseResume};
pub use field_path::FieldPath;
pub use http_rule::{BodyRule, HttpBinding, HttpMethod};
pub use problem::{Position, Problem, Problems};
pub use proto_survey::survey_protos;
pub use service_config::ServiceConfig;
pub use types::{Cardinality, EnumIndex, EnumType, Field, Kind, MessageIndex, MessageType};

/// Tells whether bytes are a `google.protobuf.FileDescriptorSet`, whatever is wrong in it.
pub fn check_descriptor_set(bytes: &Bytes) -> Result<(), Problems> {
    decode(bytes).map(drop)
}

fn decode(bytes: &Bytes) -> Result<descriptor_set::FileDescriptorSet, Problems> {
    descriptor_set::FileDescriptorSet::decode(bytes.clone()).map_err(|error| {
        Problems(vec![Problem::nowhere(format!("not a FileDescriptorSet: {error}"))])
    })
}

/// What of a descriptor set is served, and how.
#[derive(Clone, Debug, Default)]
pub struct Exposure {
    /// The full names of the services; none are all. What is wrong with another service's rules
    /// is nobody's concern.
    pub services: Vec<String>,
    /// Rules that replace annotations.
    pub service_config: Option<ServiceConfig>,
}

/// Everything that is known of one upstream's services.
#[derive(Debug)]
pub struct Schema {
    descriptor_set: Bytes,
    messages: Vec<MessageType>,
    enums: Vec<EnumType>,
    extensions: Vec<(MessageIndex, Field)>,
    services: Vec<Service>,
    overridden_rules: Vec<Problem>,
    fully_decode: bool,
    messages_by_name: HashMap<String, MessageIndex>,
}

impl Schema {
    /// Reads an encoded `google.protobuf.FileDescriptorSet` that holds its imports too, and
    /// exposes all its services by their annotations.
    pub fn from_descriptor_set(bytes: impl Into<Bytes>) -> Result<Self, Problems> {
        Self::exposing(bytes, &Exposure::default())
    }

    /// The same, with only some services exposed, or by other rules.
    pub fn exposing(bytes: impl Into<Bytes>, exposure: &Exposure) -> Result<Self, Problems> {
        match Self::survey(bytes, exposure) {
            (Some(schema), Problems(problems)) if problems.is_empty() => Ok(schema),
            (_, problems) => Err(problems),
        }
    }

    /// Everything that could be built, and all that is wrong with the rest: not to be served, but
    /// to be looked at. Nothing, where looking further would tell what is not so.
    pub fn survey(bytes: impl Into<Bytes>, exposure: &Exposure) -> (Option<Self>, Problems) {
        let bytes = bytes.into();
        match decode(&bytes) {
            Ok(set) => builder::Builder::default().build(bytes, &set, exposure),
            Err(problems) => (None, problems),
        }
    }

    /// The bytes it was read from.
    pub fn descriptor_set(&self) -> &Bytes {
        &self.descriptor_set
    }

    /// The services that are exposed, in order of declaration.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The rules of its service configuration that a later rule of the same selector replaces.
    pub fn overridden_rules(&self) -> &[Problem] {
        &self.overridden_rules
    }

    /// Whether a path variable of several segments has its `%2F` decoded too: the service
    /// configuration's `fully_decode_reserved_expansion`.
    pub fn fully_decodes(&self) -> bool {
        self.fully_decode
    }

    /// The type at `index`.
    pub fn message(&self, index: MessageIndex) -> &MessageType {
        &self.messages[index.0 as usize]
    }

    /// The type at `index`.
    pub fn enumeration(&self, index: EnumIndex) -> &EnumType {
        &self.enums[index.0 as usize]
    }

    /// All message types, in index order.
    pub fn messages(&self) -> &[MessageType] {
        &self.messages
    }

    /// All enum types, in index order.
    pub fn enumerations(&self) -> &[EnumType] {
        &self.enums
    }

    /// The extensions, each with the type it extends; its JSON name is `[full.name]`.
    pub fn extensions(&self) -> &[(MessageIndex, Field)] {
        &self.extensions
    }

    /// Whether a message or an enum has this full name.
    pub fn declares(&self, name: &str) -> bool {
        self.messages_by_name.contains_key(name) || self.enums.iter().any(|e| e.name == name)
    }

    /// The message of this full name.
    pub fn message_by_name(&self, name: &str) -> Option<MessageIndex> {
        self.messages_by_name.get(name).copied()
    }
}

/// Compiles one proto source, with the built-in files to import from.
#[cfg(test)]
pub(crate) fn compile_for_tests(name: &str, source: &str) -> Result<Schema, Problems> {
    Schema::from_descriptor_set(compile_protos(&[(name.to_owned(), source.to_owned())])?)
}
