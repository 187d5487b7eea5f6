//! What the README says of the configuration is so.

use transom::config::Config;

#[test]
fn the_configuration_in_the_readme_is_the_default() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let toml = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let documented: Config = toml::from_str(toml).unwrap();
    assert_eq!(format!("{documented:#?}"), format!("{:#?}", Config::default()));
    // Every key is there: none of them is filled in by a default.
    let keys = toml.lines().filter(|line| line.contains(" = ")).count();
    let fields = format!("{documented:#?}").lines().filter(|line| line.contains(": ")).count();
    let tables = toml.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!(keys + tables, fields);
}
