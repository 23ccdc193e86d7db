//! The load generator of `benches/compare.sh`: POP3 clients and bare IMAP clients that check every octet they
//! get, and a relay that makes an upstream distant. It uses nothing but the standard library, so that it
//! compiles in seconds. Results go to stdout, as `name=value` on one line.
#![allow(clippy::print_stdout, reason = "a program for a script speaks on stdout")]

mod args;
mod clients;
mod drain;
mod imap;
mod mail;
mod poll;
mod pop3;
mod processes;
mod relay;
mod tally;
mod wire;

use std::process::ExitCode;

/// What can go wrong ends the program, with a sentence.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "Usage: load fill|poll|drain|first-byte|relay --NAME VALUE ...
benches/compare.sh starts it, and shows how.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(what) = words.next() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = args::Args::new(words).and_then(|args| match what.as_str() {
        "fill" => mail::fill(&args),
        "poll" => poll::run(&args),
        "drain" => drain::run(&args),
        "first-byte" => drain::first_byte(&args),
        "relay" => relay::run(&args),
        _ => Err(USAGE.into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load {what}: {error}");
            ExitCode::FAILURE
        }
    }
}
