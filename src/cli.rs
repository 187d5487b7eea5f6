//! The command line: one file for each subcommand, flags over environment over file over default.

use std::{ffi::OsString, time::Duration};

use clap::{Parser, Subcommand};

use crate::config::Config;

mod check;
mod common;
mod explain;
mod routes;
mod schema;
mod serve;
mod token;
mod user_service;
mod users;
mod version;

pub use common::LogFormat;
pub use explain::Explanation;
pub use users::{Error as UsersError, UsersCommand};

/// What the command line asks for.
pub enum Action {
    /// Run the gateway.
    Serve(Box<Config>, LogFormat),
    /// Run the bundled service alone.
    UserService(Box<Config>, LogFormat),
    /// Print an access token for a user, signed with the store's key.
    Token {
        /// Where the key is, and what tokens say.
        config: Box<Config>,
        /// The user's id.
        subject: String,
        /// How long it is good.
        lifetime: Duration,
    },
    /// Explain requests.
    Explain(Box<Explanation>),
    /// Call a user service.
    Users(Box<UsersCommand>),
    /// Print this and exit.
    Print(String),
    /// Print this and exit with 1.
    Fail(String),
}

/// Why the command line cannot be followed.
pub enum Error {
    /// It cannot be read; or it asks for help. clap prints it and knows the exit code.
    Usage(clap::Error),
    /// The configuration it names is not right.
    Config(String),
    /// The request that is to be explained is none.
    Request(String),
}

/// Reads the command line.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action, Error> {
    let cli = Cli::try_parse_from(arguments).map_err(Error::Usage)?;
    match cli.command {
        Some(Command::Version) => Ok(Action::Print(version::text())),
        Some(Command::Serve(serve)) => serve.action(),
        Some(Command::UserService(service)) => service.action(),
        Some(Command::Token(token)) => token.action(),
        Some(Command::Routes(routes)) => routes.action(),
        Some(Command::Explain(explain)) => explain.action(),
        Some(Command::Check(check)) => check.action(),
        Some(Command::Users(users)) => Ok(Action::Users(Box::new(users))),
        None => cli.serve.action(),
    }
}

/// Puts any gRPC service on the web: REST/JSON, server-sent events and gRPC-Web on one port.
#[derive(Parser)]
#[command(
    name = "transom",
    version,
    args_conflicts_with_subcommands = true,
    before_help = EXAMPLES,
    after_help = SERVE_EXITS,
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

const EXAMPLES: &str = "Examples:
  transom                                           the bundled user service on http://127.0.0.1:8080
  transom serve --upstream http://127.0.0.1:50051   a gRPC service, known by server reflection";

const ROUTES_EXAMPLES: &str = "Examples:
  transom routes                                    the bundled user service's
  transom routes --upstream http://127.0.0.1:50051  a service's, asked by server reflection
  transom routes --proto protos --json              those of .proto files, for programs";

const EXPLAIN_EXAMPLES: &str = "Examples:
  transom explain 'GET /v1/users?page_size=1'           by the bundled service's routes
  transom explain --proto protos 'POST /v1/items' --data @item.json
  transom explain --upstream http://127.0.0.1:50051 --stdin < requests.jsonl";

const CHECK_EXAMPLES: &str = "Examples:
  transom check --proto protos                       .proto files, before they are deployed
  transom check --service-config rules.yaml          rules for the bundled service
  transom check --descriptor-set service.bin --service-config rules.yaml
  transom check --config transom.toml --json         all upstreams of a configuration, for programs";

const SERVICE_EXAMPLES: &str = "Examples:
  transom user-service                                on 127.0.0.1:50051, users in ./transom.db
  transom user-service --database sqlite::memory:     users that are forgotten at the end";

const TOKEN_EXAMPLES: &str = "Examples:
  transom token                                       with the key in ./transom.db, for 15 minutes
  transom token --subject 0197a000-… --lifetime-s 3600
  transom token --key key.pem                         with a key of your own";

const TOKEN_EXITS: &str = "Exit codes:
  0   the token is printed
  1   the store cannot be opened, or the token could not be written
  2   the command line is wrong, or there is no such store or key
  78  the configuration is wrong";

const SERVE_EXITS: &str = "Exit codes:
  0   it was told to stop
  1   it cannot run: the address is in use, or the user store cannot be opened
  2   the command line is wrong
  78  the configuration is wrong, or a schema cannot be served";

const ROUTES_EXITS: &str = "Exit codes:
  0   every route is printed
  1   they could not be written
  2   the command line is wrong
  78  the configuration is wrong, or a schema cannot be served";

const EXPLAIN_EXITS: &str = "Exit codes:
  0   the request would be served, or is answered by the server itself; always with --stdin
  1   it would be refused
  2   the command line is wrong, or what it says is no request
  78  the configuration is wrong, or a schema cannot be served";

const CHECK_EXITS: &str = "Exit codes:
  0   nothing is to be told
  1   there are errors or warnings
  2   the command line is wrong";

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (what `transom` alone does)
    #[command(before_help = EXAMPLES, after_help = SERVE_EXITS)]
    Serve(serve::Serve),
    /// Run the bundled user service alone, for gRPC callers
    #[command(before_help = SERVICE_EXAMPLES, after_help = SERVE_EXITS)]
    UserService(user_service::UserService),
    /// Print every route: HTTP method, path template, and what it calls
    #[command(before_help = ROUTES_EXAMPLES, after_help = ROUTES_EXITS)]
    Routes(routes::Routes),
    /// Tell what a request would be: its route and message, or its refusal; the method is not called
    #[command(before_help = EXPLAIN_EXAMPLES, after_help = EXPLAIN_EXITS)]
    Explain(explain::Explain),
    /// Tell what is wrong with schemas, rules and configuration, and what is probably not meant
    #[command(before_help = CHECK_EXAMPLES, after_help = CHECK_EXITS)]
    Check(check::Check),
    /// List, export, import, create and get users of a running service
    #[command(before_help = users::EXAMPLES, after_help = users::EXITS)]
    Users(UsersCommand),
    /// Print an access token of the bundled service without a login, for development
    #[command(before_help = TOKEN_EXAMPLES, after_help = TOKEN_EXITS)]
    Token(token::Token),
    /// Print the version
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let arguments = ["transom"].iter().chain(arguments).map(OsString::from);
        match parse(arguments) {
            Ok(Action::Serve(config, _)) => *config,
            _ => panic!("not served"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_no_subcommand_means() {
        assert_eq!(config(&[]).listen.to_string(), "127.0.0.1:8080");
        let flags = ["--listen", "127.0.0.1:1", "--database", "sqlite::memory:"];
        assert_eq!(config(&flags).listen.port(), 1);
        assert_eq!(config(&[&["serve"][..], &flags].concat()).database.to_string(), flags[3]);
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("transom.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let file_flag = ["--config", file.to_str().unwrap()];
        write("listen = \"127.0.0.1:7\"\n[limits]\nbody_limit_bytes = 5\n");
        let read = config(&file_flag);
        assert_eq!((read.listen.port(), read.limits.body_limit_bytes), (7, 5));
        assert_eq!(read.limits.json_depth_limit, 100);
        assert_eq!(
            config(&[&file_flag[..], &["--listen", "127.0.0.1:8"]].concat()).listen.port(),
            8
        );

        write("[limits]\nbody_limit = 5\n");
        let arguments = ["transom", "--config", file_flag[1]].map(OsString::from);
        let Err(Error::Config(error)) = parse(arguments.into_iter()) else { panic!() };
        assert!(error.contains("line 2") && error.contains("body_limit_bytes"), "{error}");
    }
}
