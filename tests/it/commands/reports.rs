//! `lastpop summary` and `lastpop audit`: how far the migration is, and who has changed what.

use super::server::{Lastpop, Over};
use crate::support::wait;

#[test]
fn the_summary_as_a_screen_for_programs_and_as_json() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@summary.example,imap-only\nb@summary.example,notice\nc@summary.example,pop3\n");
    let summary = wait::until("the users are counted", || {
        let summary = lastpop.run(&["summary"]);
        summary.fine(&[]).stdout.contains("\ndomain_users\tsummary.example\t3\n").then_some(summary)
    });
    let rows = summary.rows();
    let value = |name: &str, of: &str| -> u64 {
        let row = rows
            .iter()
            .find(|row| row[..2] == [name, of])
            .unwrap_or_else(|| panic!("{name} {of} in {summary:?}"));
        row[2].parse().expect("a number")
    };
    assert!(summary.stdout.starts_with("name\tof\tvalue\nusers\t\t"), "{summary:?}");
    assert!(value("users", "") >= 3 && value("mode", "imap-only") >= 1 && value("mode", "notice") >= 1);
    assert_eq!(value("domain_active_30", "summary.example"), 0);
    for (name, of) in
        [("active", "1d"), ("active", "7d"), ("active", "30d"), ("active", "90d"), ("knocking", "")]
    {
        assert!(value(name, of) <= value("users", ""), "{name}");
    }
    assert!(value("as_of", "") > 1_700_000_000);

    let table = lastpop.run(&["summary", "--format", "table"]);
    table.fine(&[
        " known, as of 20",
        "\n  imap-only  ",
        "\nused POP3 in the last\n  1 day  ",
        "\nrefused, still trying  0 in the last 30 days\n",
        "\nmailboxes nearly full  0 over 80 % of their quota\n",
        "\ndomains                active in 30 days, of known users\n",
    ]);
    let json = lastpop.run(&["summary", "--format", "json"]).json();
    assert!(json["summary"]["users"].as_u64() >= Some(3) && json["days"].is_array(), "{json}");
    assert_eq!(json["summary"]["modes"].as_array().map(Vec::len), Some(4));
}

#[test]
fn the_audit_trail_page_by_page() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let subject = "a@audit.example";
    for mode in ["pop3", "notice", "imap-only"] {
        lastpop.because(&["user", "set", subject, mode]).fine(&[]);
    }
    let audit = |more: &[&str]| lastpop.run(&[&["audit", "--subject", subject], more].concat());
    let first = audit(&["--limit", "2"]);
    let header = "at\tactor\taction\tkind\tsubject\tbefore\tafter\treason\tbatch\tid";
    assert_eq!(first.fine(&[]).stdout.lines().next(), Some(header));
    let settings = |ended: &super::Ended| -> Vec<String> {
        ended.rows().iter().map(|row| row[5..7].join(" ")).collect()
    };
    assert_eq!(settings(&first), ["notice imap-only", "pop3 notice"]);
    let cursor = first.rows()[1][9].to_owned();
    assert_eq!(
        first.stderr,
        format!("lastpop: there are more: add --after '{cursor}' for the next page, or --all\n")
    );
    let second = audit(&["--limit", "2", "--after", &cursor]);
    assert_eq!((settings(&second), second.stderr.as_str()), (vec!["inherit pop3".to_owned()], ""));
    let json = audit(&["--format", "json", "--limit", "1"]).json();
    assert_eq!((&json[0]["actor"], &json[0]["reason"]), (&"an-admin".into(), &"ticket 4711".into()));
    let table = audit(&["--format", "table"]);
    let words: Vec<Vec<&str>> =
        table.fine(&[]).stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["at", "actor", "action", "subject", "before", "after", "reason"]);
    assert_eq!(words[1][2..], ["an-admin", "set", subject, "notice", "imap-only", "ticket", "4711"]);
    assert_eq!(lastpop.run(&["audit", "--batch", "none", "--format", "json"]).stdout, "[]\n");
    assert_eq!(lastpop.run(&["audit", "--subject", "nobody", "--format", "table"]).stdout, "(none)\n");
}
