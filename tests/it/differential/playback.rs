//! One transcript, played to any POP3 server, and what came back in a form that can be compared.

use crate::support::pop3::{Body, Pop3};

/// How much of an answer is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The status indicator and the response code, if any (RFC 2449 §8); the words are free.
    Status,
    /// After `+OK` the whole line, which RFC 1939 spells (STAT, `LIST n`, `UIDL n`).
    Line,
    /// The status and, after `+OK`, every line of the listing.
    Listing,
    /// As `Listing`, but the order is free and so is the case (mechanisms).
    Set,
    /// The status and, after `+OK`, a listing that is read and not compared (CAPA).
    Unlisted,
    /// The status and, after `+OK`, length and hash of the un-stuffed message.
    Message,
    /// The server has closed, without another octet.
    Closed,
}

/// Octets to write at once, and the answers to read before the next step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// How differences name this step.
    pub(crate) label: String,
    /// What is written.
    pub(crate) octets: Vec<u8>,
    /// What is read.
    pub(crate) answers: Vec<Answer>,
}

/// A named list of steps on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// How differences name this script.
    pub(crate) name: String,
    /// Log in first?
    pub(crate) login: bool,
    /// What is said then.
    pub(crate) steps: Vec<Step>,
}

/// One command line and its answer.
pub(crate) fn step(command: &str, answer: Answer) -> Step {
    let visible = command.replace('\t', "␉");
    let label = match visible.strip_suffix(' ') {
        Some(rest) => format!("{rest}␠"),
        None => visible,
    };
    labelled(&label, command, answer)
}

/// One command line and its answer, under another name.
pub(crate) fn labelled(label: &str, command: &str, answer: Answer) -> Step {
    let octets = format!("{command}\r\n").into_bytes();
    Step { label: label.to_owned(), octets, answers: vec![answer] }
}

/// Plays `script` on a connection that has read the greeting, and logged in where the script says so.
/// Gives one line per step.
pub(crate) fn play(script: &Script, pop3: &mut Pop3) -> Vec<String> {
    let mut outcomes = Vec::new();
    for step in &script.steps {
        let outcome = match pop3.try_send(&step.octets) {
            Ok(()) => step.answers.iter().map(|answer| read(*answer, pop3)).collect(),
            Err(_) => vec!["closed".to_owned()],
        };
        outcomes.push(outcome.join(" | "));
    }
    outcomes
}

fn read(answer: Answer, pop3: &mut Pop3) -> String {
    let Some(line) = pop3.try_line() else {
        return "closed".to_owned();
    };
    if answer == Answer::Line && line.starts_with("+OK") {
        return line;
    }
    let status = status(&line);
    if !status.starts_with("+OK") {
        return status;
    }
    match answer {
        Answer::Status | Answer::Line => status,
        Answer::Listing => format!("{status} {}", pop3.listing().join(", ")),
        Answer::Set => {
            let mut lines: Vec<String> =
                pop3.listing().iter().map(|line| line.to_ascii_uppercase()).collect();
            lines.sort();
            format!("{status} {}", lines.join(", "))
        }
        Answer::Unlisted => {
            pop3.listing();
            status
        }
        Answer::Message => format!("{status} {}", in_words(&pop3.body())),
        Answer::Closed => format!("not closed: {line}"),
    }
}

/// The status indicator with the response code; `+ ` is a challenge and counts as a whole.
fn status(line: &str) -> String {
    let (indicator, text) = line.split_once(' ').unwrap_or((line, ""));
    if indicator == "+" {
        return line.to_owned();
    }
    match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((code, _)) if indicator == "-ERR" => format!("{indicator} [{code}]"),
        _ => indicator.to_owned(),
    }
}

/// A length and the beginning of a hash, for messages that people read.
fn in_words(body: &Body) -> String {
    let [a, b, c, d, ..] = body.sha256;
    format!("{} octets, sha256 {a:02x}{b:02x}{c:02x}{d:02x}…", body.length)
}
