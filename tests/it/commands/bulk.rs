//! `lastpop user import` and `lastpop user export`: many users as a file.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Command;

use serde_json::Value;

use super::server::{Lastpop, Over};
use super::{UNCHANGED, WHY};
use crate::support::api::VIEWER;

/// What stands above the report of an import.
const REPORT: &str = "rows\tchanged\tunchanged\tbad_lines\tdry_run\tbatch\n";

#[test]
fn an_import_names_the_lines_that_it_cannot_use() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@bulk.example,pop3\nb@bulk.example,notice\n");
    let text = "mode,user\nnotice,a@bulk.example\nimap,b@bulk.example\nnotice,b@bulk.example\n";
    let file = lastpop.file("more.csv", text);
    let import = |more: &[&str]| lastpop.because(&[&["user", "import", &file][..], more].concat());
    let bad = "lastpop: line 3: \"imap\" is no mode; write pop3, notice, brownout or imap-only, or inherit for none of \
        its own.\n";
    let new = "lastpop: users of the list who have never logged in: 2; are they spelled right?\n";
    let end = "Mend it and send it again\n";

    let dry = import(&["--dry-run"]);
    assert_eq!(dry.failed(1, &[]).stdout, format!("{REPORT}3\t1\t1\t1\ttrue\t\n"));
    let would = format!("lastpop: 1 line cannot be used; all others would be taken. {end}");
    assert_eq!(dry.stderr, format!("{bad}{new}{UNCHANGED}{would}"));
    assert_eq!(lastpop.run(&["user", "list", "--domain", "bulk.example", "--mode", "pop3"]).rows().len(), 1);

    let done = import(&["--format", "table"]);
    assert!(
        done.stdout.starts_with("3 lines: 1 changed, 1 as they were, 1 not usable\naudit trail: "),
        "{done:?}"
    );
    let were = format!("lastpop: 1 line cannot be used; all others were taken. {end}");
    assert_eq!(done.failed(1, &[]).stderr, format!("{bad}{new}{were}"));
    let batch = done.stdout.lines().nth(1).and_then(|line| line.rsplit(' ').next()).expect("a batch");
    let hint = format!("\nundo: lastpop user undo --batch {batch} --reason TEXT\n");
    assert!(done.stdout.ends_with(&hint), "{done:?}");
    let trail = lastpop.run(&["audit", "--batch", batch]);
    trail.fine(&["\tan-admin\timport\tuser\ta@bulk.example\tpop3\tnotice\tticket 4711\t"]);
    assert_eq!(trail.rows().len(), 1, "{trail:?}");

    let again = import(&["--format", "json"]);
    let report: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!((&report["rows"], &report["changed"], &report["batch"]), (&3.into(), &0.into(), &Value::Null));
    assert_eq!(report["bad"][0]["line"], 3);
    assert_eq!(again.failed(1, &[]).stderr, were, "the lines are in the report");
}

#[test]
fn an_import_is_undone_as_a_whole() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import("a@undo.example,pop3\nb@undo.example,pop3\n");
    let list = "user,mode\na@undo.example,imap-only\nb@undo.example,imap-only\nc@undo.example,notice\n";
    let file = lastpop.file("wrong.csv", list);
    let report = lastpop.because(&["user", "import", &file, "--format", "json"]).json();
    let batch = report["batch"].as_str().expect("a batch");
    lastpop.because(&["user", "set", "b@undo.example", "brownout"]).fine(&[]);
    let undo = |more: &[&str]| lastpop.because(&[&["user", "undo", "--batch", batch][..], more].concat());
    let header = "restored\tleft_alone\tdry_run\tbatch\n";
    let dry = undo(&["--dry-run"]);
    assert_eq!(
        (dry.fine(&[]).stdout.as_str(), dry.stderr.as_str()),
        (&*format!("{header}2\t1\ttrue\t\n"), UNCHANGED)
    );
    let table = undo(&["--dry-run", "--format", "table"]);
    table.fine(&["users who would have again what they had: 2; who were changed since, and would stay: 1\n"]);
    assert_eq!(undo(&["--dry-run", "--format", "json"]).json()["restored"], 2);
    undo(&["--format", "table"]).fine(&[
        "users who have again what they had: 2; who were changed since, and stay: 1\naudit trail: lastpop audit --batch ",
    ]);
    let modes = lastpop.run(&["user", "list", "--domain", "undo.example"]);
    assert_eq!(modes.rows().iter().map(|row| row[2]).collect::<Vec<_>>(), ["pop3", "brownout", "pop3"]);
    // The one that was changed since still could be, had nobody changed it.
    assert_eq!(undo(&[]).fine(&[]).stdout, format!("{header}0\t1\tfalse\t\n"));
    lastpop
        .because(&["user", "undo", "--batch", "none"])
        .failed(1, &["there is no change of the batch none left to undo\n"]);
    undo(&["a@undo.example"]).failed(2, &["cannot be used with"]);
    lastpop.because(&["user", "undo"]).failed(2, &["<USER>..."]);
}

#[test]
fn what_a_file_may_look_like() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let fed =
        |text: &str, more: &[&str]| lastpop.fed(&[&["user", "import", "-"][..], &WHY, more].concat(), text);
    fed("a@form.example,pop3\n", &[]).fine(&["\n1\t1\t0\t0\tfalse\t"]);
    let json = "{\"user\":\"z@form.example\",\"mode\":\"notice\"}\n{\"user\":\"a@form.example\"}\n";
    let ndjson = fed(json, &["--ndjson"]);
    ndjson.failed(
        1,
        &["line 2: The line cannot be understood as a JSON object with user and mode: missing field `mode`."],
    );
    assert!(ndjson.stdout.starts_with(&format!("{REPORT}2\t1\t0\t1\tfalse\t")), "{ndjson:?}");
    let file = lastpop.file("modes.ndjson", json.lines().next().unwrap_or_default());
    lastpop.because(&["user", "import", &file]).fine(&["\n1\t0\t1\t0\tfalse\t\n"]);
    lastpop
        .because(&["user", "import", &file, "--format", "table"])
        .fine(&["1 line: 0 changed, 1 as they were, 0 not usable\n"]);
    let no_mode = fed("user,name\na@form.example,b\nc@form.example,pop3\n", &[]);
    no_mode.failed(
        1,
        &[
            "line 1: The header has a column user and no column mode, so nothing was read; add that column.",
            "1 line cannot be used; there are no others, so nothing was changed.",
        ],
    );
    fed("user,mode,from\na@form.example,notice,soon\n", &[])
        .failed(1, &["line 2: \"soon\" is no time; write it as 2026-"]);
    let many = fed(&"a@form.example,imap\n".repeat(1_200), &[]);
    many.failed(
        1,
        &[
            "line 100: ",
            "\nlastpop: beside these: 1,100 lines that cannot be used\n",
            "1,200 lines cannot be used",
        ],
    );
    assert_eq!(many.stderr.lines().count(), 102);
    lastpop.because(&["user", "import", "/"]).failed(1, &["lastpop: /: is a directory\n"]);
    lastpop.because(&["user", "import", "/nonexistent.csv"]).failed(1, &["/nonexistent.csv: No such file"]);
}

#[test]
fn an_export_can_be_imported() {
    let lastpop = Lastpop::shared(Over::Unix);
    lastpop.import("a@export.example,pop3\nb@export.example,notice\n\"c,\td@export.example\",imap-only\n");
    lastpop.because(&["user", "set", "b@export.example", "inherit", "--from", "2099-12-01"]).fine(&[]);
    lastpop
        .fed(&["user", "import", "-", WHY[0], WHY[1]], "user,mode,language\na@export.example,pop3,lv\n")
        .fine(&["\n1\t1\t"]);
    let export =
        |more: &[&str]| lastpop.run(&[&["user", "export", "--domain", "export.example"], more].concat());
    let csv = export(&[]);
    csv.fine(&[
        "user,mode,from,language,domain,effective_mode,effective_rule,first_seen,",
        "\na@export.example,pop3,,lv,export.example,pop3,user,",
        "\nb@export.example,inherit,2099-12-01T00:00:00Z,,export.example,notice,user,",
        "\n\"c,\td@export.example\",imap-only,,,export.example,imap-only,user,",
    ]);
    let path = lastpop.path("users.ndjson");
    assert_eq!(export(&["--output", &path, "--ndjson"]).fine(&[]).stdout, "");
    let ndjson = std::fs::read_to_string(&path).expect("the export");
    let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(
        (lines.len(), &lines[1]["mode"], &lines[1]["effective"]["mode"]),
        (3, &"inherit".into(), &"notice".into())
    );
    assert_eq!(export(&["--format", "json"]).stdout, ndjson);
    let mode = std::fs::metadata(&path).expect("the export").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "it names customers");
    // What is no file is written to, and not replaced.
    let pipe = lastpop.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe)
    });
    export(&["--output", &pipe]).fine(&[]);
    assert!(std::fs::metadata(&pipe).expect("a pipe").file_type().is_fifo());
    assert_eq!(reader.join().expect("read").expect("text"), csv.stdout);

    // Nothing changes, and what has changed meanwhile comes back, plans included.
    let file = lastpop.file("users.csv", &csv.stdout);
    for (file, changed) in [(&file, "3\t0\t3\t0"), (&path, "3\t0\t3\t0")] {
        lastpop.because(&["user", "import", file]).fine(&[&format!("{REPORT}{changed}\tfalse\t\n")]);
    }
    for file in [&file, &path] {
        lastpop.import("a@export.example,notice\nb@export.example,notice\n");
        lastpop.because(&["user", "import", file]).fine(&[&format!("{REPORT}3\t2\t1\t0\tfalse\t")]);
        assert_eq!(export(&[]).stdout, csv.stdout);
    }
    export(&["--format", "table"]).failed(2, &["an export is CSV, or NDJSON with --format json"]);
    export(&["--output", "/nonexistent/users.csv"]).failed(1, &["/nonexistent/users.csv: No such file"]);
}

/// lastpop says no before it has read the file; that must be heard.
#[test]
fn a_large_import_that_is_refused_at_once() {
    let lastpops = [Over::Tcp, Over::Unix].map(Lastpop::shared);
    let file = lastpops[0].file("large.csv", &"jane@example.net,imap-only\n".repeat(1_000_000));
    for lastpop in &lastpops {
        let import = ["user", "import", &file, WHY[0], WHY[1]];
        lastpop.with_token(VIEWER, &import).failed(1, &["this needs the role admin"]);
        let members = ["wave", "members", "nobody-made-it", &file, WHY[0], WHY[1]];
        lastpop.run(&members).failed(1, &["there is no wave nobody-made-it"]);
    }
}
