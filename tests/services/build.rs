//! Compiles the test protos the way the project compiles its own.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts so")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (name, files) in [
        ("shapes.v1", &["shapes/v1/shapes.proto"][..]),
        ("user.v2", &["user/v2/user_service.proto"]),
        ("inventory.v1", &["inventory/v1/inventory.proto", "google/rpc/error_details.proto"]),
    ] {
        let mut compiler = protox::Compiler::new(["proto", "../../proto"])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(files)?;
        let descriptors = compiler.encode_file_descriptor_set();
        fs::write(out.join(format!("{name}.bin")), &descriptors)?;
        tonic_prost_build::configure()
            .build_transport(false)
            .compile_fds(prost_types::FileDescriptorSet::decode(&descriptors[..])?)?;
    }
    Ok(())
}
