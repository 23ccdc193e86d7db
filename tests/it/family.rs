//! Is a mail program known by what it does? All sessions recorded in `tests/family` are played to the guess.
//!
//! Each file there holds sessions of one program, taken down by a relay between it and lastpop: its name, its
//! version and how it was driven, then for each session a line `== FAMILY: what was done` with the family that it
//! has to come out as, and what it said, line by line. User names, passwords and SASL responses are `…`.
//! In brackets: the TLS version when a handshake is done, `[logged in]`, `[-ERR]` behind a line that was refused,
//! `[more]` on a line when the next had arrived before this was answered, `[closed]` for a close without QUIT.
//!
//! To record another program, put such a relay in front of a server that offers what lastpop offers, take
//! sessions with and without new mail, with and without TLS, keeping mail on the server and deleting it.

use std::collections::BTreeMap;
use std::path::Path;

use lastpop::family::{Family, Trace, guess};
use lastpop::pop3::command::parse;

use crate::support::dovecot::Dovecot;
use crate::support::pop3::Transport;
use crate::support::proxy::{Proxy, Upstream};

/// A session: what it has to come out as, and what it said.
struct Recording {
    family: Family,
    what: String,
    lines: Vec<String>,
}

/// All sessions of all files, by file.
fn recordings() -> BTreeMap<String, Vec<Recording>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/family");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let program = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        let mut sessions: Vec<Recording> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("== ") {
                Some(head) => {
                    let (family, what) = head.split_once(": ").expect("FAMILY: what");
                    let (family, what) = (family.parse().expect("a family"), format!("{program}, {what}"));
                    sessions.push(Recording { family, what, lines: Vec::new() });
                }
                None => sessions.last_mut().expect("a head first").lines.push(line.to_owned()),
            }
        }
        all.insert(program, sessions);
    }
    all
}

/// Plays lines as a session would hand them on.
fn play<'a>(lines: impl IntoIterator<Item = &'a str>) -> Trace {
    let (mut trace, mut logged_in) = (Trace::default(), false);
    for line in lines {
        let (text, more) = line.strip_suffix(" [more]").map_or((line, false), |text| (text, true));
        match text {
            "[logged in]" => logged_in = true,
            "[closed]" | "[-ERR]" => {}
            tls if tls.starts_with("[TLS") => trace.tls_started(),
            response if response.starts_with('*') => {}
            text if logged_in => {
                trace.mailbox_line(text.as_bytes(), &parse(text.as_bytes()));
                if more {
                    trace.ahead();
                }
            }
            text => trace.login_line(text.as_bytes(), &parse(text.as_bytes())),
        }
    }
    trace
}

#[test]
fn recorded_sessions_come_out_as_what_they_were() {
    let mut wrong = Vec::new();
    for recording in recordings().values().flatten() {
        let trace = play(recording.lines.iter().map(String::as_str));
        let guessed = guess(&trace);
        if guessed != recording.family {
            wrong.push(format!("{}: {guessed}, not {} ({trace})", recording.what, recording.family));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A name is given to one program only, but for the libraries and the twins that are named so.
#[test]
fn every_family_was_recorded_and_no_program_is_taken_for_another() {
    let mut programs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (program, sessions) in recordings() {
        assert!(!sessions.is_empty(), "{program} has no session");
        for session in sessions {
            let of = programs.entry(session.family.as_str()).or_default();
            if !of.contains(&program) {
                of.push(program.clone());
            }
        }
    }
    for family in Family::ALL {
        let of = programs.get(family.as_str()).unwrap_or_else(|| panic!("nothing was recorded for {family}"));
        let expected: &[&str] = match family {
            Family::Unknown => continue,
            Family::CClient => &["alpine", "php-imap"],
            Family::MuttOrNeomutt => &["mutt", "neomutt"],
            Family::ThunderbirdOrMpop => &["mpop", "thunderbird"],
            alone => &[alone.as_str()],
        };
        assert_eq!(of, expected, "{family}");
    }
}

#[test]
fn what_no_program_is_known_for_has_no_name() {
    let sessions: &[&[&str]] = &[
        &[],
        &["QUIT"],
        &["USER …", "PASS …", "[logged in]", "QUIT"],
        &["USER …", "PASS …", "[logged in]", "[closed]"],
        // A browser and a TLS handshake in the clear.
        &["GET / HTTP/1.1", "Host: localhost", "Accept: */*"],
        &["\x16\x03\x01\x02", "\u{fffd}"],
        // By hand: in lower case, with mistakes, and a look at the first message.
        &["help", "user …", "pass …", "[logged in]", "stat", "list", "retr 1", "quit"],
        &["USER …", "PASS …", "[-ERR]", "USER …", "PASS …", "[logged in]", "LIST", "TOP 1 20", "QUIT"],
        // What any simple program does, with and without CAPA and AUTH, with and without new mail.
        &["USER …", "PASS …", "[logged in]", "STAT", "UIDL", "LIST", "RETR 1", "DELE 1", "QUIT"],
        &["USER …", "PASS …", "[logged in]", "STAT", "LIST", "RETR 1", "DELE 1", "RETR 2", "DELE 2", "QUIT"],
        &["CAPA", "USER …", "PASS …", "[logged in]", "STAT", "UIDL", "LIST", "RETR 1", "QUIT"],
        &["CAPA", "USER …", "PASS …", "[logged in]", "STAT", "LIST", "UIDL", "QUIT"],
        &["CAPA", "AUTH PLAIN …", "[logged in]", "STAT", "UIDL", "QUIT"],
        // The mechanisms asked for first, as programs did before CAPA.
        &["AUTH", "CAPA", "AUTH PLAIN", "* …", "[logged in]", "STAT", "LIST", "UIDL", "RETR 1", "QUIT"],
        // Who begins as a known program does and ends too early to be sure.
        &["USER …", "PASS …", "[logged in]", "UIDL", "LIST", "UIDL", "QUIT"],
        &["CAPA", "AUTH PLAIN", "* …", "[logged in]", "CAPA", "STAT", "UIDL", "RETR 1", "QUIT"],
        // A second try may be another program's order, or a person's.
        &["CAPA", "AUTH PLAIN", "* …", "[-ERR]", "AUTH PLAIN", "* …", "[logged in]", "RETR 1", "QUIT"],
    ];
    for session in sessions {
        assert_eq!(guess(&play(session.iter().copied())), Family::Unknown, "{session:?}");
    }
}

/// From the client's lines to the log, over every transport.
#[test]
fn the_log_names_the_family() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna", "a password");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("log.level", "\"debug\"")], &[]);
    for transport in [Transport::Plain, Transport::Starttls, Transport::Implicit] {
        let mut session = proxy.connect(transport);
        session.login(&user.name, &user.password);
        for _ in 0..2 {
            for command in ["UIDL", "LIST"] {
                assert!(session.command(command).starts_with("+OK"));
                session.body();
            }
        }
        assert!(session.command("QUIT").starts_with("+OK"));
        proxy.wait_until_left();
    }
    let log = proxy.log_with("\"message\":\"session ended\"", 3);
    assert_eq!(log.matches("\"family\":\"getmail\"").count(), 3, "{log}");
    assert_eq!(
        log.matches("\"trace\":\"login: User Pass mailbox: Uidl List Uidl List Quit\"").count(),
        3,
        "{log}"
    );
}
