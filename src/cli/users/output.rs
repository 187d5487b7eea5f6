//! Users as they are printed: lines of ProtoJSON, or a table whose rows need no other.

use std::io::{self, IsTerminal as _, Write};

use clap::{Args, ValueEnum};

use super::failure::printable;
use crate::users::v1::{User, UserStatus};

#[derive(Args)]
pub(super) struct OutputOptions {
    /// How users are printed [default: table on a terminal, json otherwise]
    #[arg(long, value_enum)]
    output: Option<Output>,
}

impl OutputOptions {
    pub(super) fn format(&self) -> Output {
        self.output.unwrap_or(match io::stdout().is_terminal() {
            true => Output::Table,
            false => Output::Json,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns, for people
    Table,
    /// A line of JSON for each user, as import takes them
    Json,
}

/// Writes users one by one.
pub(super) struct UserWriter<'w> {
    output: &'w mut dyn Write,
    format: Output,
}

impl<'w> UserWriter<'w> {
    pub(super) fn new(output: &'w mut dyn Write, format: Output) -> io::Result<Self> {
        if format == Output::Table {
            write_row(output, ["ID", "CREATED", "STATUS", "EMAIL", "NAME"])?;
        }
        Ok(Self { output, format })
    }

    pub(super) fn write(&mut self, user: &User) -> io::Result<()> {
        match self.format {
            Output::Json => {
                let line = json(user).map_err(|error| {
                    io::Error::other(format!("user {} is no JSON: {error}", printable(&user.id)))
                })?;
                self.output.write_all(line.as_bytes())?;
                self.output.write_all(b"\n")
            }
            Output::Table => {
                let [id, email, name] = [&user.id, &user.email, &user.name].map(|t| printable(t));
                write_row(self.output, [&id, &created(user), &status(user), &email, &name])
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Widths are those of what is usual: the first row cannot wait for the last.
fn write_row(output: &mut dyn Write, cells: [&str; 5]) -> io::Result<()> {
    let [id, created, status, email, name] = cells;
    let row = format!("{id:<36}  {created:<20}  {status:<8}  {email:<28}  {name}");
    writeln!(output, "{}", row.trim_end())
}

/// To the second.
fn created(user: &User) -> String {
    let time = user.created_at.and_then(|time| serde_json::to_value(time).ok());
    let time = time.as_ref().and_then(|time| time.as_str()?.get(..19));
    time.map_or_else(|| "-".to_owned(), |time| format!("{time}Z"))
}

fn status(user: &User) -> String {
    match UserStatus::try_from(user.status) {
        Ok(status) => status.as_str_name().trim_start_matches("USER_STATUS_").to_owned(),
        Err(_) => user.status.to_string(),
    }
}

/// ProtoJSON. What pbjson writes otherwise is mended: UTC as `+00:00`, and a number that is no
/// status here, as a newer service may have it, not at all.
fn json(user: &User) -> serde_json::Result<String> {
    if UserStatus::try_from(user.status).is_err() {
        let mut value = serde_json::to_value(User { status: 0, ..user.clone() })?;
        value["status"] = user.status.into();
        return serde_json::to_string(&value);
    }
    let mut line = serde_json::to_string(user)?;
    if user.created_at.is_some() && line.ends_with("+00:00\"}") {
        line.truncate(line.len() - "+00:00\"}".len());
        line.push_str("Z\"}");
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use pbjson_types::Timestamp;

    use super::*;

    fn user() -> User {
        User {
            id: "01a1fedd-ecbd-7024-907d-e47e26f7c097".into(),
            email: "ada@example.com".into(),
            name: "Ada\n\u{1b}[31m".into(),
            status: 1,
            created_at: Some(Timestamp { seconds: 1_795_277_319, nanos: 357_037_000 }),
        }
    }

    fn written(format: Output, user: &User) -> String {
        let mut output = Vec::new();
        let mut writer = UserWriter::new(&mut output, format).unwrap();
        writer.write(user).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_line_is_the_json_that_the_gateway_answers() {
        assert_eq!(
            written(Output::Json, &user()),
            "{\"id\":\"01a1fedd-ecbd-7024-907d-e47e26f7c097\",\"email\":\"ada@example.com\",\
             \"name\":\"Ada\\n\\u001b[31m\",\"status\":\"USER_STATUS_ACTIVE\",\
             \"createdAt\":\"2026-11-21T16:08:39.357037Z\"}\n"
        );
        let newer = User { status: 7, created_at: None, ..user() };
        assert!(written(Output::Json, &newer).contains("\"status\":7"));
        let named = User { created_at: None, status: 0, name: "+00:00".into(), ..user() };
        assert!(written(Output::Json, &named).ends_with("\"name\":\"+00:00\"}\n"));
    }

    #[test]
    fn a_row_of_the_table_is_a_line_that_steers_no_terminal() {
        let table = written(Output::Table, &user());
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].find("EMAIL"), lines[1].find("ada@"), "{table}");
        assert!(lines[1].contains("2026-11-21T16:08:39Z  ACTIVE  ") && !table.contains('\u{1b}'));
    }
}
