//! Compiles `proto/` without protoc: descriptor bytes kept whole (custom options such as
//! `google.api.http` do not survive typed descriptors), then tonic and pbjson code from them.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "users")]
    users::generate()?;
    Ok(())
}

#[cfg(feature = "users")]
mod users {
    use std::{env, error::Error, fs, path::PathBuf};

    use prost::Message;

    /// Messages that hold a password or a token.
    const SECRET: [&str; 4] = [
        ".user.v1.CreateUserRequest",
        ".auth.v1.LoginRequest",
        ".auth.v1.RefreshRequest",
        ".auth.v1.TokenResponse",
    ];

    #[expect(clippy::disallowed_methods, reason = "cargo tells build scripts so")]
    pub(crate) fn generate() -> Result<(), Box<dyn Error>> {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let mut compiler = protox::Compiler::new(["proto"])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(["user/v1/user_service.proto", "auth/v1/auth_service.proto"])?;
        let descriptors = compiler.encode_file_descriptor_set();
        fs::write(out.join("users.bin"), &descriptors)?;

        tonic_prost_build::configure()
            .compile_well_known_types(true)
            .extern_path(".google.protobuf", "::pbjson_types")
            .build_transport(false)
            // Their Debug is written by hand: what is secret stays out of logs and errors.
            .skip_debug(SECRET)
            .compile_fds(prost_types::FileDescriptorSet::decode(&descriptors[..])?)?;
        pbjson_build::Builder::new().register_descriptors(&descriptors)?.build(&[".user.v1"])?;
        Ok(())
    }
}
