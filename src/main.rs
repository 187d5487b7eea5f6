//! The `transom` binary: arguments, configuration, run, exit code.

#![forbid(unsafe_code)]

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use tracing_subscriber::EnvFilter;
use transom::{
    app,
    cli::{self, Action, LogFormat, UsersError},
};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Action::Serve(config, log_format)) => {
            log_to_stderr(log_format);
            end(app::serve(*config, announce))
        }
        Ok(Action::UserService(config, log_format)) => {
            log_to_stderr(log_format);
            end(app::user_service(*config, announce))
        }
        Ok(Action::Token { config, subject, lifetime }) => {
            match app::token(*config, &subject, lifetime) {
                Ok(token) => written(print(&format!("{token}\n")), 0),
                Err(error) => fail(&error.to_string(), 1),
            }
        }
        Ok(Action::Explain(explanation)) => {
            let (code, result) = explanation.run(&mut io::stdin().lock(), &mut io::stdout().lock());
            written(result, code)
        }
        Ok(Action::Users(command)) => match command.run(&mut io::stdout().lock()) {
            Ok(code) => ExitCode::from(code),
            Err(UsersError::Usage(error)) => fail(&error, 2),
            Err(UsersError::Failed(error)) => fail(&error, 1),
            Err(UsersError::Output(error)) => written(Err(error), 0),
        },
        Ok(Action::Print(text)) => written(print(&text), 0),
        Ok(Action::Fail(text)) => written(print(&text), 1),
        Err(cli::Error::Config(error)) => fail(&error, 78),
        Err(cli::Error::Request(error)) => fail(&error, 2),
        Err(cli::Error::Usage(error)) => {
            written(error.print(), u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

fn end(result: Result<(), app::Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

/// A gateway serves although nobody can read its banner.
fn announce(banner: &str) {
    let _ = print(banner);
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// `code`, if everything could be written. A reader that went away has what it wanted; any other
/// failure means that something is missing.
fn written(result: io::Result<()>, code: u8) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("not everything is told: {error}"), 1)
        }
        _ => ExitCode::from(code),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "transom: {error}");
    ExitCode::from(code)
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let is_terminal = io::stderr().is_terminal();
    if format == LogFormat::Json || (format == LogFormat::Auto && !is_terminal) {
        log.json().flatten_event(true).init();
    } else {
        log.with_ansi(is_terminal && std::env::var_os("NO_COLOR").is_none())
            .with_target(false)
            .init();
    }
}
