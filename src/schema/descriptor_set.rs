//! Raw descriptor bytes as structs of our own.
//!
//! The fields of `google/protobuf/descriptor.proto` that routing and transcoding need, with the
//! extensions that matter read as plain fields: `google.api.http` (72295728) and
//! `transom.v1.sse` (51801) are dropped by typed descriptors, which know no extensions.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileDescriptorSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) file: Vec<FileDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) message_type: Vec<MessageDescriptor>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enum_type: Vec<EnumDescriptor>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) service: Vec<ServiceDescriptor>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extension: Vec<FieldDescriptor>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FileOptions>,
    #[prost(message, optional, tag = "9")]
    pub(crate) source_code_info: Option<SourceCodeInfo>,
    #[prost(string, tag = "12")]
    pub(crate) syntax: String,
    #[prost(int32, optional, tag = "14")]
    pub(crate) edition: Option<i32>,
}

/// Options of a file that matter here.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub(crate) features: Option<FeatureSet>,
}

/// `google.protobuf.FeatureSet`: 0 is not set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FeatureSet {
    #[prost(int32, tag = "1")]
    pub(crate) field_presence: i32,
    #[prost(int32, tag = "2")]
    pub(crate) enum_type: i32,
    #[prost(int32, tag = "3")]
    pub(crate) repeated_field_encoding: i32,
    #[prost(int32, tag = "5")]
    pub(crate) message_encoding: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MessageDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) field: Vec<FieldDescriptor>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nested_type: Vec<MessageDescriptor>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) enum_type: Vec<EnumDescriptor>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) extension: Vec<FieldDescriptor>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<OneofDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneofDescriptor {
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<OneofOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneofOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MessageOptions {
    #[prost(bool, tag = "7")]
    pub(crate) map_entry: bool,
    #[prost(message, optional, tag = "12")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) extendee: String,
    #[prost(int32, tag = "3")]
    pub(crate) number: i32,
    #[prost(int32, tag = "4")]
    pub(crate) label: i32,
    #[prost(int32, tag = "5")]
    pub(crate) r#type: i32,
    #[prost(string, tag = "6")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) oneof_index: Option<i32>,
    #[prost(string, tag = "10")]
    pub(crate) json_name: String,
    #[prost(bool, tag = "17")]
    pub(crate) proto3_optional: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) packed: Option<bool>,
    #[prost(message, optional, tag = "21")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) value: Vec<EnumValueDescriptor>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumOptions {
    #[prost(message, optional, tag = "7")]
    pub(crate) features: Option<FeatureSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumValueDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) number: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) method: Vec<MethodDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MethodDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) input_type: String,
    #[prost(string, tag = "3")]
    pub(crate) output_type: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<MethodOptions>,
    #[prost(bool, tag = "5")]
    pub(crate) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(crate) server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MethodOptions {
    #[prost(bool, tag = "33")]
    pub(crate) deprecated: bool,
    #[prost(int32, tag = "34")]
    pub(crate) idempotency_level: i32,
    #[prost(message, optional, tag = "51801")]
    pub(crate) sse: Option<SseOption>,
    #[prost(message, optional, tag = "72295728")]
    pub(crate) http: Option<HttpRule>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SseOption {
    #[prost(string, tag = "1")]
    pub(crate) event_id_field: String,
    #[prost(string, tag = "2")]
    pub(crate) resume_field: String,
}

/// `google.api.HttpRule`; its pattern is a oneof, read here as fields of which one is set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRule {
    #[prost(string, tag = "1")]
    pub(crate) selector: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) get: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) put: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) post: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(crate) delete: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(crate) patch: Option<String>,
    #[prost(string, tag = "7")]
    pub(crate) body: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) custom: Option<CustomHttpPattern>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    pub(crate) response_body: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) path: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SourceCodeInfo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) location: Vec<SourceLocation>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SourceLocation {
    #[prost(int32, repeated, tag = "1")]
    pub(crate) path: Vec<i32>,
    #[prost(int32, repeated, tag = "2")]
    pub(crate) span: Vec<i32>,
    #[prost(string, tag = "3")]
    pub(crate) leading_comments: String,
}
