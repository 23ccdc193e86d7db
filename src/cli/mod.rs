//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check;
use crate::serve::{self, StartError};

/// A transparent POP3-to-IMAP migration proxy: the last POP3 server an ISP runs.
#[derive(Debug, Parser)]
#[command(name = "lastpop", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve POP3 until SIGTERM (which drains); SIGHUP reloads the configuration and the certificates.
    Serve {
        /// The configuration file.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = "/etc/lastpop/lastpop.toml")]
        config: PathBuf,
    },
    /// Validate the configuration, connect to the upstream, and say what it can and cannot do.
    Check {
        /// The configuration file.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = "/etc/lastpop/lastpop.toml")]
        config: PathBuf,
    },
}

/// Exit codes: 0 fine, 2 usage (clap's), 78 bad configuration, 69 upstream unreachable, 1 anything else.
mod exit {
    pub(super) const FAILURE: u8 = 1;
    pub(super) const UNAVAILABLE: u8 = 69;
    pub(super) const CONFIG: u8 = 78;
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::FAILURE, &format!("cannot start: {error}")),
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Serve { config } => match serve::serve(&config).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(code(&error), &error.to_string()),
            },
            Command::Check { config } => match check::check(&config).await {
                Ok(check::Verdict::Usable) => ExitCode::SUCCESS,
                Ok(check::Verdict::Unreachable) => ExitCode::from(exit::UNAVAILABLE),
                Err(error) => fail(code(&error), &error.to_string()),
            },
        }
    })
}

const fn code(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) | StartError::Tls(_) | StartError::Settings(_) | StartError::Log(_) => {
            exit::CONFIG
        }
        StartError::Bind { .. } | StartError::Store(_) | StartError::Internal(_) => exit::FAILURE,
    }
}

#[allow(clippy::print_stderr, reason = "the last word to whoever started us")]
fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("lastpop: {message}");
    ExitCode::from(code)
}
