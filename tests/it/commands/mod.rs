//! The commands on the API, as people and scripts type them. These tests say what must hold whatever serves
//! the API; who does is decided in [`Lastpop::start`] alone.

mod answers;
mod fake;
mod server;
mod shell;
mod waves;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use server::{Lastpop, Over};

use crate::support::proxy::lastpop;
use crate::support::wait;

/// What a command said, and its exit code.
#[derive(Debug)]
pub(super) struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command in a home of its own, with nothing on standard input but `input`.
pub(super) fn run(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = |name| home.path().join(name);
    let file = |name| std::fs::File::create(path(name)).expect("an output file");
    let mut child = lastpop()
        .args(arguments)
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .expect("start lastpop through setpriv; install the Debian package util-linux");
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().expect("its standard input").write_all(input.as_bytes());
    let status = wait::until("the command ends", || child.try_wait().expect("wait for lastpop"));
    let read = |name| std::fs::read_to_string(path(name)).expect("text");
    let ended = Ended { code: status.code(), stdout: read("stdout"), stderr: read("stderr") };
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    for token in environment.iter().filter(|(name, value)| *name == "LASTPOP_TOKEN" && !value.is_empty()) {
        assert!(!ended.stdout.contains(token.1) && !ended.stderr.contains(token.1), "{ended:?}");
    }
    ended
}

impl Ended {
    /// It did what it should, and said all of this on standard output.
    #[track_caller]
    pub(super) fn fine(&self, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        for text in said {
            assert!(self.stdout.contains(text), "no {text:?} in {self:?}");
        }
        self
    }

    /// It said this on standard error.
    #[track_caller]
    pub(super) fn noted(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
        self
    }

    /// It failed with this code, and its last word was a sentence that says all of this.
    #[track_caller]
    pub(super) fn failed(&self, code: i32, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("lastpop: ") || code == 2, "{self:?}");
        for text in said {
            assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
        }
        self
    }

    fn json(&self) -> Value {
        self.fine(&[]);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The first column, without its header.
    fn first_column(&self) -> Vec<&str> {
        self.fine(&[]);
        self.stdout.lines().skip(1).map(|line| line.split('\t').next().unwrap_or_default()).collect()
    }
}

const WHY: [&str; 2] = ["--reason", "ticket 4711"];

/// Four users and their modes.
const CSV: &str =
    "user,mode\na@example.net,pop3\nb@example.net,notice\nc@example.org,imap-only\nd/e@example.org,inherit\n";

fn with_users(over: Over) -> Lastpop {
    let lastpop = Lastpop::start(over);
    lastpop.fed(&["user", "import", "-", WHY[0], WHY[1]], CSV).fine(&["rows\tchanged\tunchanged\tbad_lines"]);
    lastpop
}

#[test]
fn the_same_over_tcp_and_over_a_unix_socket() {
    for over in [Over::Tcp, Over::Unix] {
        let lastpop = with_users(over);
        let listed = lastpop.run(&["user", "list"]);
        assert_eq!(
            listed.first_column(),
            ["a@example.net", "b@example.net", "c@example.org", "d/e@example.org"]
        );
    }
}

#[test]
fn users_are_listed_as_tsv_json_and_a_table() {
    let lastpop = with_users(Over::Tcp);
    let header = lastpop.run(&["user", "list"]).stdout.lines().next().map(str::to_owned).unwrap_or_default();
    assert!(header.starts_with("user\tdomain\tmode\trule\tsetting\t"), "{header}");
    let json = lastpop.run(&["user", "list", "--format", "json", "--domain", "example.org"]).json();
    let users: Vec<_> = json.as_array().expect("an array").iter().map(|user| &user["user"]).collect();
    assert_eq!(users, ["c@example.org", "d/e@example.org"]);
    let table = lastpop.run(&["user", "--format", "table", "list", "--mode", "notice"]);
    table.fine(&["b@example.net", "notice"]);
    assert!(!table.stdout.contains('\t') && !table.stdout.contains("a@example.net"), "{table:?}");
    lastpop.run(&["user", "list", "--search", "nobody", "--format", "table"]).fine(&["(none)"]);
    assert_eq!(lastpop.run(&["user", "list", "--search", "nobody", "--format", "json"]).stdout, "[]\n");
}

#[test]
fn lists_are_paged_through() {
    let lastpop = with_users(Over::Tcp);
    let first = lastpop.run(&["user", "list", "--limit", "3"]);
    assert_eq!(first.first_column().len(), 3);
    let note = &first.stderr;
    let word = note.split("--after '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a cursor");
    let second = lastpop.run(&["user", "list", "--limit", "3", "--after", word]);
    assert_eq!((second.first_column(), second.stderr.as_str()), (vec!["d/e@example.org"], ""));
}

#[test]
fn a_mode_is_set_explained_and_undone() {
    let lastpop = with_users(Over::Tcp);
    let user = "d/e@example.org";
    let set = |more: &[&str]| lastpop.run(&[&["user", "set", user][..], &WHY, more].concat());
    let dry = set(&["imap-only", "--dry-run"]);
    dry.fine(&["inherit\timap-only\timap-only\tuser"]).noted("nothing was changed");
    lastpop.run(&["user", "explain", user]).fine(&["pop3"]);
    set(&["imap-only"]).fine(&["inherit\timap-only\timap-only\tuser"]);
    assert_eq!(
        lastpop.run(&["user", "show", user, "--format", "json"]).json()["effective"]["mode"],
        "imap-only"
    );
    lastpop.run(&["user", "explain", user, "--format", "table"]).fine(&["imap-only"]);
    let planned = set(&["notice", "--from", "2099-12-01 10:00 Europe/Riga", "--confirm-redownload"]);
    planned.fine(&["imap-only\timap-only>notice@2099-12-01T08:00:00Z\timap-only"]);
    lastpop.run(&["user", "undo", user, WHY[0], WHY[1]]).fine(&["\timap-only\timap-only\tuser"]);
    set(&["inherit", "--format", "table", "--confirm-redownload"]).fine(&[
        "before",
        "imap-only",
        "inherit",
        "pop3",
    ]);
    let history = lastpop.run(&["user", "history", user, "--format", "json"]).json();
    assert!(history.as_array().expect("an array").len() >= 4, "{history}");
    assert_eq!(history[0]["reason"], "ticket 4711");
    lastpop.run(&["audit", "--subject", user]).fine(&["ticket 4711"]);
}

#[test]
fn several_users_and_one_that_is_unknown() {
    let lastpop = with_users(Over::Tcp);
    let names = ["user", "undo", "a@example.net", "nobody@example.net", "b@example.net", WHY[0], WHY[1]];
    let ended = lastpop.run(&names);
    ended.failed(1, &["nobody@example.net: ", "1 of 3 could not be changed"]);
    assert_eq!(ended.stdout.lines().count(), 3, "{ended:?}");
    lastpop.run(&["user", "show", "nobody@example.net"]).failed(1, &["nobody@example.net"]);
}

#[test]
fn an_import_names_the_lines_that_it_cannot_use() {
    let lastpop = with_users(Over::Tcp);
    let file = lastpop
        .file("more.csv", "mode,user\nnotice,a@example.net\nimap,b@example.net\nnotice,b@example.net\n");
    let import = |more: &[&str]| lastpop.run(&[&["user", "import", &file][..], &WHY, more].concat());
    import(&["--dry-run"]).failed(1, &["line 3: ", "nothing was changed", "1 lines could not be used"]);
    import(&["--format", "table"]).failed(1, &["line 3: "]);
    assert_eq!(lastpop.run(&["user", "list", "--mode", "notice"]).first_column().len(), 2);
    let report = lastpop.fed(
        &["user", "import", "-", "--ndjson", "--format", "json", WHY[0], WHY[1]],
        "{\"user\":\"z@x\",\"mode\":null}\n",
    );
    assert_eq!(report.json()["rows"], 1);
    lastpop.run(&["user", "import", "/nonexistent.csv", WHY[0], WHY[1]]).failed(1, &["/nonexistent.csv: "]);
}

#[test]
fn an_export_can_be_imported() {
    let lastpop = with_users(Over::Unix);
    let exported = lastpop.run(&["user", "export"]);
    exported.fine(&["user,mode", "c@example.org,imap-only"]);
    lastpop.fed(&["user", "import", "-", WHY[0], WHY[1]], &exported.stdout).fine(&["4\t0\t4\t0"]);
    let path = lastpop.path("users.ndjson");
    lastpop.run(&["user", "export", "--output", &path, "--ndjson", "--domain", "example.net"]).fine(&[]);
    let lines = std::fs::read_to_string(&path).expect("the export");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    assert_eq!(lastpop.run(&["user", "export", "--format", "json", "--domain", "example.net"]).stdout, lines);
    lastpop.run(&["user", "export", "--format", "table"]).failed(2, &["an export is CSV"]);
}

#[test]
fn hidden_messages_come_back() {
    let lastpop = with_users(Over::Tcp);
    let unhide = ["user", "unhide", "a@example.net", "--since", "2026-11-01", WHY[0], WHY[1]];
    lastpop.run(&unhide).fine(&["a@example.net\t2026-11-01\t"]);
    assert_eq!(
        lastpop.run(&["user", "show", "a@example.net", "--format", "json"]).json()["unhide_since"],
        "2026-11-01"
    );
}

#[test]
fn domains_and_everyone() {
    let lastpop = with_users(Over::Tcp);
    let set = |domain, more: &[&str]| lastpop.run(&[&["domain", "set", domain][..], &WHY, more].concat());
    set("*", &["brownout", "--dry-run"])
        .fine(&["*\tinherit\tbrownout\tbrownout\teveryone"])
        .noted("nothing was changed");
    set("example.org", &["notice"]).fine(&["example.org\tinherit\tnotice\tnotice\tdomain"]);
    lastpop.run(&["user", "explain", "d/e@example.org"]).fine(&["notice\tdomain"]);
    assert!(lastpop.run(&["domain", "list"]).first_column().contains(&"example.org"));
    assert_eq!(
        lastpop.run(&["domain", "show", "example.org", "--format", "json"]).json()["setting"]["mode"],
        "notice"
    );
    lastpop
        .run(&["domain", "undo", "example.org", WHY[0], WHY[1]])
        .fine(&["example.org\tnotice\tinherit\tpop3"]);
}

#[test]
fn a_wave_from_its_making_to_its_end() {
    let lastpop = with_users(Over::Tcp);
    let members = lastpop.file("members.csv", "user\na@example.net\nb@example.net\n");
    let steps = ["--step", "2099-12-01 notice", "--step", "2100-02-01 10:00 Europe/Riga imap-only"];
    let create =
        |name, whom: &[&str]| lastpop.run(&[&["wave", "create", name][..], whom, &steps, &WHY].concat());
    create("tried", &["--domain", "example.net", "--percent", "50", "--dry-run"])
        .noted("nothing was changed");
    create("vip", &["--csv", &members]).fine(&["2\t2\t0\t0"]);
    create("idle", &["--query", "not-seen-for=30,mode=pop3"])
        .fine(&["idle\tdraft\t"])
        .noted("lastpop wave start idle");
    let mut names = lastpop.run(&["wave", "list"]).stdout;
    names.retain(|c| c != '\r');
    assert!(
        names.contains("vip\tdraft") && names.contains("idle\tdraft") && !names.contains("tried"),
        "{names}"
    );
    lastpop.run(&["wave", "preview", "vip"]).fine(&["vip\t2\t"]);
    let order = |what, name, more: &[&str]| lastpop.run(&[&["wave", what, name][..], &WHY, more].concat());
    order("start", "vip", &["--dry-run"]).noted("nothing was changed");
    order("start", "vip", &["--format", "table"]).fine(&["running", "2099-12-01 00:00Z", "imap-only"]);
    order("pause", "vip", &[]).fine(&["vip\tpaused"]);
    order("resume", "vip", &[]).fine(&["vip\trunning"]);
    order("rollback", "vip", &["--format", "json"]).fine(&["\"rolled-back\""]);
    order("delete", "idle", &[]).fine(&[]).noted("the wave idle is deleted");
    order("start", "idle", &[]).failed(1, &["idle"]);
    create("twice", &["--domain", "example.net", "--query", "mode=pop3"]).failed(2, &["cannot be used with"]);
    create("Wrong Name", &["--domain", "example.net"]).failed(2, &["small letters"]);
}

#[test]
fn sessions_summary_and_drain() {
    let lastpop = with_users(Over::Tcp);
    assert_eq!(lastpop.run(&["who"]).fine(&["session\tuser\taddress"]).stdout.lines().count(), 1);
    lastpop.run(&["who", "--watch"]).failed(2, &["--watch is for tables on a terminal"]);
    lastpop
        .run(&["kick", "--network", "192.0.2.7", "--dry-run", WHY[0], WHY[1]])
        .fine(&["0\ttrue"])
        .noted("nothing was changed");
    lastpop.run(&["kick", WHY[0], WHY[1]]).failed(2, &["--user"]);
    lastpop.run(&["summary"]).fine(&["name\tof\tvalue", "mode\timap-only\t", "active\t30d\t"]);
    lastpop.run(&["summary", "--format", "table"]).fine(&["used POP3 in the last", "known, as of"]);
    assert!(lastpop.run(&["summary", "--format", "json"]).json()["summary"]["users"].is_u64());
    lastpop
        .run(&["drain", "--dry-run", WHY[0], WHY[1]])
        .fine(&["sessions\tuntil\tdry_run"])
        .noted("nothing was changed");
}

#[test]
fn what_changes_something_wants_a_reason() {
    let lastpop = Lastpop::start(Over::Tcp);
    for arguments in
        [&["user", "set", "a@x", "pop3"][..], &["domain", "undo", "x"], &["drain"], &["wave", "start", "w"]]
    {
        lastpop.run(arguments).failed(2, &["--reason"]);
        lastpop.run(&[arguments, &["--reason", "  "]].concat()).failed(2, &["a reason is needed"]);
    }
}

#[test]
fn tokens_and_roles() {
    let lastpop = with_users(Over::Tcp);
    let as_viewer = |arguments: &[&str]| lastpop.with_token(&lastpop.viewer, arguments);
    as_viewer(&["user", "show", "a@example.net"]).fine(&["a@example.net"]);
    let refused = as_viewer(&["user", "set", "a@example.net", "pop3", WHY[0], WHY[1]]);
    refused.failed(1, &["needs the role operator", "lastpop token create"]);
    as_viewer(&["domain", "set", "x", "pop3", WHY[0], WHY[1]]).failed(1, &["needs the role admin"]);
    let unknown = format!("lp_{}", "A".repeat(43));
    let refused = lastpop.with_token(&unknown, &["user", "list"]);
    refused.failed(1, &["does not take the token from LASTPOP_TOKEN", "~/.config/lastpop/token"]);
    lastpop.with_token("", &["user", "list"]).failed(1, &["there is no token", "LASTPOP_TOKEN is not set"]);
}

const CONFIGURATION: &str = "[[listen]]
address = \"127.0.0.1:0\"
tls = \"none\"
plaintext = \"always\"
[upstream]
address = \"127.0.0.1:1\"
[admin]
address = \"ADDRESS\"
";

#[test]
fn the_configuration_says_where_lastpop_is() {
    let lastpop = with_users(Over::Tcp);
    let address = lastpop.url.strip_prefix("http://").expect("TCP");
    let configuration =
        |address: &str| lastpop.file("lastpop.toml", &CONFIGURATION.replace("ADDRESS", address));
    let token = lastpop.file("token", &lastpop.admin);
    let list = |file: &str| run(&["user", "list", "--config", file, "--token-file", &token], &[], "");
    assert_eq!(list(&configuration(address)).first_column().len(), 4);
    list("/nonexistent.toml").failed(78, &["/nonexistent.toml", "--url"]);
    list(&configuration("nonsense")).failed(78, &["admin.address"]);
    let closed = configuration("127.0.0.1:1");
    list(&closed).failed(69, &["http://127.0.0.1:1 (admin.address in", "is it running?"]);
    let moved = run(&["user", "list", "--token-file", &token, "--url", "unix:/nonexistent"], &[], "");
    moved.failed(69, &["unix:/nonexistent (from --url)"]);
}

/// The token of somebody who keeps it at home.
#[test]
fn a_token_is_found_at_home() {
    let lastpop = with_users(Over::Tcp);
    let folder = PathBuf::from(lastpop.path("config/lastpop"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("token"), format!("{}\n", lastpop.admin)).expect("a token");
    let home = [("XDG_CONFIG_HOME", lastpop.path("config"))];
    let home: Vec<_> = home.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run(&["user", "list", "--url", &lastpop.url], &home, "").fine(&["a@example.net"]);
}

/// lastpop says no before it has read the file; that must be heard.
#[test]
fn a_large_import_that_is_refused_at_once() {
    for over in [Over::Tcp, Over::Unix] {
        let lastpop = Lastpop::start(over);
        let file = lastpop.file("large.csv", &"jane@example.net,imap-only\n".repeat(2_000_000));
        let import = ["user", "import", &file, WHY[0], WHY[1]];
        lastpop.with_token(&lastpop.viewer, &import).failed(1, &["needs the role admin"]);
    }
}
