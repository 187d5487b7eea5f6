//! Where the service is and who calls it: the flags that every `transom users` command has.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use http::Uri;
use tonic::metadata::{Ascii, MetadataValue};

use super::{Error, channel, client::Client};

/// For calls of one message, if nobody says otherwise.
const DEADLINE_MS: u64 = 5_000;

#[derive(Args)]
pub(super) struct Connection {
    /// The gateway, or the service itself (`transom user-service` is http://127.0.0.1:50051)
    #[arg(long, value_name = "URL", env = "TRANSOM_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,

    /// Sent as `authorization: Bearer`; better said as TRANSOM_TOKEN, which no list of processes shows
    #[arg(long, value_name = "TOKEN", env = "TRANSOM_TOKEN", hide_env_values = true)]
    token: Option<Token>,

    /// A PEM file of the authorities that a https service's certificate may come from [default:
    /// those that the machine trusts]
    #[arg(long, value_name = "FILE", env = "TRANSOM_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// What a command has beside it that makes a call of one message.
#[derive(Args)]
pub(super) struct Deadline {
    /// How long each attempt at the call may take
    #[arg(
        long,
        value_name = "MS",
        env = "TRANSOM_DEADLINE_MS",
        default_value_t = DEADLINE_MS,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000),
    )]
    deadline_ms: u64,
}

impl Default for Deadline {
    fn default() -> Self {
        Self { deadline_ms: DEADLINE_MS }
    }
}

impl Connection {
    /// A client that connects when it is first needed.
    pub(super) fn client(&self, deadline: &Deadline) -> Result<Client, Error> {
        let authorization = match &self.token {
            Some(token) => token.authorization()?,
            None => None,
        };
        let channel = channel::lazy(&self.url.0, self.ca_file.as_deref()).map_err(Error::Usage)?;
        let deadline = Duration::from_millis(deadline.deadline_ms);
        Ok(Client::new(channel, self.url.to_string(), authorization, deadline))
    }
}

/// The origin of a service.
#[derive(Clone)]
struct Url(Uri);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected http://HOST:PORT or https://HOST:PORT";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_origin = uri.path().trim_matches('/').is_empty() && uri.query().is_none();
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                Err("a URL is sent without its user and password: say --token")
            }
            Some(_) if is_known && is_origin => Ok(Self(uri)),
            _ => Err(FORM),
        }
    }
}

/// A bearer token. Reading one never fails, since clap would tell it in the error.
#[derive(Clone)]
struct Token(String);

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The header's value; none of an empty token.
    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Error> {
        let token = self.0.trim();
        if token.is_empty() {
            return Ok(None);
        }
        let no_token = || Error::Usage("the token is not printable ASCII".to_owned());
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(no_token());
        }
        let value = MetadataValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        deadline: Deadline,
    }

    fn parse(arguments: &[&str]) -> Result<Connection, clap::Error> {
        Cli::try_parse_from(["users"].iter().chain(arguments)).map(|cli| cli.connection)
    }

    #[tokio::test]
    async fn a_token_is_told_nowhere() {
        let told = |token: &str| {
            let connection = parse(&["--token", token]).unwrap();
            let token = format!("{:?}", connection.token);
            format!(
                "{token} {:?}",
                connection.client(&Deadline::default()).map(|client| format!("{client:?}"))
            )
        };
        for token in ["s3cret-token", "s3cret\ntoken", "s3crét", "--s3cret"] {
            match token.starts_with('-') {
                true => assert!(parse(&["--token", token]).is_err()),
                false => assert!(!told(token).contains("s3c"), "{}", told(token)),
            }
        }
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("TRANSOM_TOKEN") && !help.contains("TRANSOM_TOKEN="), "{help}");
    }

    #[test]
    fn a_url_is_an_origin() {
        for url in ["http://127.0.0.1:50051", "https://example.com", "http://[::1]:8080/"] {
            assert!(parse(&["--url", url]).is_ok(), "{url}");
        }
        let refused =
            ["", "localhost:8080", "ftp://a", "http://a/path", "http://a/?x", "http://u:p@a"];
        for url in refused {
            assert!(parse(&["--url", url]).is_err(), "{url}");
        }
        let url: Url = "http://a:1/".parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(url.to_string(), "http://a:1");
    }

    #[test]
    fn a_deadline_is_some_time() {
        let default = Cli::try_parse_from(["users"]).unwrap().deadline;
        assert_eq!(default.deadline_ms, 5_000);
        assert!(parse(&["--deadline-ms", "0"]).is_err());
    }
}
