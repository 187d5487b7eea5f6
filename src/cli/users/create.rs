//! `transom users create`. A password comes from standard input alone: arguments are seen by every
//! process of the machine, and kept in histories.

use std::io::{self, IsTerminal as _, Read, Write};

use clap::Args;

use super::{
    Error,
    connection::{Connection, Deadline},
    output::{OutputOptions, UserWriter},
};
use crate::users::v1::CreateUserRequest;

/// More is not read; the service says what a password may be.
const PASSWORD_READ_BYTES: u64 = 64 << 10;

#[derive(Args)]
pub(super) struct Create {
    /// The user's email
    #[arg(long)]
    email: String,

    /// The user's name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,

    /// Read the password from standard input, up to a line end behind it; without one, the user
    /// cannot log in
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    deadline: Deadline,
}

impl Create {
    pub(super) async fn run(self, output: &mut dyn Write) -> Result<u8, Error> {
        let client = self.connection.client(&self.deadline)?;
        let password = match self.password_stdin {
            true if io::stdin().is_terminal() => {
                let error = "--password-stdin: a terminal would show the password: send it through \
                             a pipe, or from a file";
                return Err(Error::Usage(error.to_owned()));
            }
            true => password(&mut io::stdin().lock()).map_err(Error::Usage)?,
            false => String::new(),
        };
        let request = CreateUserRequest { email: self.email, name: self.name, password };
        let user = client.create(request).await?;
        UserWriter::new(output, self.output.format())?.write(&user)?;
        Ok(0)
    }
}

/// What `input` holds, up to a line end behind it.
fn password(input: &mut dyn Read) -> Result<String, String> {
    let mut text = Vec::new();
    let read = input.take(PASSWORD_READ_BYTES + 1).read_to_end(&mut text);
    read.map_err(|error| format!("--password-stdin: {error}"))?;
    if text.len() as u64 > PASSWORD_READ_BYTES {
        return Err("--password-stdin: more than 64 KiB is no password".to_owned());
    }
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.is_empty() {
        return Err("--password-stdin: standard input is empty".to_owned());
    }
    let text = String::from_utf8(text.to_vec());
    text.map_err(|_| "--password-stdin: a password is UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_ends_before_its_line_end() {
        let read = |text: &str| password(&mut text.as_bytes());
        for text in ["correct horse", "correct horse\n", "correct horse\r\n"] {
            assert_eq!(read(text).as_deref(), Ok("correct horse"));
        }
        assert_eq!(read(" a\n\n").as_deref(), Ok(" a\n"));
        for nothing in ["", "\n", "\r\n"] {
            assert!(read(nothing).is_err());
        }
        assert!(read(&"x".repeat(70 << 10)).is_err());
        assert!(password(&mut &b"s\xffcret"[..]).is_err_and(|error| !error.contains("cret")));
    }
}
