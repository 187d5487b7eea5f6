//! What the README says of the configuration is so.

use std::fmt::Debug;

use transom::config::{Config, Upstream};

/// The key = value lines of a block, table headers, and what is commented out.
fn count_keys(toml: &str) -> usize {
    toml.lines()
        .filter(|line| {
            line.contains(" = ")
                || line.starts_with("[a")
                || line.starts_with("[l")
                || line.starts_with("[d")
                || line.starts_with("[c")
                || line.starts_with("[p")
        })
        .count()
}

fn count_fields(value: &impl Debug) -> usize {
    format!("{value:#?}").lines().filter(|line| line.contains(": ")).count()
}

#[test]
fn the_configuration_in_the_readme_is_the_default() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut blocks =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());

    let toml = blocks.next().unwrap();
    let documented: Config = toml::from_str(toml).unwrap();
    assert_eq!(format!("{documented:#?}"), format!("{:#?}", Config::default()));
    // Every key is there; `upstreams` has a block of its own.
    assert_eq!(count_keys(toml) + 1, count_fields(&documented));

    let toml = blocks.next().unwrap();
    let documented: Config = toml::from_str(toml).unwrap();
    let url = documented.upstreams[0].url.clone();
    let default = Upstream { url, ..Upstream::default() };
    assert_eq!(format!("{:#?}", documented.upstreams[0]), format!("{default:#?}"));
    assert_eq!(count_keys(toml), count_fields(&default));
}

/// What a block of the README holds.
fn blocks<'r>(readme: &'r str, language: &str) -> Vec<&'r str> {
    let begin = format!("```{language}\n");
    readme.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// What the binary prints, in a folder with `rules.yaml`.
fn prints(rules: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_transom"));
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRANSOM_")) {
        command.env_remove(variable);
    }
    let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn check_and_explain_print_what_the_readme_says() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let [sound, wrong] = blocks(&readme, "yaml")[..] else { panic!("not two files of rules") };
    let check = ["check", "--service-config", "rules.yaml"];
    assert!(prints(sound, &check).ends_with(", 0 errors, 0 warnings\n"), "{sound}");
    let told = prints(wrong, &check);
    assert!(blocks(&readme, "text").contains(&told.as_str()), "{told}");
    let create =
        ["explain", "POST /v1/users", "--data", r#"{"email":"ada@example.com"}"#, "--json"];
    let told = prints("", &create);
    assert!(blocks(&readme, "json").contains(&told.as_str()), "{told}");
    let first = readme.split("cargo run -- explain '").nth(1).unwrap().split('\'').next().unwrap();
    assert!(prints("", &["explain", first]).contains("\nrequest message\n"), "{first}");
}
