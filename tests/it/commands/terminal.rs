//! What a person sees on a terminal: tables without asking, pages, progress, and a list that is shown again and again.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::server::{Lastpop, Over};
use crate::support::api::ADMIN;
use crate::support::pop3::Pop3;
use crate::support::process::terminate;
use crate::support::wait;

/// A command on a terminal of its own, which script(1) makes.
struct Terminal {
    child: Child,
    folder: TempDir,
}

impl Terminal {
    /// Runs a command there. 0 columns: the terminal does not know how wide it is.
    fn start(lastpop: &Lastpop, columns: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let words = [&[env!("CARGO_BIN_EXE_lastpop")], arguments, &["--url", &lastpop.url]].concat();
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // Tests that run in the background of a script were told to ignore Ctrl-C, and so would be the command.
        let typed = format!("stty cols {columns} rows 40; exec env --default-signal=INT {}", words.join(" "));
        let output = File::create(folder.path().join("seen")).expect("an output file");
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "TERM",
                "script",
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &typed,
                "/dev/null",
            ])
            .env("LASTPOP_TOKEN", ADMIN)
            .env("HOME", folder.path())
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            // Kept open: its end would be typed at the command.
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .expect("start script through setpriv; install the Debian packages util-linux and bsdutils");
        Self { child, folder }
    }

    /// What has been seen so far, as it was written.
    fn seen(&self) -> String {
        let seen = std::fs::read(self.folder.path().join("seen")).expect("the output file");
        String::from_utf8_lossy(&seen).replace("\r\n", "\n")
    }

    /// What was seen when the command has ended, as it should.
    fn ended(mut self) -> String {
        let status = wait::until("the command ends", || self.child.try_wait().expect("wait for script"));
        let seen = self.seen();
        assert!(status.success(), "{status}: {seen}");
        seen
    }

    /// Types Ctrl-C, which ends the command.
    fn interrupt(mut self) {
        self.child.stdin.as_mut().expect("a piped stdin").write_all(b"\x03").expect("type");
        let status = wait::until("the command ends", || self.child.try_wait().expect("wait for script"));
        // As shells tell of SIGINT.
        assert_eq!(status.code(), Some(130), "{}", self.seen());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

/// Lines of an import.
fn users(numbers: Range<u32>, domain: &str) -> String {
    numbers.fold(String::new(), |lines, number| lines + &format!("u{number}@{domain},notice\n"))
}

#[test]
fn tables_in_pages_without_asking() {
    let lastpop = Lastpop::shared(Over::Tcp);
    lastpop.import(&users(100..201, "pages.example"));
    let list = ["user", "list", "--domain", "pages.example"];
    let page = Terminal::start(&lastpop, 120, &list).ended();
    let lines: Vec<&str> = page.lines().collect();
    assert!(
        lines[0].starts_with(" user                mode    rule  last seen  client  tls  sessions"),
        "{page}"
    );
    assert!(lines[1].starts_with(" u100@pages.example  notice  user "), "{page}");
    let more = "lastpop: there are more: add --after 'u199@pages.example' for the next page, or --all";
    assert_eq!((lines.len(), lines[101]), (102, more));
    // Whatever the width, people and programs that read the screen find the names in one piece.
    let page = Terminal::start(&lastpop, 60, &list).ended();
    assert!(page.starts_with(" user                mode    rule  last seen  client  tls\n"), "{page}");
    assert_eq!((page.lines().count(), page.matches("@pages.example  notice  user").count()), (102, 100));
    let all = Terminal::start(&lastpop, 0, &[&list[..], &["--all"]].concat()).ended();
    assert_eq!(all.matches("@pages.example").count(), 101, "{all}");
    let tsv = Terminal::start(&lastpop, 120, &["wave", "list", "--format", "tsv"]).ended();
    assert!(tsv.starts_with("name\tstate\t"), "{tsv}");
}

#[test]
fn long_work_shows_how_far_it_is() {
    let lastpop = Lastpop::shared(Over::Tcp);
    // A column that nobody reads makes it longer than what the way to lastpop holds at once.
    let rows = users(0..4_000, "progress.example").replace('\n', &format!(",{}\n", "x".repeat(4_000)));
    let file = lastpop.file("many.csv", &format!("user,mode,note\n{rows}"));
    let import = ["user", "import", &file, "--reason", "ticket 4711"];
    let seen = Terminal::start(&lastpop, 120, &import).ended();
    assert!(seen.contains("B of 15.38 MiB, ") && seen.contains("s left "), "{seen:?}");
    assert!(seen.contains(" 15.38 MiB sent, waiting for lastpop "), "{seen:?}");
    let end = seen.rsplit("\x1b[2K").next().expect("the bar is gone");
    assert!(
        end.starts_with("4,000 lines: 4,000 changed, 0 as they were, 0 not usable\naudit trail: "),
        "{seen:?}"
    );
    let path = lastpop.path("out.csv");
    let export = ["user", "export", "--domain", "progress.example", "--output", &path];
    let seen = Terminal::start(&lastpop, 120, &export).ended();
    assert!(seen.contains("B/s "), "{seen:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("the export").lines().count(), 4_001);
}

#[test]
fn who_is_here_again_and_again() {
    let lastpop = Lastpop::shared(Over::Tcp);
    let terminal = Terminal::start(&lastpop, 120, &["who", "--user", "nobody@watch.example", "--watch", "1"]);
    let screen = "\x1b[2J\x1b[H0 sessions\n\n(none)\n";
    let seen = wait::until("it is shown twice", || {
        Some(terminal.seen()).filter(|seen| seen.matches(screen).count() > 1)
    });
    assert!(seen.starts_with(screen), "{seen:?}");
    terminal.interrupt();

    let user = lastpop.mailbox("kicked@kicked.example").clone();
    let _sessions = [(); 3].map(|()| {
        // Nobody else comes from there.
        let mut session = Pop3::connect_from("127.0.8.8", lastpop.proxy().endpoints.plain);
        session.login(&user.name, &user.password);
        session
    });
    let who = ["who", "--network", "127.0.8.8", "--watch", "1", "--limit", "2"];
    let terminal = Terminal::start(&lastpop, 120, &who);
    let seen = wait::until("they are shown", || {
        Some(terminal.seen()).filter(|seen| seen.matches("\x1b[2J").count() > 1)
    });
    assert!(seen.starts_with("\x1b[2J\x1b[H3 sessions\n\n session "), "{seen:?}");
    let first = seen.split("\x1b[2J").nth(1).unwrap_or_default();
    assert_eq!(first.matches("kicked@kicked.example").count(), 2, "{seen:?}");
    terminal.interrupt();
}
