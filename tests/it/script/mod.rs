//! Transcript tests: dialogues in `tests/scripts/*.txt` that a mail administrator can read, played against the real
//! binary. The runner is the mail client *and* the IMAP server; it knows no semantics, it only compares bytes, so a
//! transcript shows exactly what goes over both wires.
//!
//! # The format
//!
//! ```text
//! # a comment; the first line of a file names the rule that it shows
//! @ config maildrop.seen = "never"     a setting for this transcript (the value is TOML)
//! @ include opening                    tests/scripts/include/opening.txt, word for word
//! @ absent CANARY                      no reply may contain this
//! @ secret hunter2                     neither a reply nor the log may contain this
//! @ pieces whole                       how bytes are cut, if not the usual "whole 1"
//! @ time 2026-12-01 09:30 Europe/Riga  lastpop's clock shows this and stands still, until the next such line; a time
//!                                      that a clock shows twice is written with its offset: 2026-10-25T03:30+02
//! @ set user alice@example.net notice  an administrator sets a rule: of `user NAME`, of `domain NAME`, of `everyone`;
//!                                      `-` inherits, `notice>imap-only@2026-12-01T00:00:00Z` plans
//! @ undo user alice@example.net        ... and takes the newest change of it back
//! @ unhide alice@example.net           ... and has hidden mail shown again, or mail `since 2026-11-01`
//! @ language alice@example.net lv      what is known of a user; only before the dialogue begins
//!
//! C: USER alice                        the client sends this line
//! S: +OK                               lastpop replies
//! > [connects]                         lastpop connects to the IMAP server; what follows is about this connection
//! > a1 LOGIN "alice" "secret"          the IMAP server must receive this; a1 stands for the real tag from now on
//! < a1 OK done                         the IMAP server answers
//! ```
//!
//! * What one peer sends in a row, without another line in between, goes out in one write: this is how pipelining is
//!   written. Every transcript runs twice, once so and once with every octet in a write of its own, for client and
//!   server alike.
//! * `S: +OK …` and `S: -ERR …` match by their beginning, up to a space or the line's end (`S: +OK 2 320` is not
//!   `+OK 2 3201`); with a `$` at the end they match exactly. `S: -ERR [-]` is a `-ERR` without a response code.
//!   `S: -ERR [AUTH] | -ERR [IN-USE]` is either. `S: +` is a challenge. Status replies must be ASCII and at most 512
//!   octets long. Every other line matches exactly. `...` at the end of any line stands for anything, `S: ...` for
//!   any line. `S: [3 times] +OK` is three such lines.
//! * `S: [lines with TOP; UIDL without STLS]` reads to the lone dot, in any order.
//! * `S: [closes]`, `S: [resets]`, `S: [ends]`: lastpop closes cleanly and says nothing before; resets, perhaps after
//!   a part of a message, but never after a lone dot or `-ERR`; does either and says nothing before. What follows of
//!   this client is about a new connection.
//! * `C: [closes]` (a FIN; the client still reads) and `C: [resets]`; `< [closes]` and `< [resets]` for the server.
//! * `> [closes]`: lastpop leaves this upstream connection, saying nothing more, or LOGOUT.
//! * `C=`, `S=`, `<=`, `>=` are raw octets without CRLF: `\r \n \t \0 \\ \xHH`, and `\(TEXT*1000)` repeats.
//! * `{#}` at the end of a `<` line is a literal's length, counted up to the next line that begins with `)`.
//! * `@ time`, `@ set`, `@ undo` and `@ unhide` may stand in the middle of the dialogue as well. The runner goes on when
//!   lastpop has noticed. Names are in canonical form.
//! * `C2:` and `S2:` are a second client; `>1` and `<1` are the first upstream connection, `>` and `<` the newest.
//!
//! After the last step the runner closes the clients and checks what holds for every session: the clients got nothing
//! more, upstream nothing was said but LOGOUT, every connection was left, no connection was made that the transcript
//! does not name, and lastpop is still running without a panic in its log.

mod answer;
mod deed;
mod list;
mod parse;
mod pattern;
mod proxy;
mod run;
mod step;
mod verdict;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// Plays `tests/scripts/NAME.txt` in every way that it asks for, at the same time.
fn play(name: &str) {
    let path = directory().join(format!("{}.txt", name.replace('_', "-")));
    let script = match parse::file(&path) {
        Ok(script) => script,
        Err(problem) => panic!("\n{problem}"),
    };
    let outcomes: Vec<Result<(), String>> = thread::scope(|scope| {
        let runs: Vec<_> =
            script.pieces.iter().map(|piece| scope.spawn(|| run::run(&script, *piece))).collect();
        runs.into_iter().map(|run| run.join().expect("the runner does not panic")).collect()
    });
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_transcript_is_played() {
    let entries =
        fs::read_dir(directory()).expect("tests/scripts can be listed").map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    let there: BTreeSet<String> =
        files.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let played: BTreeSet<String> =
        list::NAMES.iter().map(|name| format!("{}.txt", name.replace('_', "-"))).collect();
    let forgotten: Vec<_> = there.symmetric_difference(&played).collect();
    assert!(
        forgotten.is_empty(),
        "in tests/scripts or in tests/it/script/list.rs, but not in both: {forgotten:?}"
    );
}
