//! `lastpop who`, `lastpop kick`, `lastpop drain`: the sessions that are under way.

use super::UNCHANGED;
use super::server::{Lastpop, Over};
use crate::support::pop3::Pop3;
use crate::support::wait;

#[test]
fn sessions_are_seen_and_ended() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let user = lastpop.mailbox("kicked@kicked.example").clone();
    let login = || {
        // Nobody else comes from there.
        let mut session = Pop3::connect_from("127.0.7.7", lastpop.proxy().endpoints.plain);
        session.login(&user.name, &user.password);
        session
    };
    let (first, second) = (login(), login());
    let who = lastpop.run(&["who", "--user", "KICKED@kicked.example"]);
    let header = "session\tuser\taddress\ttls\tsince\tmode\tmessages\toctets\tdeleted";
    assert_eq!(who.fine(&[]).stdout.lines().next(), Some(header));
    let rows = who.rows();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(
            (&row[1..4], &row[5..]),
            (&[&*user.name, "127.0.7.7", ""][..], &["pop3", "0", "0", "0"][..])
        );
    }
    assert_eq!(
        lastpop.run(&["who", "--network", "127.0.7.0/24", "--limit", "1"]).first_column(),
        [rows[0][0]]
    );
    let json = lastpop.run(&["who", "--network", "127.0.7.7", "--format", "json"]).json();
    assert_eq!(json[1]["user"], "kicked@kicked.example");
    lastpop.run(&["who", "--user", "kicked@kicked.example", "--format", "table"]).fine(&[
        "octets",
        "127.0.7.7",
        "0 B",
    ]);
    lastpop.run(&["who", "--user", "nobody", "--format", "table"]).fine(&["(none)\n"]);

    let kick = |more: &[&str]| lastpop.because(&[&["kick"], more].concat());
    let dry = kick(&["--network", "127.0.7.7", "--dry-run"]);
    assert_eq!(
        (dry.fine(&[]).stdout.as_str(), dry.stderr.as_str()),
        ("sessions\tdry_run\n2\ttrue\n", UNCHANGED)
    );
    kick(&["--user", &user.name, "--dry-run", "--format", "table"]).fine(&["2 sessions would be ended\n"]);
    assert_eq!(kick(&["--session", rows[0][0]]).fine(&[]).stdout, "sessions\tdry_run\n1\tfalse\n");
    wait::until("one is left", || {
        let left = lastpop.run(&["who", "--user", &user.name]);
        (left.first_column() == [rows[1][0]]).then_some(())
    });
    assert_eq!(kick(&["--user", &user.name]).fine(&[]).stdout, "sessions\tdry_run\n1\tfalse\n");
    for mut session in [first, second] {
        let (rest, end) = session.end();
        assert!(rest.is_empty() && end.is_ok(), "{end:?}");
    }
    assert_eq!(kick(&["--network", "127.0.7.0/24", "--format", "json"]).json()["sessions"], 0);
    kick(&["--session", "nonsense", "--format", "table"]).fine(&["0 sessions were ended\n"]);
    kick(&[]).failed(2, &["<--user <USER>|--session <ID>|--network <NETWORK>>"]);
    kick(&["--user", "a", "--session", "b"]).failed(2, &["cannot be used with"]);
    kick(&["--network", "here"]).failed(2, &["expected a network such as 192.0.2.0/24"]);
    lastpop.run(&["who", "--watch"]).failed(2, &["--watch is for tables on a terminal"]);
}

#[test]
fn a_drain_begins_and_says_until_when() {
    let lastpop = Lastpop::alone(Over::Tcp);
    let user = lastpop.mailbox("kicked@kicked.example").clone();
    let mut session = lastpop.proxy().login(&user);
    let drain = |more: &[&str]| lastpop.because(&[&["drain"], more].concat());
    let dry = drain(&["--dry-run"]);
    assert!(dry.fine(&["sessions\tuntil\tdry_run\n1\t20"]).stdout.ends_with("Z\ttrue\n"), "{dry:?}");
    assert_eq!(dry.stderr, UNCHANGED);
    drain(&["--dry-run", "--format", "table"]).fine(&["1 session would have until 20", "Z to end\n"]);
    assert_eq!(drain(&["--dry-run", "--format", "json"]).json()["dry_run"], true);
    let begun = drain(&["--format", "table"]);
    assert_eq!(begun.fine(&["1 session has until 20"]).stderr, "");
    assert!(session.command("NOOP").starts_with("+OK"), "who is here may go on");
    assert!(session.command("QUIT").starts_with("+OK"));
}
