//! The transcripts that lastpop and Dovecot are compared by: what clients, scanners and vandals say.
//!
//! None says QUIT after DELE, so the mailbox stays as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::playback::{Answer, Script, Step, labelled, step};
use crate::support::dovecot::User;

/// Both servers close after this many bad commands; scripts stay below.
const BAD_COMMANDS_BEFORE_LOGIN: usize = 2;
const BAD_COMMANDS: usize = 15;

/// All scripts but the logins, for a maildrop of `count` messages.
pub(crate) fn all(count: usize) -> Vec<Script> {
    let mut scripts = vec![listings(count), deletions(count), pipelined(count), verbs()];
    scripts.extend(bad_arguments());
    scripts.extend(unknown_commands());
    scripts.extend(before_login());
    scripts
}

fn script(name: &str, login: bool, steps: Vec<Step>) -> Script {
    Script { name: name.to_owned(), login, steps }
}

/// The same commands in both states, in portions that no server closes on.
fn portions(name: &str, login: bool, portion: usize, commands: &[&str]) -> Vec<Script> {
    commands
        .chunks(portion)
        .map(|chunk| {
            let steps = chunk.iter().map(|command| step(command, Answer::Status)).collect();
            script(name, login, steps)
        })
        .collect()
}

fn listings(count: usize) -> Script {
    let mut steps = vec![
        step("STAT", Answer::Line),
        step("LIST", Answer::Listing),
        step("UIDL", Answer::Listing),
        step("CAPA", Answer::Unlisted),
    ];
    for number in 1..=count {
        steps.push(step(&format!("LIST {number}"), Answer::Line));
        steps.push(step(&format!("UIDL {number}"), Answer::Line));
    }
    let beyond = count + 1;
    for verb in ["LIST", "UIDL", "RETR", "DELE"] {
        let command = format!("{verb} {beyond}");
        steps.push(labelled(&format!("{verb} beyond the last"), &command, Answer::Status));
    }
    steps.push(labelled("TOP beyond the last", &format!("TOP {beyond} 1"), Answer::Status));
    script("listings", true, steps)
}

fn deletions(count: usize) -> Script {
    let mut steps = vec![step("DELE 2", Answer::Status)];
    for command in ["DELE 2", "RETR 2", "TOP 2 0", "LIST 2", "UIDL 2"] {
        steps.push(labelled(&format!("{command}, deleted"), command, Answer::Status));
    }
    steps.push(labelled("DELE of the last", &format!("DELE {count}"), Answer::Status));
    for (command, answer) in [
        ("STAT", Answer::Line),
        ("LIST", Answer::Listing),
        ("UIDL", Answer::Listing),
        ("LIST 3", Answer::Line),
        ("UIDL 3", Answer::Line),
        ("RETR 3", Answer::Message),
    ] {
        steps.push(labelled(&format!("{command} with deletions"), command, answer));
    }
    for (command, answer) in [
        ("RSET", Answer::Status),
        ("STAT", Answer::Line),
        ("LIST", Answer::Listing),
        ("UIDL 2", Answer::Line),
        ("RETR 2", Answer::Message),
        ("DELE 2", Answer::Status),
        ("RSET", Answer::Status),
    ] {
        steps.push(labelled(&format!("{command} after RSET"), command, answer));
    }
    for number in 1..=count {
        steps.push(labelled("DELE of all", &format!("DELE {number}"), Answer::Status));
    }
    for (command, answer) in [("STAT", Answer::Line), ("LIST", Answer::Listing), ("UIDL", Answer::Listing)] {
        steps.push(labelled(&format!("{command} of nothing"), command, answer));
    }
    script("deletions", true, steps)
}

/// Many commands in one write, with the answers in order.
fn pipelined(count: usize) -> Script {
    let mut octets = Vec::new();
    let mut answers = Vec::new();
    let mut add = |command: String, answer| {
        octets.extend(command.into_bytes());
        octets.extend(b"\r\n");
        answers.push(answer);
    };
    add("STAT".to_owned(), Answer::Line);
    for number in 1..=count.min(3) {
        add(format!("LIST {number}"), Answer::Line);
        add(format!("RETR {number}"), Answer::Message);
        add(format!("DELE {number}"), Answer::Status);
        add(format!("TOP {number} 1"), Answer::Status);
    }
    for _ in 0..200 {
        add("NOOP".to_owned(), Answer::Status);
    }
    add("RSET".to_owned(), Answer::Status);
    add("UIDL".to_owned(), Answer::Listing);
    add("QUIT".to_owned(), Answer::Status);
    add("STAT".to_owned(), Answer::Closed);
    script("pipelined", true, vec![Step { label: "all at once".to_owned(), octets, answers }])
}

/// Verbs in any case, and the line ends that clients send.
fn verbs() -> Script {
    let mut steps = vec![
        step("noop", Answer::Status),
        step("sTaT", Answer::Line),
        step("list 1", Answer::Line),
        step("Uidl 1", Answer::Line),
        step("top 1 0", Answer::Message),
        step("retr 1", Answer::Message),
        step("dele 1", Answer::Status),
        step("rset", Answer::Status),
    ];
    let bare = b"NOOP\nSTAT\n".to_vec();
    let answers = vec![Answer::Status, Answer::Line];
    steps.push(Step { label: "bare LF".to_owned(), octets: bare, answers });
    steps.push(step("quit", Answer::Status));
    script("verbs", true, steps)
}

/// Numbers that are none, and arguments too many or too few. RSET after each undoes a DELE that was
/// accepted.
fn bad_arguments() -> Vec<Script> {
    let numbers = [
        "0",
        "-1",
        "+1",
        "01",
        "1x",
        "1 x",
        "x",
        "1.0",
        "0x1",
        "4294967295",
        "4294967296",
        "4294967297",
        "18446744073709551617",
        "100000000000000000000000",
        "1 ",
        " 1",
        "\t1",
    ];
    let mut scripts = Vec::new();
    for verb in ["LIST", "UIDL", "RETR", "DELE"] {
        let mut steps = Vec::new();
        for number in numbers {
            let command = format!("{verb} {number}");
            steps.push(step(&command, accepted(verb)));
            steps.push(step("RSET", Answer::Status));
        }
        scripts.push(script("numbers", true, steps));
    }
    let tops = [
        "TOP",
        "TOP 1",
        "TOP 1 -1",
        "TOP 1 +1",
        "TOP 1 01",
        "TOP 1 x",
        "TOP 1 1x",
        "TOP 1 1 1",
        "TOP 0 1",
        "TOP -1 1",
        "TOP 01 1",
        "TOP 4294967297 1",
        "TOP 1 4294967297",
        "TOP 1 100000000000000000000000",
        "TOP 1 1 ",
        "TOP  1 1",
        "TOP 1  1",
        "TOP 1 ",
    ];

    let steps = tops.iter().map(|command| step(command, Answer::Message));
    scripts.push(script("numbers", true, steps.collect()));
    let missing = ["RETR", "DELE", "TOP"].map(|command| step(command, Answer::Status));
    scripts.push(script("numbers", true, missing.into()));
    let superfluous = ["NOOP x", "STAT x", "RSET x", "LIST 1 1", "UIDL 1 1", "RETR 1 1", "DELE 1 1"];
    scripts.extend(portions("superfluous arguments", true, BAD_COMMANDS, &superfluous));
    scripts
}

/// What follows the status when a questionable number is taken after all.
fn accepted(verb: &str) -> Answer {
    match verb {
        "RETR" => Answer::Message,
        "DELE" => Answer::Status,
        _ => Answer::Line,
    }
}

fn unknown_commands() -> Vec<Script> {
    let long = format!("NOOP {}", "x".repeat(600));
    let unknown = [
        "",
        " ",
        " NOOP",
        "FOO",
        "FOO BAR",
        "HELO example.org",
        "XTND XMIT",
        "GET / HTTP/1.1",
        "NOOPNOOP",
        "R\u{e9}TR 1",
        "TOP1 1",
        "STLS",
        "APOP user digest",
    ];
    let after_login = ["USER user", "PASS password", "AUTH PLAIN", "LAST", "UTF8"];
    let mut scripts = portions("unknown commands", true, BAD_COMMANDS, &unknown);
    scripts.extend(portions("commands of the other state", true, BAD_COMMANDS, &after_login));
    for command in ["NOOP:", "RETR:1"] {
        scripts.push(script("a colon", true, vec![step(command, Answer::Status)]));
    }
    let patience = (1..=3 * BAD_COMMANDS).flat_map(|count| {
        let label = if count < 20 { "up to 19" } else { "20 and more" };
        [labelled(label, "RETR 0", Answer::Status), labelled(label, "NOOP", Answer::Status)]
    });
    scripts.push(script("bad commands between good ones", true, patience.collect()));
    let steps = vec![labelled("NOOP and 600 octets", &long, Answer::Status)];
    scripts.push(script("a long line", true, steps));
    scripts
}

fn before_login() -> Vec<Script> {
    let mailbox =
        ["STAT", "LIST", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "RSET", "NOOP", "FOO", "", "PASS x"];
    let mut scripts = portions("before login", false, BAD_COMMANDS_BEFORE_LOGIN, &mailbox);
    let alone = ["USER", "PASS", "AUTH FOO", "STLS x", "CAPA x", "QUIT x"];
    scripts.extend(portions("before login", false, 1, &alone));
    let steps = vec![
        step("CAPA", Answer::Unlisted),
        step("AUTH", Answer::Set),
        step("USER user", Answer::Status),
        step("USER user", Answer::Status),
        step("QUIT", Answer::Status),
        step("NOOP", Answer::Closed),
    ];
    scripts.push(script("before login", false, steps));
    scripts
}

/// Every way to log in, and to fail at it: a name and the client's lines.
///
/// Each is played as a user of its own, because a failure slows that user's next login down.
pub(crate) const LOGINS: &[(&str, &[&str])] = &[
    ("USER and PASS", &["USER {name}", "PASS {password}"]),
    ("user and pass", &["user {name}", "pass {password}"]),
    ("USER twice", &["USER nobody", "USER {name}", "PASS {password}"]),
    ("wrong password", &["USER {name}", "PASS wrong"]),
    ("unknown user", &["USER nobody", "PASS wrong"]),
    ("wrong, then right", &["USER {name}", "PASS wrong", "USER {name}", "PASS {password}"]),
    ("empty password", &["USER {name}", "PASS "]),
    ("PASS with a space too many", &["USER {name}", "PASS {password} "]),
    ("AUTH PLAIN", &["AUTH PLAIN", "{plain}"]),
    ("AUTH PLAIN at once", &["AUTH PLAIN {plain}"]),
    ("auth plain at once", &["auth plain {plain}"]),
    ("AUTH PLAIN with itself as authzid", &["AUTH PLAIN {authzid}"]),
    ("AUTH PLAIN =", &["AUTH PLAIN ="]),
    ("AUTH PLAIN cancelled", &["AUTH PLAIN", "*", "AUTH PLAIN", "{plain}"]),
    ("AUTH PLAIN with no base64", &["AUTH PLAIN", "#", "AUTH PLAIN {plain}"]),
    ("AUTH PLAIN with half of it", &["AUTH PLAIN {name64}"]),
    ("AUTH LOGIN", &["AUTH LOGIN", "{name64}", "{password64}"]),
    ("AUTH LOGIN at once", &["AUTH LOGIN {name64}", "{password64}"]),
    ("AUTH LOGIN, wrong password", &["AUTH LOGIN", "{name64}", "{name64}"]),
    ("AUTH LOGIN cancelled at once", &["AUTH LOGIN", "*", "AUTH LOGIN", "{name64}", "{password64}"]),
    ("AUTH LOGIN cancelled late", &["AUTH LOGIN", "{name64}", "*", "USER {name}", "PASS {password}"]),
];

/// One script for each of [`LOGINS`] and the user at the same place.
pub(crate) fn logins(users: &[User]) -> impl Iterator<Item = Script> {
    LOGINS.iter().zip(users).map(|((label, lines), User { name, password, .. })| {
        let fill = |line: &str| {
            line.replace("{name}", name)
                .replace("{password}", password)
                .replace("{name64}", &BASE64.encode(name))
                .replace("{password64}", &BASE64.encode(password))
                .replace("{plain}", &BASE64.encode(format!("\0{name}\0{password}")))
                .replace("{authzid}", &BASE64.encode(format!("{name}\0{name}\0{password}")))
        };
        let mut steps: Vec<Step> = lines
            .iter()
            .enumerate()
            .map(|(index, line)| labelled(&format!("line {index}"), &fill(line), Answer::Status))
            .collect();
        steps.push(labelled("then STAT", "STAT", Answer::Line));
        script(label, false, steps)
    })
}
