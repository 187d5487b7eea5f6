//! Protos that come with the gateway, so that nobody has to have them.

use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use super::problem::{Position, Problem, Problems};

/// Import path and source of each proto that is built in, beside `google/protobuf/*`.
pub const BUILTIN_FILES: [(&str, &str); 6] = [
    ("google/api/annotations.proto", include_str!("../../proto/google/api/annotations.proto")),
    ("google/api/http.proto", include_str!("../../proto/google/api/http.proto")),
    ("google/api/httpbody.proto", include_str!("../../proto/google/api/httpbody.proto")),
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

/// The `FileDescriptorProto` of a file that everybody has: `google/protobuf/*`, `google/api/*`.
pub fn builtin_file(name: &str) -> Option<Bytes> {
    let set = compile(&[], &[name]).ok()?;
    let files = RawFileSet::decode(set).ok()?.file;
    files.into_iter().find(|file| FileName::decode(file.clone()).is_ok_and(|f| f.name == name))
}

/// The `FileDescriptorSet` of `.proto` sources, each with the path that others import it by.
/// What they import must be among them or built in. Errors say file, line and column.
pub fn compile_protos(sources: &[(String, String)]) -> Result<Bytes, Problems> {
    let sources: Vec<_> = sources.iter().map(|(n, s)| (n.as_str(), s.as_str())).collect();
    let names: Vec<_> = sources.iter().map(|(name, _)| *name).collect();
    compile(&sources, &names).map_err(|error| Problems(vec![problem(&error)]))
}

/// What the compiler says.
pub(super) fn problem(error: &protox::Error) -> Problem {
    let mut message = error.to_string();
    if message.contains("edition") {
        message.push_str(": compile it with protoc, and use --descriptor-set");
    }
    let position = error.file().map(|file| Position {
        file: file.to_owned(),
        line_column: line_column(&format!("{error:?}"), file),
    });
    Problem { position, message }
}

/// The compiler tells line and column in the debug form of its errors alone: `a.proto:2:13: …`.
fn line_column(debug: &str, file: &str) -> Option<(u32, u32)> {
    let mut numbers = debug.strip_prefix(file)?.strip_prefix(':')?.split(':');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A `FileDescriptorSet` whose files stay encoded.
#[derive(Clone, PartialEq, Message)]
struct RawFileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct FileName {
    #[prost(string, tag = "1")]
    name: String,
}

fn compile(sources: &[(&str, &str)], names: &[&str]) -> Result<Bytes, protox::Error> {
    let mut compiler = compiler(sources, &[]);
    compiler.open_files(names)?;
    Ok(compiler.encode_file_descriptor_set().into())
}

/// A compiler of `sources` and the built-in files; those of `changed` are as they are there.
pub(super) fn compiler(sources: &[(&str, &str)], changed: &[File]) -> Compiler {
    let mut resolver = ChainFileResolver::new();
    let owned = |(name, source): &(&str, &str)| ((*name).to_owned(), (*source).to_owned());
    let sources = BUILTIN_FILES.iter().chain(sources).map(owned).collect();
    resolver.add(InMemory { sources, changed: changed.to_vec() });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler
}

struct InMemory {
    sources: Vec<(String, String)>,
    changed: Vec<File>,
}

impl FileResolver for InMemory {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if let Some(file) = self.changed.iter().find(|file| file.name() == name) {
            return Ok(file.clone());
        }
        match self.sources.iter().find(|(path, _)| path == name) {
            Some((path, source)) => File::from_source(path, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builtin_file_is_found_by_its_name() {
        for name in ["google/protobuf/empty.proto", "google/api/annotations.proto"] {
            let file = builtin_file(name).unwrap();
            assert_eq!(FileName::decode(file).unwrap().name, name);
        }
        assert!(builtin_file("nope.proto").is_none());
    }

    #[test]
    fn a_source_that_does_not_compile_says_where() {
        let compile = |source: &str| {
            let sources = [("a.proto".to_owned(), source.to_owned())];
            compile_protos(&sources).unwrap_err().to_string()
        };
        let unknown = compile("syntax = \"proto3\";\nmessage M { Nope x = 1; }");
        assert!(unknown.starts_with("a.proto:2:13: ") && unknown.contains("Nope"), "{unknown}");
        let broken = compile("syntax = \"proto3\";\nmessage M {\n  string x = 1 }");
        assert!(broken.starts_with("a.proto:3:16: "), "{broken}");
        let import = compile("syntax = \"proto3\";\nimport \"nope.proto\";\n");
        assert!(import.starts_with("a.proto:2:"), "{import}");
        let edition = compile("edition = \"2023\";\nmessage M {}");
        assert!(edition.contains("--descriptor-set"), "{edition}");
    }

    #[test]
    fn every_builtin_file_compiles() {
        compile(&[], &BUILTIN_FILES.map(|(path, _)| path)).unwrap();
    }
}
