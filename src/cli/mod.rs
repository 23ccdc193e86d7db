//! The command line: the proxy itself, and the commands that speak to one that is running.

mod audit;
mod bearer;
mod bulk;
mod change;
mod client;
mod domain;
mod failure;
mod new_wave;
mod options;
mod output;
mod pages;
mod place;
mod rows;
mod session;
mod state;
mod stream;
mod summary;
mod table;
mod text;
mod token;
mod token_edit;
mod url;
mod user;
mod wave;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check;
use crate::serve::{self, StartError};
use failure::{Failure, exit};

/// A transparent POP3-to-IMAP migration proxy: the last POP3 server an ISP runs.
#[derive(Debug, Parser)]
#[command(name = "lastpop", version, about)]
#[command(
    after_help = "Exit codes: 0 fine, 2 usage, 78 bad configuration, 69 cannot be reached (nothing was changed), 1 anything else."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve POP3 until SIGTERM (which drains); SIGHUP reloads the configuration and the certificates.
    Serve {
        /// The configuration file.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = place::CONFIGURATION)]
        config: PathBuf,
    },
    /// Validate the configuration, connect to the upstream, and say what it can and cannot do.
    #[command(after_help = "Example:\n  lastpop check --user jane@example.net")]
    Check {
        /// The configuration file.
        #[arg(long, env = "LASTPOP_CONFIG", default_value = place::CONFIGURATION)]
        config: PathBuf,
        /// Open this user's mailbox with the master credentials as well, to see whether they work. Nothing is
        /// changed in it.
        #[arg(long)]
        user: Option<String>,
    },
    #[command(flatten)]
    Other(Box<Other>),
}

/// Commands that speak to a proxy that is running, or need none.
#[derive(Debug, Subcommand)]
enum Other {
    /// See who uses POP3, and change what POP3 does for them.
    User(user::User),
    /// See and change what POP3 does for whole domains, and for everyone.
    Domain(domain::Domain),
    /// Plan mode changes for many users, in dated steps.
    Wave(wave::Wave),
    /// List the sessions that are under way.
    Who(session::Who),
    /// End sessions that are under way.
    Kick(session::KickThem),
    /// Let a proxy take no new connections, and end when its sessions have, as SIGTERM does.
    Drain(session::Drain),
    /// Show who changed what, when and why, newest first.
    Audit(audit::Audit),
    /// Show how far the migration is.
    Summary(summary::Burndown),
    /// Make, list and revoke the tokens of the API.
    Token(token::Token),
    /// Back up and restore the state.
    State(state::State),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  lastpop completions bash > /etc/bash_completion.d/lastpop")]
    Completions {
        /// The shell.
        shell: pages::Shell,
    },
    /// Write a manual page for each command into a folder.
    #[command(after_help = "Example:\n  lastpop man /usr/local/share/man/man1")]
    Man {
        /// The folder; it is made if it is not there.
        folder: PathBuf,
    },
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::FAILURE, &format!("cannot start: {error}")),
    };
    match arguments.command {
        Command::Serve { config } => served(runtime.block_on(serve::serve(&config))),
        Command::Check { config, user } => checked(runtime.block_on(check::check(&config, user.as_deref()))),
        Command::Other(command) => {
            let done = runtime.block_on(command.run());
            // Nobody waits for what is still being read from standard input.
            runtime.shutdown_background();
            match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) if failure.is_reader_gone() => ExitCode::SUCCESS,
                Err(failure) => fail(failure.code(), &failure.to_string()),
            }
        }
    }
}

impl Other {
    /// Does what was asked.
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::User(command) => command.run().await,
            Self::Domain(command) => command.run().await,
            Self::Wave(command) => command.run().await,
            Self::Who(command) => command.run().await,
            Self::Kick(command) => command.run().await,
            Self::Drain(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Summary(command) => command.run().await,
            Self::Token(command) => command.run(),
            Self::State(command) => command.run().await,
            Self::Completions { shell } => pages::completions::<Arguments>(shell),
            Self::Man { folder } => pages::man::<Arguments>(&folder),
        }
    }
}

fn served(ended: Result<(), StartError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(code(&error), &error.to_string()),
    }
}

fn checked(verdict: Result<check::Verdict, StartError>) -> ExitCode {
    match verdict {
        Ok(check::Verdict::Usable) => ExitCode::SUCCESS,
        Ok(check::Verdict::MasterUnusable) => ExitCode::from(exit::FAILURE),
        Ok(check::Verdict::Unreachable) => ExitCode::from(exit::UNAVAILABLE),
        Err(error) => fail(code(&error), &error.to_string()),
    }
}

const fn code(error: &StartError) -> u8 {
    match error {
        StartError::Config(_) | StartError::Tls(_) | StartError::Settings(_) | StartError::Log(_) => {
            exit::CONFIG
        }
        StartError::Bind { .. }
        | StartError::Store(_)
        | StartError::Output(_)
        | StartError::Ended(_)
        | StartError::Internal(_) => exit::FAILURE,
    }
}

#[allow(clippy::print_stderr, reason = "the last word to whoever started us")]
fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("lastpop: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn every_command(command: &clap::Command, seen: &mut Vec<clap::Command>) {
        seen.push(command.clone());
        command.get_subcommands().for_each(|below| every_command(below, seen));
    }

    #[test]
    fn every_command_and_every_argument_is_explained() {
        let mut program = Arguments::command();
        program.build();
        let mut all = Vec::new();
        every_command(&program, &mut all);
        assert!(all.len() > 30, "{}", all.len());
        for command in all.iter().filter(|command| command.get_name() != "help") {
            let name = command.get_bin_name().unwrap_or(command.get_name());
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
            }
        }
    }

    #[test]
    fn examples_can_be_typed() {
        let mut program = Arguments::command();
        program.build();
        let mut all = Vec::new();
        every_command(&program, &mut all);
        let mut tried = 0;
        for command in all {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.replace("\\\n", " ").lines() {
                let Some(typed) = line.trim().strip_prefix("lastpop ") else { continue };
                let words =
                    words(typed.split(" | ").next().unwrap_or(typed).split(" > ").next().unwrap_or(typed));
                let parsed = Arguments::try_parse_from([vec!["lastpop".to_owned()], words].concat());
                assert!(parsed.is_ok(), "{line}: {}", parsed.expect_err("a mistake"));
                tried += 1;
            }
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn what_the_readme_shows_can_be_typed() {
        let readme = include_str!("../../README.md").replace("\\\n", " ");
        let typed: Vec<&str> = readme
            .lines()
            .map(|line| line.split(" #").next().unwrap_or(line))
            .map(|line| line.split("$(").nth(1).map_or(line, |inner| inner.trim_end_matches(')')))
            .map(|line| line.trim_start_matches("target/release/"))
            .filter_map(|line| line.strip_prefix("lastpop "))
            .collect();
        assert!(typed.len() > 10, "{typed:?}");
        for line in typed {
            let parsed = Arguments::try_parse_from([vec!["lastpop".to_owned()], words(line)].concat());
            assert!(parsed.is_ok(), "{line}: {}", parsed.expect_err("a mistake"));
        }
    }

    /// As a shell would take them: blanks separate, and '…' and "…" keep together.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![];
        for (at, part) in line.split(['\'', '"']).enumerate() {
            if at % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}
