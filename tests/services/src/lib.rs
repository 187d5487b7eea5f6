//! Services for Transom's tests, known to the gateway by descriptor bytes alone.

pub mod inventory;
pub mod shapes;
pub mod user;

/// Everything `inventory/v1/inventory.proto` needs, as an encoded `FileDescriptorSet`.
pub const INVENTORY_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/inventory.v1.bin"));

/// Everything `shapes/v1/shapes.proto` needs, as an encoded `FileDescriptorSet`.
pub const SHAPES_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shapes.v1.bin"));

/// Everything `user/v2/user_service.proto` needs, as an encoded `FileDescriptorSet`.
pub const USER_V2_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/user.v2.bin"));

/// Generated messages.
pub mod google {
    pub mod api {
        #![allow(clippy::doc_overindented_list_items)]
        tonic::include_proto!("google.api");
    }
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Reads a `grpc-status-details-bin` value.
pub fn rpc_status_of(base64: &str) -> inventory::RpcStatus {
    use base64::Engine as _;
    use prost::Message as _;
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let bytes = engine.decode(base64.trim_end_matches('=')).expect("the details are base64");
    inventory::RpcStatus::decode(bytes.as_slice()).expect("the details are a google.rpc.Status")
}
