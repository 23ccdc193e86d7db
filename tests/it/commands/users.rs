//! `lastpop user`: lists, one user, and changing users one by one.

use super::server::{Lastpop, Over};
use super::{Ended, UNCHANGED, WHY};
use crate::support::pop3::Pop3;
use crate::support::wait;

/// What stands above changes.
const CHANGES: &str = "subject\tbefore\tafter\tin_force\trule\tfollowers\tdry_run\n";

/// The changes that were made or tried, without the header.
#[track_caller]
fn changes(ended: &Ended) -> &str {
    ended.fine(&[]).stdout.strip_prefix(CHANGES).unwrap_or_else(|| panic!("{ended:?}"))
}

#[test]
fn the_same_over_tcp_and_over_a_unix_socket() {
    for over in [Over::Tcp, Over::Unix] {
        let lastpop = Lastpop::shared(over);
        lastpop.import("b@same.example,notice\na/c@same.example,pop3\n");
        let listed = lastpop.run(&["user", "list", "--domain", "same.example"]);
        assert_eq!(listed.first_column(), ["a/c@same.example", "b@same.example"]);
        assert_eq!(
            changes(&lastpop.because(&["user", "set", "a/c@same.example", "imap-only"])).lines().count(),
            1
        );
        lastpop
            .run(&["user", "show", "A/c@same.EXAMPLE"])
            .fine(&["a/c@same.example\tsame.example\timap-only\tuser\t"]);
    }
}

#[test]
fn users_are_listed_as_tsv_json_and_a_table() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@list.example,pop3\nb@list.example,notice\n");
    let list = |more: &[&str]| lastpop.run(&[&["user", "list", "--domain", "list.example"], more].concat());
    let tsv = list(&[]);
    let header = tsv.stdout.lines().next().unwrap_or_default();
    assert!(header.starts_with("user\tdomain\tmode\trule\tsetting\tset_since\t"), "{header}");
    assert!(header.ends_with("\tnotice_dismissed\tfarewell_dismissed\tunhide_since"), "{header}");
    let rows = tsv.rows();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1][..5], ["b@list.example", "list.example", "notice", "user", "notice"]);
    assert_eq!(rows[1].len(), header.split('\t').count());

    let json = list(&["--format", "json"]).json();
    let users: Vec<_> = json.as_array().expect("an array").iter().map(|user| &user["user"]).collect();
    assert_eq!(users, ["a@list.example", "b@list.example"]);
    assert_eq!(json[0]["setting"]["mode"], "pop3");

    let table = list(&["--format", "table", "--mode", "notice"]);
    let words: Vec<Vec<&str>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = ["user", "mode", "rule", "last", "seen", "client", "tls", "sessions", "messages"];
    assert_eq!(words[0], [&header[..], &["refused", "hidden", "messages"]].concat());
    assert_eq!(words[1..], [["b@list.example", "notice", "user", "0", "0", "0"]]);
}

#[test]
fn who_was_seen_and_who_was_not() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let user = lastpop.mailbox("seen@seen.example").clone();
    lastpop.deliver(&user, &[b"Subject: a\r\n\r\nb\r\n"]);
    lastpop.import("never@seen.example,inherit\nset@seen.example,notice\n");
    let mut session = lastpop.proxy().login(&user);
    assert!(session.command("RETR 1").starts_with("+OK"));
    session.message();
    assert!(session.command("QUIT").starts_with("+OK"));
    let listed = |more: &[&str]| -> Vec<String> {
        let list = lastpop.run(&[&["user", "list", "--domain", "seen.example"], more].concat());
        list.first_column().into_iter().map(str::to_owned).collect()
    };
    wait::until("the login is written down", || {
        (listed(&["--seen-after", "1h"]) == [user.name.as_str()]).then_some(())
    });
    // What nobody has set, and who was never here, is no user.
    assert_eq!(listed(&[]), ["seen@seen.example", "set@seen.example"]);
    assert_eq!(listed(&["--seen-before", "2020-01-01"]), ["set@seen.example"]);
    assert_eq!(listed(&["--search", "SEEN@", "--mode", "pop3"]), [user.name.as_str()]);
    assert_eq!(listed(&["--family", "netscape"]), [""; 0]);
    wait::until("the session is written down", || {
        let show = lastpop.run(&["user", "show", &user.name, "--format", "json"]).json();
        (show["usage"]["messages"] == 1).then_some(())
    });
    let table = lastpop.run(&["user", "show", &user.name, "--format", "table"]);
    let line = |name: &str| {
        let line = table.fine(&[]).stdout.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {table:?}")).trim().to_owned()
    };
    assert_eq!(
        (line("rule"), line("sessions"), line("address")),
        ("config".into(), "1".into(), "127.0.0.1".into())
    );
    assert!(line("last seen").ends_with('Z') && line("keeps mail") == "yes", "{table:?}");
    let wrong = lastpop.run(&["user", "list", "--seen-after", "soon"]);
    wrong.failed(2, &["'soon' for '--seen-after <DATE>'", "expected a moment such as", "such as \"30d\""]);
    lastpop.run(&["user", "list", "--mode", "imap"]).failed(2, &["pop3, notice, brownout, imap-only"]);
}

#[test]
fn lists_are_paged_through() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@page.example,pop3\nb@page.example,pop3\nd/e@page.example,pop3\n");
    let page = |more: &[&str]| {
        lastpop.run(&[&["user", "list", "--domain", "page.example", "--limit", "2"], more].concat())
    };
    let first = page(&[]);
    assert_eq!(first.first_column(), ["a@page.example", "b@page.example"]);
    assert_eq!(
        first.stderr,
        "lastpop: there are more: add --after 'b@page.example' for the next page, or --all\n"
    );
    let second = page(&["--after", "b@page.example"]);
    assert_eq!((second.first_column(), second.stderr.as_str()), (vec!["d/e@page.example"], ""));
    page(&["--all"]).failed(2, &["cannot be used with"]);
    lastpop.run(&["user", "list", "--limit", "1001"]).failed(2, &["1001 is not in 1..=1000"]);
}

/// Whatever can log in can be asked for by name: nothing in it is taken for a part of the way there.
#[test]
fn odd_names_are_names() {
    const NAMES: [&str; 14] = [
        "..",
        ".",
        "...",
        "a/b@odd.example",
        "100%@odd.example",
        "%2f@odd.example",
        "%",
        "a b?c#d@odd.example",
        "ķēniņš@odd.example",
        "*",
        "import",
        "a+b;c=d&e@odd.example",
        "\\\"'{x}:@odd.example",
        "@",
    ];
    let lastpop = Lastpop::shared(Over::Tcp);
    for name in NAMES {
        lastpop.because(&["user", "set", name, "notice"]).fine(&[&format!("{name}\tinherit\tnotice\t")]);
        assert_eq!(lastpop.run(&["user", "show", name]).first_column(), [name]);
        lastpop.run(&["user", "explain", name]).fine(&[&format!("\n{name}\tnotice\tuser\t")]);
        assert_eq!(lastpop.run(&["user", "history", name]).rows()[0][4], name);
        assert_eq!(lastpop.run(&["audit", "--subject", name]).rows()[0][4], name);
        lastpop.because(&["user", "undo", name]).fine(&[&format!("{name}\tnotice\tinherit\t")]);
    }
    for domain in ["..", ".", "ķ.example", "_", "x"] {
        lastpop
            .because(&["domain", "set", domain, "notice"])
            .fine(&[&format!("{domain}\tinherit\tnotice\tnotice\tdomain\t0")]);
        assert_eq!(lastpop.run(&["domain", "show", domain]).first_column(), [domain]);
        lastpop.because(&["domain", "undo", domain]).fine(&[&format!("{domain}\tnotice\tinherit\t")]);
    }
}

#[test]
fn a_mode_is_set_explained_and_undone() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let user = "d/e@set.example";
    let set = |more: &[&str]| lastpop.because(&[&["user", "set", user][..], more].concat());
    let dry = set(&["imap-only", "--dry-run"]);
    assert_eq!(changes(&dry), "d/e@set.example\tinherit\timap-only\timap-only\tuser\t\ttrue\n");
    dry.noted("lastpop: d/e@set.example: Nobody of that name has logged in yet.").noted(UNCHANGED);
    lastpop.run(&["user", "explain", user]).failed(1, &["d/e@set.example is not known here"]);
    let set_now = set(&["imap-only"]);
    assert_eq!(changes(&set_now), "d/e@set.example\tinherit\timap-only\timap-only\tuser\t\tfalse\n");
    set_now.noted("Nobody of that name has logged in yet.");
    let shown = lastpop.run(&["user", "show", user, "--format", "json"]).json();
    assert_eq!(
        (&shown["effective"]["mode"], &shown["effective"]["rule"]),
        (&"imap-only".into(), &"user".into())
    );
    assert!(shown["explanation"].is_array(), "{shown}");

    let planned = set(&["notice", "--from", "2099-12-01 10:00 Europe/Riga"]);
    let plan = "imap-only\timap-only>notice@2099-12-01T08:00:00Z\timap-only\tuser\t\tfalse\n";
    assert_eq!(changes(&planned), format!("{user}\t{plan}"));
    let explained = lastpop.run(&["user", "explain", user, "--format", "table"]);
    explained.fine(&[
        "d/e@set.example: imap-only since 20",
        " UTC, because the user's rule says so.\n1. The user's rule says imap-only since ",
        ", and notice from 2099-12-01 08:00 UTC on. This decides.\n",
        "\n5. The configuration's default (policy.mode) says pop3; but the user's rule comes first.\n",
        "\nFrom 2099-12-01 08:00 UTC on it will be notice, because the user's rule will say so.\n",
    ]);
    let row = lastpop.run(&["user", "explain", user]);
    row.fine(&[
        "user\tmode\trule\texplanation\nd/e@set.example\timap-only\tuser\td/e@set.example: imap-only",
    ]);
    let json = lastpop.run(&["user", "explain", user, "--format", "json"]).json();
    assert_eq!((&json["mode"], json["explanation"].as_array().map(Vec::len)), (&"imap-only".into(), Some(7)));

    let undone = lastpop.because(&["user", "undo", user, "--dry-run"]);
    assert_eq!(undone.stderr, UNCHANGED);
    let undone = lastpop.because(&["user", "undo", user]);
    let back = "imap-only>notice@2099-12-01T08:00:00Z\timap-only\timap-only\tuser\t\tfalse\n";
    assert_eq!(changes(&undone), format!("{user}\t{back}"));
    set(&["inherit", "--format", "table"]).fine(&["before", "imap-only", "inherit", "pop3", "config"]);

    let history = lastpop.run(&["user", "history", user]);
    let told: Vec<_> = history.rows().iter().map(|row| row[1..8].join(" ")).collect();
    assert_eq!(
        told,
        [
            "an-admin set user d/e@set.example imap-only inherit ticket 4711",
            "an-admin undo user d/e@set.example imap-only>notice@2099-12-01T08:00:00Z imap-only ticket 4711",
            "an-admin set user d/e@set.example imap-only imap-only>notice@2099-12-01T08:00:00Z ticket 4711",
            "an-admin set user d/e@set.example inherit imap-only ticket 4711",
        ]
    );
    assert_eq!(lastpop.run(&["audit", "--subject", user]).stdout, history.stdout);
    let table = lastpop.run(&["user", "history", user, "--format", "table"]);
    table.fine(&["imap-only, notice from 2099-12-01 08:00Z"]);
}

#[test]
fn several_users_and_some_that_are_unknown() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@several.example,pop3\nb@several.example,notice\n");
    let names = ["a@several.example", "nobody@several.example", "b@several.example"];
    let ended = lastpop.because(&[&["user", "undo"][..], &names].concat());
    ended.failed(
        1,
        &[
            "nobody@several.example: there is no change of nobody@several.example left to undo\n",
            "lastpop: 1 of 3 could not be changed; the reasons are above\n",
        ],
    );
    assert_eq!(ended.stdout.lines().count(), 3, "{ended:?}");
    let unknown = "nobody@several.example is not known here: nobody of that name has logged in through lastpop, and \
        nothing was set. Is the spelling right, and the domain?\n";
    for asked in [&["show"][..], &["explain"], &["unhide", WHY[0], WHY[1]]] {
        let ended = lastpop.run(&[&["user"], asked, &["nobody@several.example"]].concat());
        assert_eq!(ended.failed(1, &[]).stderr, format!("lastpop: {unknown}"));
    }
    let history = lastpop.run(&["user", "history", "nobody@several.example", "--format", "table"]);
    assert_eq!(history.fine(&[]).stdout, "(none)\n");
    lastpop.because(&["user", "set", "a\nb", "pop3"]).failed(1, &["Nobody can log in with such a name"]);
    // Who can log in can be set, and plays with nobody's columns.
    let odd = lastpop.because(&["user", "set", "a\tb@several.example", "pop3"]);
    assert_eq!(changes(&odd), "a\\tb@several.example\tinherit\tpop3\tpop3\tuser\t\tfalse\n");
}

#[test]
fn a_mode_or_a_date_that_is_none() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let set = |more: &[&str]| lastpop.because(&[&["user", "set", "a@wrong.example"][..], more].concat());
    set(&["imap"]).failed(
        2,
        &["`imap` is no mode: it is \"pop3\", \"notice\", \"brownout\" or \"imap-only\", or inherit"],
    );
    set(&[]).failed(2, &["one name or more, and behind them the mode"]);
    set(&["notice", "--from", "tomorrow"])
        .failed(2, &["'tomorrow' for '--from <DATE>'", "2026-12-01 10:00 Europe/Riga"]);
    set(&["notice", "--from", "2026-12-01 10:00"])
        .failed(2, &["this time could be anywhere: add a time zone"]);
    lastpop
        .because(&["user", "unhide", "a@x", "--since", "1 May"])
        .failed(2, &["a day such as \"2026-11-01\""]);
    lastpop.run(&["user", "show", "a@wrong.example"]).failed(1, &["is not known here"]);
}

#[test]
fn leaving_imap_only_for_a_second_download_has_to_be_confirmed() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let user = "a@farewell.example";
    let set = |more: &[&str]| lastpop.because(&[&["user", "set", user][..], more].concat());
    set(&["imap-only"]).fine(&["\timap-only\tuser\t"]);
    let undo = ["user", "undo", user];
    // A date is no way around it: a plan leads there as well.
    let later = ["pop3", "--from", "2099-12-01"];
    for refused in [set(&["pop3"]), set(&["inherit", "--dry-run"]), set(&later), lastpop.because(&undo)] {
        refused.failed(1, &[
            "a@farewell.example has seen nothing but the notice (response = \"notice\"), so mail programs have forgotten",
            "will download all mail again. Nothing was changed. Send confirm_redownload = true (--confirm-redownload) if",
        ]);
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
    }
    set(&[&later[..], &["--confirm-redownload"]].concat())
        .fine(&["imap-only>pop3@2099-12-01T00:00:00Z\timap-only"]);
    lastpop.because(&undo).fine(&["\timap-only\timap-only\tuser"]);
    let list = lastpop.file("back.csv", "user,mode\na@farewell.example,pop3\n");
    let import = lastpop.because(&["user", "import", &list]);
    import.failed(
        1,
        &["lastpop: 1 user has seen nothing but the notice", "(--confirm-redownload) if that is meant\n"],
    );
    assert_eq!(import.stdout, "");
    let confirmed = lastpop.because(&[&undo[..], &["--confirm-redownload"]].concat());
    assert_eq!(changes(&confirmed), "a@farewell.example\timap-only\tinherit\tpop3\tconfig\t\tfalse\n");
}

#[test]
fn hidden_messages_come_back() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let user = lastpop.mailbox("hides@hidden.example").clone();
    lastpop.deliver(&user, &[b"Subject: a\r\n\r\nb\r\n".as_slice(); 3]);
    let count = |session: &mut Pop3| session.command("STAT").split(' ').nth(1).map(str::to_owned);
    let mut session = lastpop.proxy().login(&user);
    for command in ["DELE 1", "DELE 2", "QUIT"] {
        assert!(session.command(command).starts_with("+OK"), "{command}");
    }
    let mut session = lastpop.proxy().login(&user);
    assert_eq!(count(&mut session).as_deref(), Some("1"));
    assert!(session.command("QUIT").starts_with("+OK"));
    wait::until("what is hidden is written down", || {
        let list = lastpop.run(&["user", "list", "--search", &user.name, "--format", "json"]).json();
        (list[0]["usage"]["hidden_messages"] == 2).then_some(())
    });
    let unhide = |more: &[&str]| lastpop.because(&[&["user", "unhide", &user.name][..], more].concat());
    let since =
        || lastpop.run(&["user", "show", &user.name, "--format", "json"]).json()["unhide_since"].clone();
    let header = "user\tsince\tmessages\tdone\tdry_run\n";
    let dry = unhide(&["--dry-run"]);
    assert_eq!(dry.fine(&[]).stdout, format!("{header}hides@hidden.example\t\t2\tfalse\ttrue\n"));
    let would =
        "lastpop: hides@hidden.example: The order would be carried out at the customer's next login.\n";
    assert_eq!((dry.stderr, since()), (format!("{would}{UNCHANGED}"), serde_json::Value::Null));
    let later = unhide(&["--since", "2026-11-01"]);
    assert_eq!(later.fine(&[]).stdout, format!("{header}hides@hidden.example\t2026-11-01\t\tfalse\tfalse\n"));
    assert_eq!(since(), "2026-11-01");
    let said =
        "hides@hidden.example: The order is recorded, and is carried out at the customer's next login.\n";
    assert_eq!(later.stderr, format!("lastpop: {said}"));
    unhide(&["--format", "table"]).fine(&["user", "messages", "done", "hides@hidden.example", "2", "no"]);
    assert_eq!(since(), "1970-01-01");
    wait::until("the messages are back", || {
        let mut session = lastpop.proxy().login(&user);
        (count(&mut session).as_deref() == Some("3")).then_some(())
    });
    lastpop.run(&["user", "history", &user.name]).fine(&["\tan-admin\tunhide\tuser\thides@hidden.example\t"]);
}
