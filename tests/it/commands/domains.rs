//! `lastpop domain`: the modes of domains, and of everyone.

use super::UNCHANGED;
use super::server::{Lastpop, Over};

#[test]
fn a_domain_is_set_shown_and_undone() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@domain.example,imap-only\nb@domain.example,pop3\nb@domain.example,inherit\n");
    lastpop.because(&["user", "set", "c@domain.example", "notice"]).fine(&[]);
    lastpop.because(&["user", "undo", "c@domain.example"]).fine(&[]);
    let set = |more: &[&str]| lastpop.because(&[&["domain", "set", "Domain.example"][..], more].concat());
    let dry = set(&["notice", "--dry-run"]);
    // One user follows the domain: the one who has had a setting, and has none any more.
    dry.fine(&["domain.example\tinherit\tnotice\tnotice\tdomain\t1\ttrue\n"]);
    assert_eq!(dry.stderr, UNCHANGED);
    set(&["notice"]).fine(&["domain.example\tinherit\tnotice\tnotice\tdomain\t1\tfalse\n"]);
    lastpop.run(&["user", "explain", "c@domain.example"]).fine(&["\nc@domain.example\tnotice\tdomain\t"]);

    let show = lastpop.run(&["domain", "show", "domain.example"]);
    assert_eq!(
        show.fine(&[]).stdout.lines().next(),
        Some("domain\tmode\trule\tsetting\tset_since\tconfigured\tusers\tactive_30")
    );
    let row = &show.rows()[0];
    assert_eq!(
        (row[..4].join(" "), &row[5..]),
        ("domain.example notice domain notice".to_owned(), &["", "2", "0"][..])
    );
    let json = lastpop.run(&["domain", "show", "domain.example", "--format", "json"]).json();
    assert_eq!(json["setting"]["mode"], "notice");
    let names = lastpop.run(&["domain", "list"]);
    let names = names.first_column();
    assert!(
        names[0] == "*" && names.contains(&"domain.example") && names.contains(&"farewell.example"),
        "{names:?}"
    );
    lastpop.run(&["domain", "list", "--format", "table"]).fine(&["active 30", "domain.example"]);

    let planned = set(&["imap-only", "--from", "2099-12-01", "--format", "table"]);
    planned.fine(&["notice, imap-only from 2099-12-01 00:00Z"]);
    let undo = ["domain", "undo", "domain.example"];
    lastpop
        .because(&undo)
        .fine(&["domain.example\tnotice>imap-only@2099-12-01T00:00:00Z\tnotice\tnotice\tdomain\t1"]);
    lastpop.because(&undo).fine(&["domain.example\tnotice\tinherit\tpop3\tconfig\t1\tfalse\n"]);
    let nothing = lastpop.because(&undo);
    assert_eq!(nothing.failed(1, &[]).stderr, "lastpop: there is no change of domain.example left to undo\n");
    let table = lastpop.run(&["audit", "--subject", "domain.example", "--format", "table", "--limit", "1"]);
    table.fine(&["undo", "domain.example", "notice", "inherit", "ticket 4711"]);
}

#[test]
fn several_domains_and_what_is_none() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let ended = lastpop.because(&["domain", "set", "one.example", "a b", "two.example", "notice"]);
    ended.failed(
        1,
        &[
            "a b: That cannot be a domain: write what stands behind the @ of its users, or * for everyone\n",
            "1 of 3 could not be changed",
        ],
    );
    assert_eq!(ended.stdout.lines().count(), 3, "{ended:?}");
    lastpop.run(&["domain", "show", "a b"]).failed(1, &["That cannot be a domain"]);
    // Who asks for a domain without users learns what would hold for them.
    lastpop
        .run(&["domain", "show", "nowhere.example"])
        .fine(&["nowhere.example\tpop3\tconfig\tinherit\t\t\t0\t0\n"]);
    lastpop.because(&["domain", "set", "one.example", "imap"]).failed(2, &["`imap` is no mode"]);
    let confirmed = ["domain", "set", "farewell.example", "imap-only", "--dry-run"];
    lastpop.because(&confirmed).fine(&["farewell.example\tinherit\timap-only\timap-only\tdomain\t"]);
}

/// What holds for everyone is in nobody's way here: all other tests have another lastpop.
#[test]
fn everyone() {
    let lastpop = Lastpop::alone(Over::Unix);
    lastpop.import("a@one.example,imap-only\nb@one.example,inherit\n");
    let dry = lastpop.because(&["domain", "set", "*", "brownout", "--dry-run"]);
    dry.fine(&["*\tinherit\tbrownout\tbrownout\teveryone\t0\ttrue\n"]);
    let warning = "lastpop: *: No window is to come ([[policy.brownout]]), so nobody will be refused: this is like notice.\n";
    assert_eq!(dry.stderr, format!("{warning}{UNCHANGED}"));
    lastpop
        .because(&["domain", "set", "*", "notice"])
        .fine(&["*\tinherit\tnotice\tnotice\teveryone\t0\tfalse\n"]);
    lastpop.run(&["domain", "show", "x.example"]).fine(&["x.example\tnotice\teveryone\tinherit\t"]);
    lastpop.run(&["domain", "show", "*"]).fine(&["*\tnotice\teveryone\tnotice\t"]);
    lastpop
        .because(&["user", "set", "a@one.example", "inherit"])
        .fine(&["\timap-only\tinherit\tnotice\teveryone\t"]);
    lastpop
        .run(&["audit", "--subject", "*"])
        .fine(&["\tan-admin\tset\tdomain\t*\tinherit\tnotice\tticket 4711\t"]);
    lastpop.because(&["domain", "undo", "*"]).fine(&["*\tnotice\tinherit\tpop3\tconfig\t1\tfalse\n"]);
}
