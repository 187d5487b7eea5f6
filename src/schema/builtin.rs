//! Protos that come with the gateway, so that nobody has to have them.

use std::sync::LazyLock;

use bytes::Bytes;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

/// Import path and source of each proto that is built in, beside `google/protobuf/*`.
pub const BUILTIN_FILES: [(&str, &str); 5] = [
    ("google/api/annotations.proto", include_str!("../../proto/google/api/annotations.proto")),
    ("google/api/http.proto", include_str!("../../proto/google/api/http.proto")),
    ("google/rpc/error_details.proto", include_str!("../../proto/google/rpc/error_details.proto")),
    ("google/rpc/status.proto", include_str!("../../proto/google/rpc/status.proto")),
    ("transom/v1/sse.proto", include_str!("../../proto/transom/v1/sse.proto")),
];

/// The descriptors of `google.rpc`, for details whose types a schema does not import.
pub fn details_descriptor_set() -> Bytes {
    static SET: LazyLock<Bytes> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "our own files; a test compiles them")]
        compile(&[], &["google/rpc/error_details.proto", "google/rpc/status.proto"])
            .expect("the built-in protos compile")
    });
    SET.clone()
}

/// Compiles `sources` and what they import from the built-in files.
#[cfg(test)]
pub(super) fn compile_sources(sources: &[(&str, &str)]) -> Result<Bytes, protox::Error> {
    let names: Vec<_> = sources.iter().map(|(name, _)| *name).collect();
    compile(sources, &names)
}

fn compile(sources: &[(&str, &str)], names: &[&str]) -> Result<Bytes, protox::Error> {
    let mut resolver = ChainFileResolver::new();
    let owned = |(name, source): &(&str, &str)| ((*name).to_owned(), (*source).to_owned());
    resolver.add(InMemory(BUILTIN_FILES.iter().chain(sources).map(owned).collect()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(names)?;
    Ok(compiler.encode_file_descriptor_set().into())
}

struct InMemory(Vec<(String, String)>);

impl FileResolver for InMemory {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(path, _)| path == name) {
            Some((path, source)) => File::from_source(path, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_file_compiles() {
        compile(&[], &BUILTIN_FILES.map(|(path, _)| path)).unwrap();
    }
}
