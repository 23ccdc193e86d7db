//! Hidden mail that comes back at once, with master credentials that a real Dovecot takes: what it does is here, what
//! happens when it fails in `fails`, and with a login at the same moment in `rivals`.

mod checked;
mod fails;
mod rivals;

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::api::{OPERATOR, VIEWER};
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::{Imap, Message};
use crate::support::pop3::Pop3;
use crate::support::proxy::{Proxy, Upstream, lastpop};
use crate::support::wait;

const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";

/// The master user's password.
const SECRET: &str = "correct horse battery";

/// How many orders were tried at once.
const TRIED: &str = "lastpop_unhides_at_once_total";

/// Tests ask until something is so.
const MANY: (&str, &str) = ("admin.requests_per_second", "10000");

/// What every order that waits is answered.
const RECORDED: &str = "The order is recorded, and is carried out at the customer's next login";

/// Dovecot's settings for rights of the master user, which stand in `acls`.
const ACL: &str = "mail_plugins = acl
protocol imap {
  mail_plugins = acl imap_acl
}
plugin {
  acl = vfile:DIRECTORY/acls
}
";

/// A Dovecot with a master user, and the file in which lastpop finds the password.
struct World {
    dovecot: Dovecot,
    anna: User,
    folder: TempDir,
}

impl World {
    /// `settings` are Dovecot's. Anna has no mail yet.
    fn new(settings: &str) -> Self {
        let masters = [
            ("lastpop", format!("{{PLAIN}}{SECRET}")),
            ("elsewhere", format!("{{PLAIN}}{SECRET}::::::allow_nets=192.0.2.0/24")),
        ];
        let masters = masters.each_ref().map(|(name, rest)| (*name, rest.as_str()));
        let dovecot = Dovecot::start_with_masters(&masters, settings);
        let anna = dovecot.user("anna@example.net", "a password");
        let world = Self { dovecot, anna, folder: tempfile::tempdir().expect("a folder") };
        world.knows(SECRET);
        world
    }

    /// With so many messages.
    fn with_messages(count: usize) -> Self {
        let world = Self::new("");
        world.dovecot.deliver(&world.anna, std::iter::repeat_n(MESSAGE, count));
        world
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("master")
    }

    /// Writes the file.
    fn knows(&self, password: &str) {
        std::fs::write(self.file(), format!("{password}\n")).expect("written");
    }

    /// lastpop with these master credentials, and more changes.
    fn proxy(&self, user: &str, style: &str, more: &[(&str, &str)]) -> Proxy {
        let quoted = [user, style, &self.file().display().to_string()].map(|text| format!("\"{text}\""));
        let keys = ["user", "style", "password_file"].map(|key| format!("upstream.master.{key}"));
        let section: Vec<(&str, &str)> =
            keys.iter().zip(&quoted).map(|(key, value)| (key.as_str(), value.as_str())).collect();
        // Open connections are counted here, and those that wait for nobody would be among them.
        let none = ("upstream.reserve", "0");
        Proxy::start_with(&self.dovecot, Upstream::Plain, &[&section, more, &[MANY, none]].concat(), &[])
    }

    /// Anna deletes these messages over POP3.
    fn delete(&self, proxy: &Proxy, numbers: &[usize]) {
        let mut session = proxy.login(&self.anna);
        for number in numbers {
            let said = session.command(&format!("DELE {number}"));
            assert!(said.starts_with("+OK"), "{said}");
        }
        quit(session);
        wait::until("lastpop knows her", || (proxy.api("GET", PATH, VIEWER, "").status == 200).then_some(()));
    }

    fn messages(&self) -> Vec<Message> {
        Imap::open(&self.dovecot, &self.anna).messages()
    }

    /// Which UIDs are hidden.
    fn hidden(&self) -> Vec<u32> {
        let all = self.messages();
        all.iter().filter(|message| message.has("$POP3Deleted")).map(|message| message.uid).collect()
    }

    /// How many messages her next session shows.
    fn shown(&self, proxy: &Proxy) -> usize {
        let mut session = proxy.login(&self.anna);
        let said = session.command("STAT");
        quit(session);
        said.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("STAT: {said}"))
    }
}

const PATH: &str = "/api/v1/users/anna@example.net";

#[track_caller]
fn quit(mut session: Pop3) {
    let said = session.command("QUIT");
    assert!(said.starts_with("+OK"), "QUIT: {said}");
}

/// An operator's order; gives the answer.
#[track_caller]
fn order(proxy: &Proxy, since: Option<&str>) -> Value {
    let since = since.map_or("null".to_owned(), |day| format!("\"{day}\""));
    let body = format!("{{\"since\":{since},\"reason\":\"ticket 7\"}}");
    let answer = proxy.api("POST", &format!("{PATH}/unhide"), OPERATOR, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.body.contains(SECRET), "{answer:?}");
    answer.json()
}

/// It was done at once: so many messages.
#[track_caller]
fn done(answer: &Value, messages: u64) {
    assert_eq!(
        (&answer["done"], answer["messages"].as_u64()),
        (&Value::Bool(true), Some(messages)),
        "{answer}"
    );
}

/// It waits for the next login, and the answer says why.
#[track_caller]
fn waits(answer: &Value, why: &str) {
    assert_eq!(answer["done"], false, "{answer}");
    let outcome = answer["outcome"].as_str().expect("a sentence");
    assert!(outcome.starts_with(RECORDED) && outcome.contains(why) && outcome.ends_with('.'), "{outcome}");
}

/// What was done for her, oldest first: who, what, how much, why.
fn history(proxy: &Proxy) -> Vec<[String; 4]> {
    let list = proxy.api("GET", &format!("{PATH}/history"), VIEWER, "").json();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| ["actor", "action", "after", "reason"].map(|key| text(entry, key));
    list["entries"].as_array().expect("entries").iter().rev().map(entry).collect()
}

/// Is the order still to be carried out?
fn is_recorded(proxy: &Proxy) -> bool {
    let anna = proxy.api("GET", PATH, VIEWER, "").json();
    !anna.get("unhide_since").expect("a field").is_null()
}

/// Runs a command on the API of this lastpop.
fn command(proxy: &Proxy, arguments: &[&str]) -> Output {
    lastpop()
        .args(arguments)
        .args(["--url", &format!("http://127.0.0.1:{}", proxy.endpoints.admin)])
        .env("LASTPOP_TOKEN", OPERATOR)
        .output()
        .expect("start lastpop")
}

#[test]
fn hidden_mail_is_back_before_the_answer_in_either_style() {
    for (style, settings) in [
        ("separator", ""),
        // Without SASL-IR it goes by LOGIN.
        ("separator", "imap_capability = IMAP4rev1 ID ENABLE UIDPLUS"),
        ("authzid", ""),
        ("authzid", "imap_capability = IMAP4rev1 ID ENABLE UIDPLUS"),
    ] {
        let world = World::new(settings);
        world.dovecot.deliver(&world.anna, [MESSAGE; 4]);
        let proxy = world.proxy("lastpop", style, &[]);
        let before: Vec<(u32, [u8; 32])> =
            world.messages().iter().map(|message| (message.uid, message.sha256)).collect();
        world.delete(&proxy, &[1, 2, 3]);
        assert_eq!((world.hidden().len(), world.shown(&proxy)), (3, 1));

        // 1. Nothing but asked.
        let body = "{\"reason\":\"ticket 7\",\"dry_run\":true}";
        let dry = proxy.api("POST", &format!("{PATH}/unhide"), OPERATOR, body).json();
        assert_eq!(dry["done"], false);
        assert!(
            dry["outcome"].as_str().is_some_and(|outcome| outcome.contains("would be carried out at once"))
        );
        assert_eq!((world.hidden().len(), history(&proxy).len()), (3, 0));

        // 2. Ordered and done.
        let answer = order(&proxy, None);
        done(&answer, 3);
        assert_eq!(answer["outcome"], "3 messages are shown again.");
        assert_eq!(world.hidden(), [0; 0]);
        assert!(!is_recorded(&proxy));
        let hidden = || proxy.api("GET", PATH, VIEWER, "").json()["usage"]["hidden_messages"].as_u64();
        wait::until("nothing is counted as hidden", || (hidden() == Some(0)).then_some(()));
        let told = history(&proxy);
        let words = told.iter().map(|entry| entry.each_ref().map(String::as_str)).collect::<Vec<_>>();
        assert_eq!(
            words,
            [
                ["an-operator", "unhide", "all", "ticket 7"],
                ["lastpop", "unhidden", "3 messages", "done at once, with the master credentials"],
            ]
        );

        // 3. A session sees it all again, and what she deletes from now on stays hidden.
        assert_eq!(world.shown(&proxy), 4);
        world.delete(&proxy, &[2]);
        assert_eq!((world.hidden().len(), world.shown(&proxy)), (1, 3));
        let after: Vec<_> = world.messages().iter().map(|message| (message.uid, message.sha256)).collect();
        assert_eq!(after, before);

        // 4. Whoever asks again is told.
        done(&order(&proxy, None), 1);
        let answer = order(&proxy, None);
        done(&answer, 0);
        assert_eq!(answer["outcome"], "No such message was hidden, so none had to be shown again.");
        assert_eq!((proxy.metric(TRIED), proxy.metric_with(TRIED, "result=\"done\"")), (3, 3));
        assert_eq!(proxy.metric("lastpop_upstream_connections_active"), 0);
        let log = proxy.log_with("hidden mail was brought back", 3);
        assert!(!log.contains(SECRET), "{log}");
    }
}

#[test]
fn only_mail_of_a_day_and_later() {
    let world = World::new("");
    let mut imap = Imap::open(&world.dovecot, &world.anna);
    for date in ["31-Oct-2026 23:59:59 +0000", "01-Nov-2026 01:30:00 +0200", "01-Nov-2026 00:00:00 +0000"] {
        imap.append_dated(date, MESSAGE);
    }
    let proxy = world.proxy("lastpop", "separator", &[]);
    world.delete(&proxy, &[1, 2, 3]);
    let answer = order(&proxy, Some("2026-11-01"));
    done(&answer, 1);
    assert_eq!(
        (answer["outcome"].as_str(), &world.hidden()[..]),
        (Some("1 message is shown again."), &[1, 2][..])
    );
    assert_eq!(world.shown(&proxy), 1);
    // The customer's login has nothing left to do.
    assert_eq!(world.hidden(), [1, 2]);
    done(&order(&proxy, Some("2026-10-31")), 2);
}

#[test]
fn the_command_prints_what_became_of_it() {
    let world = World::with_messages(2);
    let proxy = world.proxy("lastpop", "separator", &[]);
    world.delete(&proxy, &[1, 2]);
    let unhide = ["user", "unhide", "anna@example.net", "--reason", "ticket 7"];
    let dry = command(&proxy, &[&unhide[..], &["--dry-run"]].concat());
    let said = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert!(dry.status.success() && said.contains("would be carried out at once"), "{said}");
    let output = command(&proxy, &unhide);
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(printed, "user\tsince\tmessages\tdone\tdry_run\nanna@example.net\t\t2\ttrue\tfalse\n");
    assert_eq!(said, "lastpop: anna@example.net: 2 messages are shown again.\n");
    assert_eq!(world.shown(&proxy), 2);
}

/// Whoever knows the master password, and tries it where customers log in.
#[test]
fn master_credentials_open_no_pop3_session() {
    let world = World::with_messages(1);
    let proxy = world.proxy("lastpop", "separator", &[]);
    world.delete(&proxy, &[]);
    let before = world.dovecot.log().matches("client in: AUTH").count();
    for name in ["anna@example.net*lastpop", "lastpop", "anna@example.net*"] {
        let mut session = proxy.connect(crate::support::pop3::Transport::Plain);
        assert!(session.command(&format!("USER {name}")).starts_with("+OK"));
        let said = session.command(&format!("PASS {SECRET}"));
        assert!(said.starts_with("-ERR [AUTH] "), "{name}: {said}");
    }
    assert_eq!(world.dovecot.log().matches("client in: AUTH").count(), before, "Dovecot was not asked");
    assert_eq!(world.shown(&proxy), 1);
}
