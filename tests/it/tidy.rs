//! House rules that a compiler does not know: which module may import which, and which crates
//! the core may name. See "Invariants" in ARCHITECTURE.md.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each module, and the modules it may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("status", &[]),
    ("jwt", &[]),
    ("config", &[]),
    ("schema", &["status"]),
    ("routing", &["schema"]),
    ("transcoding", &["schema", "status"]),
    ("protocol", &["transcoding", "schema", "status"]),
    ("openapi", &["schema", "routing", "protocol", "status"]),
    ("upstream", &["schema", "status", "config"]),
    ("gateway", &["protocol", "routing", "transcoding", "schema", "upstream", "status", "config"]),
    ("users", &["jwt"]),
    ("layers", &["protocol", "status", "config"]),
    ("server", &["layers", "gateway", "openapi", "routing", "protocol", "status", "config"]),
    (
        "cli",
        &[
            "config",
            "status",
            "jwt",
            "schema",
            "routing",
            "transcoding",
            "protocol",
            "upstream",
            "gateway",
            "users",
        ],
    ),
    (
        "app",
        &[
            "config",
            "status",
            "jwt",
            "schema",
            "routing",
            "transcoding",
            "protocol",
            "upstream",
            "gateway",
            "users",
            "layers",
            "server",
        ],
    ),
    ("main", &["cli", "config", "app"]),
];

/// Modules without I/O, tasks or clocks, and the crates they may name.
const CORE: &[&str] = &["protocol", "openapi", "routing", "transcoding", "schema", "status", "jwt"];
const CORE_CRATES: &[&str] = &[
    "std",
    "core",
    "crate",
    "super",
    "self",
    "bytes",
    "http",
    "http_body",
    "serde",
    "serde_json",
    "base64",
    "itoa",
    "percent_encoding",
    "flate2",
    "brotli",
    "zstd",
    "prost",
    "zmij",
    "protox",
    "saphyr_parser",
    "thiserror",
    // In jwt.
    "aws_lc_rs",
    "jsonwebtoken",
    "utoipa",
];

fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The source up to its tests, without comments.
fn product_lines(source: &str) -> impl Iterator<Item = &str> {
    let end = source.find("#[cfg(test)]\nmod tests").unwrap_or(source.len());
    source[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// `src/routing/captures.rs` → `routing`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(manifest().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The first name behind each occurrence of `prefix`, groups (`crate::{a, b}`) opened.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let ident = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(ident(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    names.insert(ident(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

#[test]
fn modules_import_along_the_arrows() {
    let mut wrong = Vec::new();
    for file in files_below(&manifest().join("src"), "rs") {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let allowed = ARROWS.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{}: `{module}` has no arrows", file.display()));
            continue;
        };
        let source = fs::read_to_string(&file).unwrap();
        let code: String = product_lines(&source).collect::<Vec<_>>().join("\n");
        let own_crate = if module == "main" { "transom::" } else { "crate::" };
        for name in names_behind(&code, own_crate) {
            // Names that begin with a capital are what lib.rs re-exports: the gateway.
            let imported = if name.starts_with(char::is_uppercase) { "gateway" } else { &name };
            if imported != module && !allowed.contains(&imported) {
                wrong.push(format!(
                    "{}: `{module}` may not import `{imported}`: see ARCHITECTURE.md",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_names_no_crate_that_does_io() {
    let mut wrong = Vec::new();
    for file in files_below(&manifest().join("src"), "rs") {
        let module = module_of(&file);
        if !CORE.contains(&module.as_str()) {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let children = names_behind(&source, "\nmod ");
        let public = names_behind(&source, "\npub mod ");
        for line in product_lines(&source).filter(|line| !line.trim_start().starts_with("pub use"))
        {
            let line = line.trim_start();
            let named = line.strip_prefix("use ").map(|rest| names_behind(rest, ""));
            let named = named.and_then(|names| names.into_iter().next()).unwrap_or_default();
            let inline = ["tokio", "axum", "sqlx", "tonic", "hyper", "tower"];
            let inline = inline.into_iter().find(|name| line.contains(&format!("{name}::")));
            let is_own = children.contains(&named) || public.contains(&named);
            if inline.is_some()
                || !(named.is_empty()
                    || is_own
                    || named.starts_with(char::is_uppercase)
                    || CORE_CRATES.contains(&named.as_str()))
            {
                wrong.push(format!("{}: `{}`", file.display(), line));
            }
        }
    }
    assert!(wrong.is_empty(), "the core may not name these:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in files_below(&manifest().join("src"), "rs") {
        let source = fs::read_to_string(&file).unwrap();
        assert!(source.starts_with("//! "), "{} has no module header", file.display());
    }
}

#[test]
fn rooms_are_small() {
    for file in files_below(&manifest().join("src"), "rs") {
        let source = fs::read_to_string(&file).unwrap();
        let lines = product_lines(&source).count();
        assert!(lines <= 400, "{} has {lines} lines: is it one idea?", file.display());
    }
}

#[test]
fn the_gateway_names_no_service() {
    for folder in ["gateway", "routing", "transcoding", "schema", "protocol", "upstream"] {
        for file in files_below(&manifest().join("src").join(folder), "rs") {
            let source = fs::read_to_string(&file).unwrap();
            let code: String = product_lines(&source).collect::<Vec<_>>().join("\n");
            for name in ["user.v1", "UserService", "users::"] {
                assert!(!code.contains(name), "{} names {name}", file.display());
            }
        }
    }
}

#[test]
fn no_code_knows_the_services_of_the_examples() {
    let mut names = Vec::new();
    for file in files_below(&manifest().join("examples/upstreams/protos"), "proto") {
        let proto = fs::read_to_string(&file).unwrap();
        let named = |keyword: &str| {
            let line = proto.lines().find_map(|line| line.strip_prefix(keyword))?;
            Some(line.trim_end_matches([';', ' ', '{']).to_owned())
        };
        // One file has messages alone.
        if let Some(service) = named("service ") {
            names.push(format!("{}.{service}", named("package ").unwrap()));
        }
    }
    assert_eq!(names.len(), 5, "{names:?}");
    for file in files_below(&manifest().join("src"), "rs") {
        let source = fs::read_to_string(&file).unwrap();
        for name in &names {
            assert!(!source.contains(name), "{} names {name}", file.display());
        }
    }
}

#[test]
fn an_arrow_is_seen_in_every_form_of_import() {
    let code =
        "use crate::{\n    config::{A, B},\n    gateway::C,\n    D,\n};\nlet x = crate::status::Y;";
    let names: Vec<_> = names_behind(code, "crate::").into_iter().collect();
    assert_eq!(names, ["D", "config", "gateway", "status"]);
}
