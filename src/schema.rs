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
mod problem;
mod service_builder;
mod source_map;
mod types;

pub use builtin::{BUILTIN_FILES, builtin_file, compile_protos, details_descriptor_set};
pub use catalog::{Idempotency, Method, Service, SseResume};
pub use field_path::FieldPath;
pub use http_rule::{BodyRule, HttpBinding, HttpMethod};
pub use problem::{Position, Problem, Problems};
pub use types::{Cardinality, EnumIndex, EnumType, Field, Kind, MessageIndex, MessageType};

/// Everything that is known of one upstream's services.
#[derive(Debug)]
pub struct Schema {
    descriptor_set: Bytes,
    messages: Vec<MessageType>,
    enums: Vec<EnumType>,
    extensions: Vec<(MessageIndex, Field)>,
    services: Vec<Service>,
    messages_by_name: HashMap<String, MessageIndex>,
}

impl Schema {
    /// Reads an encoded `google.protobuf.FileDescriptorSet` that holds its imports too.
    pub fn from_descriptor_set(bytes: impl Into<Bytes>) -> Result<Self, Problems> {
        let bytes = bytes.into();
        let set = descriptor_set::FileDescriptorSet::decode(bytes.clone()).map_err(|error| {
            Problems(vec![Problem::nowhere(format!("not a FileDescriptorSet: {error}"))])
        })?;
        builder::Builder::default().build(bytes, &set)
    }

    /// The bytes it was read from.
    pub fn descriptor_set(&self) -> &Bytes {
        &self.descriptor_set
    }

    /// The services that can be exposed, in order of declaration.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Leaves only the services with these full names; none leaves all.
    pub fn expose(&mut self, names: &[String]) -> Result<(), Problems> {
        let unknown = |name: &&String| self.services.iter().all(|service| service.name != **name);
        let problems: Vec<_> = names
            .iter()
            .filter(unknown)
            .map(|name| {
                let known: Vec<_> = self.services.iter().map(|s| s.name.as_str()).collect();
                let known = known.join(", ");
                Problem::nowhere(format!("no service is called `{name}`; there are {known}"))
            })
            .collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        self.services.retain(|service| names.is_empty() || names.contains(&service.name));
        Ok(())
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
