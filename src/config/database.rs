//! Which store the bundled user service keeps its users in.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::Deserialize;

/// A store's address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Database {
    /// `sqlite:FILE`: a file, made if it does not exist.
    SqliteFile(PathBuf),
    /// `sqlite::memory:`: gone with the process.
    SqliteMemory,
}

impl Default for Database {
    fn default() -> Self {
        Self::SqliteFile("transom.db".into())
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        match address.strip_prefix("sqlite:") {
            Some(":memory:") => Ok(Self::SqliteMemory),
            Some(file) if !file.is_empty() && !file.starts_with("//") => {
                Ok(Self::SqliteFile(file.into()))
            }
            _ => Err(format!("`{address}` is no store: write sqlite:FILE or sqlite::memory:")),
        }
    }
}

impl TryFrom<String> for Database {
    type Error = String;

    fn try_from(address: String) -> Result<Self, String> {
        address.parse()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqliteFile(file) => write!(f, "sqlite:{}", file.display()),
            Self::SqliteMemory => f.write_str("sqlite::memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        for address in ["sqlite:users.db", "sqlite:/var/lib/x.db", "sqlite::memory:"] {
            assert_eq!(address.parse::<Database>().unwrap().to_string(), address);
        }
        for wrong in ["", "sqlite:", "users.db", "mysql://x", "sqlite://x"] {
            assert!(wrong.parse::<Database>().is_err(), "{wrong}");
        }
    }
}
