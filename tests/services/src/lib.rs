//! Services for Transom's tests, known to the gateway by descriptor bytes alone.

pub mod inventory;

/// Everything `inventory/v1/inventory.proto` needs, as an encoded `FileDescriptorSet`.
pub const INVENTORY_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/inventory.v1.bin"));

/// Generated messages.
pub mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
