//! lastpop beside Dovecot's own POP3 server over the same mailbox: a customer must not notice the change.
//!
//! Both are told the same transcripts. What differs is either nothing or listed in [`allowed`] with
//! a reason; an entry there that no longer differs fails the test as well.

mod allowed;
mod playback;
mod transcripts;

use std::collections::BTreeMap;

use allowed::{Allowed, COMMANDS, MESSAGES};
use playback::{Answer, Script, labelled, play};

use crate::corpus::{Message, corpus, small};
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Body, Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};

/// From this size on a message is asked for whole only once.
const LARGE: usize = 8 << 20;

#[test]
fn commands_are_answered_as_dovecot_answers_them() {
    let bench = Bench::new(&small());
    let mut differences = BTreeMap::new();
    let names: Vec<String> = (0..transcripts::LOGINS.len()).map(|number| format!("login{number}")).collect();
    let wanted: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a password")).collect();
    let users = bench.dovecot.users(&wanted);
    for user in &users {
        bench.dovecot.deliver(user, [b"Subject: x\r\n\r\n".as_slice()]);
    }
    for script in transcripts::all(bench.count).into_iter().chain(transcripts::logins(&users)) {
        bench.compare(&script, &mut differences);
    }
    judge(COMMANDS, &differences);
}

#[test]
fn messages_are_sent_as_dovecot_sends_them() {
    let messages = corpus();
    let bench = Bench::new(&messages);
    let mut differences = BTreeMap::new();
    for (index, message) in messages.iter().enumerate() {
        for script in message_scripts(index + 1, message) {
            bench.compare(&script, &mut differences);
        }
    }
    judge(MESSAGES, &differences);
}

#[test]
fn retr_gives_the_octets_that_imap_holds() {
    let messages = small();
    let bench = Bench::new(&messages);
    let truth = Imap::open(&bench.dovecot, &bench.user).messages();
    assert_eq!(truth.len(), messages.len(), "messages in the mailbox");
    let mut imap = Imap::open(&bench.dovecot, &bench.user);
    let mut pop3 = bench.proxy.login(&bench.user);
    for (index, (message, held)) in messages.iter().zip(&truth).enumerate() {
        let reply = pop3.command(&format!("RETR {}", index + 1));
        assert!(reply.starts_with("+OK"), "{}: {reply}", message.name);
        let mut octets = imap.body(held.uid);
        assert_eq!(octets.len() as u64, held.size, "{}: RFC822.SIZE", message.name);
        if !octets.is_empty() && !octets.ends_with(b"\r\n") {
            octets.extend(b"\r\n");
        }
        assert_eq!(pop3.body(), Body::of(&octets), "{}", message.name);
    }
}

#[test]
fn a_message_that_another_client_removed_is_missed_and_nothing_renumbers() {
    let bench = Bench::new(&small());
    let mut ours = bench.proxy.login(&bench.user);
    let mut theirs = bench.dovecot();
    theirs.login(&bench.user.name, &bench.user.password);
    let mut imap = Imap::open(&bench.dovecot, &bench.user);
    imap.store(2, "+FLAGS", "\\Deleted");
    imap.expunge();
    let script = Script {
        name: "after an expunge".to_owned(),
        login: true,
        steps: [
            ("STAT", Answer::Line),
            ("RETR 2", Answer::Status),
            ("TOP 2 0", Answer::Status),
            ("RETR 3", Answer::Message),
            ("LIST 3", Answer::Line),
            ("UIDL 3", Answer::Line),
            ("LIST", Answer::Listing),
            ("UIDL", Answer::Listing),
        ]
        .map(|(command, answer)| labelled(command, command, answer))
        .into(),
    };
    assert_eq!(play(&script, &mut ours), play(&script, &mut theirs));
}

/// One mailbox, and both servers in front of it.
struct Bench {
    // Dropped in this order: the proxy before what it stands in front of.
    proxy: Proxy,
    dovecot: Dovecot,
    user: User,
    count: usize,
}

impl Bench {
    fn new(messages: &[Message]) -> Self {
        let dovecot = Dovecot::start_with("auth_mechanisms = plain login");
        let user = dovecot.user("user", "a password");
        dovecot.deliver(&user, messages.iter().map(|message| message.octets.as_slice()));
        let proxy = Proxy::start(&dovecot, Upstream::Plain);
        Self { proxy, dovecot, user, count: messages.len() }
    }

    fn lastpop(&self) -> Pop3 {
        self.proxy.connect(Transport::Plain)
    }

    fn dovecot(&self) -> Pop3 {
        let tls = self.dovecot.certificates.client_config();
        Pop3::connect(self.dovecot.ports.pop3, Transport::Plain, &tls)
    }

    /// Plays `script` to both at once and notes each step whose outcome differs.
    fn compare(&self, script: &Script, differences: &mut BTreeMap<String, String>) {
        let run = |mut pop3: Pop3| {
            if script.login {
                pop3.login(&self.user.name, &self.user.password);
            }
            play(script, &mut pop3)
        };
        let (ours, theirs) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| run(self.dovecot()));
            (run(self.lastpop()), theirs.join().expect("Dovecot's side"))
        });
        for ((step, ours), theirs) in script.steps.iter().zip(ours).zip(theirs) {
            if ours != theirs {
                let key = key(&script.name, &step.label);
                differences.insert(key, format!("Dovecot {theirs}; lastpop {ours}"));
            }
        }
    }
}

/// What is asked about one message. A script per command, each on its own connection, because
/// Dovecot's connection is unusable once it has sent a message that begins with a dot.
fn message_scripts(number: usize, message: &Message) -> Vec<Script> {
    let large = message.octets.len() >= LARGE;
    let lines: &[&str] = if large { &["0", "5"] } else { &["0", "1", "5", "1000", "99999999"] };
    let tops = lines.iter().map(|n| (format!("TOP {n}"), format!("TOP {number} {n}")));
    let retr = ("RETR".to_owned(), format!("RETR {number}"));
    std::iter::once(retr)
        .chain(tops)
        .map(|(label, command)| Script {
            name: message.name.to_owned(),
            login: true,
            steps: vec![
                labelled(&label, &command, Answer::Message),
                labelled(&format!("NOOP after {label}"), "NOOP", Answer::Status),
            ],
        })
        .collect()
}

/// Prints each difference and fails unless they are exactly those of `table`.
fn judge(table: &[Allowed], differences: &BTreeMap<String, String>) {
    let allowed: BTreeMap<String, &str> = table
        .iter()
        .flat_map(|entry| entry.steps.iter().map(|step| (key(entry.script, step), entry.reason)))
        .collect();
    let mut wrong = 0;
    for (key, difference) in differences {
        if let Some(reason) = allowed.get(key) {
            println!("allowed: {key}: {difference} ({reason})");
        } else {
            println!("NOT ALLOWED: {key}: {difference}");
            wrong += 1;
        }
    }
    for key in allowed.keys().filter(|key| !differences.contains_key(*key)) {
        println!("NO LONGER DIFFERENT: {key}");
        wrong += 1;
    }
    assert_eq!(wrong, 0, "differences to look at; see the lines in capitals above");
}

fn key(script: &str, step: &str) -> String {
    format!("{script}: {step}")
}
