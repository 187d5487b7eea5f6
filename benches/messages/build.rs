//! Generates prost's structs and pbjson's serde of them; no code of the gateway is involved.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts so")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../../proto/user/v1/user.proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto", "../../proto"])?;
    compiler.include_imports(true);
    compiler.open_files(["bench/v1/bench.proto"])?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("bench.v1.bin"), &descriptors)?;
    prost_build::Config::new()
        .compile_well_known_types()
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(prost_types::FileDescriptorSet::decode(&descriptors[..])?)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .build(&[".bench.v1", ".user.v1"])?;
    Ok(())
}
