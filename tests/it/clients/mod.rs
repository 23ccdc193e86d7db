//! Real clients fetch whole mailboxes through lastpop: what arrives is what IMAP holds, once, and
//! nothing is ever removed.

mod commands;
pub(crate) mod programs;

use std::path::Path;

use programs::{Client, Run};

use crate::corpus::small;
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::{Imap, Message};
use crate::support::pop3::{TRANSPORTS, Transport};
use crate::support::proxy::{Proxy, Upstream};

/// What lastpop sets at QUIT on messages that a client deleted.
const HIDDEN: &str = "$POP3Deleted";

/// A message that every client carries unchanged.
const NEW_MAIL: &[u8] = b"Return-Path: <a@example.org>\r\nSubject: new\r\n\r\nnew\r\n";

#[test]
fn poplib_fetches_once_and_deletes_nothing() {
    fetches_once_and_deletes_nothing(Client::Poplib);
}

#[test]
fn curl_fetches_and_deletes_nothing() {
    fetches_once_and_deletes_nothing(Client::Curl);
}

#[test]
fn fetchmail_fetches_once_and_deletes_nothing() {
    fetches_once_and_deletes_nothing(Client::Fetchmail);
}

#[test]
fn getmail_fetches_once_and_deletes_nothing() {
    fetches_once_and_deletes_nothing(Client::Getmail);
}

#[test]
fn mpop_fetches_once_and_deletes_nothing() {
    fetches_once_and_deletes_nothing(Client::Mpop);
}

/// Every transport, each with a mailbox of its own.
fn fetches_once_and_deletes_nothing(client: Client) {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&TRANSPORTS.map(|transport| match transport {
        Transport::Plain => ("plain", "a password"),
        Transport::Starttls => ("starttls", "a password"),
        Transport::Implicit => ("implicit", "a password"),
    }));
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for (transport, user) in TRANSPORTS.into_iter().zip(&users) {
        if client.speaks(transport) {
            Mailbox::fill(&dovecot, &proxy, client, transport, user).check();
        } else {
            println!("{client:?} cannot speak {transport:?}");
        }
    }
}

/// One client in front of one mailbox.
struct Mailbox<'a> {
    dovecot: &'a Dovecot,
    proxy: &'a Proxy,
    client: Client,
    transport: Transport,
    user: &'a User,
    /// The names of the messages, for failures.
    names: Vec<&'static str>,
}

impl<'a> Mailbox<'a> {
    /// Delivers what the client can carry.
    fn fill(
        dovecot: &'a Dovecot,
        proxy: &'a Proxy,
        client: Client,
        transport: Transport,
        user: &'a User,
    ) -> Self {
        let mut messages = small();
        messages.retain(|message| match client.cannot_carry(message) {
            Some(reason) => {
                println!("{client:?} does not get {:?}: {reason}", message.name);
                false
            }
            None => true,
        });
        dovecot.deliver(user, messages.iter().map(|message| message.octets.as_slice()));
        let names = messages.iter().map(|message| message.name).collect();
        Self { dovecot, proxy, client, transport, user, names }
    }

    fn check(mut self) {
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [keeping, deleting] = homes.each_ref().map(tempfile::TempDir::path);

        // Left on the server: everything arrives, then only what is new.
        let held = self.held();
        let delivered = self.run(keeping, false);
        self.compare(&delivered, &held, &self.names);
        if self.client.remembers() {
            assert!(self.run(keeping, false).is_empty(), "{self}: fetched twice");
            Imap::open(self.dovecot, self.user).append(NEW_MAIL);
            self.names.push("new mail");
            let (delivered, held) = (self.run(keeping, false), self.held());
            let (old, new) = (self.names.len() - 1, self.names.len());
            self.compare(&delivered, &held[old..], &self.names[old..new]);
        }

        // Deleted: everything arrives and is hidden, and everything is still there.
        let before = self.held();
        assert!(!before.iter().any(|message| message.has(HIDDEN)), "{self}: hidden without DELE");
        let delivered = self.run(deleting, true);
        self.compare(&delivered, &before, &self.names);
        self.proxy.wait_until_idle();
        let after = self.held();
        let identity = |message: &Message| (message.uid, message.sha256);
        assert!(
            after.iter().map(identity).eq(before.iter().map(identity)),
            "{self}: the mailbox changed from {before:?} to {after:?}"
        );
        for message in &after {
            assert!(message.has(HIDDEN), "{self}: not hidden: {message:?}");
            assert!(!message.has("\\Deleted"), "{self}: {message:?}");
        }
        let mut pop3 = self.proxy.connect(self.transport);
        pop3.login(&self.user.name, &self.user.password);
        assert_eq!(pop3.command("STAT"), "+OK 0 0", "{self}: hidden messages are listed");
    }

    fn held(&self) -> Vec<Message> {
        Imap::open(self.dovecot, self.user).messages()
    }

    fn run(&self, home: &Path, delete: bool) -> Vec<Vec<u8>> {
        self.client.run(&Run {
            transport: self.transport,
            port: self.proxy.port(self.transport),
            user: self.user,
            authority: &self.dovecot.certificates.authority,
            home,
            delete,
            count: self.names.len(),
        })
    }

    /// Is what was delivered what IMAP holds?
    fn compare(&self, delivered: &[Vec<u8>], held: &[Message], names: &[&str]) {
        assert_eq!(held.len(), names.len(), "{self}: messages in the mailbox");
        let mut imap = Imap::open(self.dovecot, self.user);
        for ((got, message), name) in delivered.iter().zip(held).zip(names) {
            let wanted = self.client.delivers(&imap.body(message.uid));
            let text =
                |octets: &[u8]| octets.escape_ascii().to_string().chars().take(2_000).collect::<String>();
            assert!(*got == wanted, "{self}: {name}\n got {}\nheld {}", text(got), text(&wanted));
        }
        // Last, because a missing message shows above by what came in its place.
        assert_eq!(delivered.len(), names.len(), "{self}: messages delivered");
    }
}

impl std::fmt::Display for Mailbox<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} over {:?}", self.client, self.transport)
    }
}
