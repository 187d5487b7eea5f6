//! What the README says of the configuration is so.

use std::fmt::Debug;

use transom::config::{Config, Upstream};

/// The key = value lines of a block, table headers, and what is commented out.
fn count_keys(toml: &str) -> usize {
    toml.lines()
        .filter(|line| {
            line.contains(" = ")
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
