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
    /// `postgres://USER@HOST/NAME`: a database that replicas can share.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database, of which nobody is shown more than user, host and name.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// All of it: the password too.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::SqliteFile("transom.db".into())
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        // What is wrong with it is found by who connects: nobody else is to see a password.
        if ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme)) {
            return Ok(Self::Postgres(PostgresUrl(address.to_owned())));
        }
        match address.strip_prefix("sqlite:") {
            Some(":memory:") => Ok(Self::SqliteMemory),
            Some(file) if !file.is_empty() && !file.starts_with("//") => {
                Ok(Self::SqliteFile(file.into()))
            }
            _ => Err("it is no store: write sqlite:FILE, sqlite::memory: or \
                      postgres://USER@HOST/NAME"
                .to_owned()),
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
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        // All up to the last @, even where the URL is not well-formed: what is in a password that
        // should have been encoded must not be taken for the host.
        let (secret, shown) = rest.rsplit_once('@').unwrap_or(("", rest));
        let user = secret.split(':').next().unwrap_or_default();
        // Behind a ? there may be a password as well.
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        write!(f, "{scheme}://{user}{at}{shown}")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        for address in [
            "sqlite:users.db",
            "sqlite:/var/lib/x.db",
            "sqlite::memory:",
            "postgres://db.example.com/users",
            "postgresql://ada@[::1]:5433/users",
        ] {
            assert_eq!(address.parse::<Database>().unwrap().to_string(), address);
        }
        for wrong in ["", "sqlite:", "users.db", "mysql://x", "sqlite://x"] {
            assert!(wrong.parse::<Database>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_is_shown_a_password() {
        for (address, shown) in [
            ("postgres://ada:secret@host:5433/users", "postgres://ada@host:5433/users"),
            ("postgres://ada:s/e@c?r#et@host/users", "postgres://ada@host/users"),
            ("postgres://:secret@host/users", "postgres://host/users"),
            ("postgres://host/users?user=ada&password=secret", "postgres://host/users"),
            ("postgres://ada:secret@host/users?password=secret@2", "postgres://ada@2"),
        ] {
            let database: Database = address.parse().unwrap();
            assert_eq!(database.to_string(), shown);
            assert_eq!(format!("{database:?}"), format!("Postgres({shown})"));
            let Database::Postgres(url) = database else { panic!("{shown}") };
            assert_eq!(url.expose(), address);
        }
        let misspelt = "postgre://ada:secret@host/users".parse::<Database>().unwrap_err();
        assert!(!misspelt.contains("secret"), "{misspelt}");
    }
}
