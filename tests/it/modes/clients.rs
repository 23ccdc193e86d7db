//! Real clients fetch the notice once, as a message like any other, and keep what they know of the maildrop.

use super::{MESSAGE, PAGE, count, held, quit};
use crate::clients::programs::{Client, Run};
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::Transport;
use crate::support::proxy::{Proxy, Upstream};

const CLIENTS: [Client; 4] = [Client::Poplib, Client::Fetchmail, Client::Getmail, Client::Mpop];

/// The last message, as any client would read it.
fn last(proxy: &Proxy, user: &User) -> Vec<u8> {
    let mut session = proxy.login(user);
    let number = count(&mut session);
    assert!(session.command(&format!("RETR {number}")).starts_with("+OK"));
    let message = session.message();
    quit(session);
    message
}

/// What the client makes of the notice, which has no Return-Path; getmail6 gives every message one.
fn as_delivered(client: Client, notice: &[u8]) -> String {
    let delivered = text(&client.delivers(notice));
    if client == Client::Getmail { format!("Return-Path: <unknown>\n{delivered}") } else { delivered }
}

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).into_owned()
}

#[test]
fn clients_fetch_the_notice_once_and_forget_nothing() {
    let dovecot = Dovecot::start();
    let names = ["poplib", "fetchmail", "getmail", "mpop"].map(|name| format!("{name}@example.net"));
    let users = dovecot.users(&names.each_ref().map(|name| (name.as_str(), "a password")));
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("policy.mode", "\"notice\""), PAGE], &[]);
    let homes = CLIENTS.map(|_| tempfile::tempdir().expect("a folder"));
    let run = |proxy: &Proxy, client: Client, delete: bool| {
        let at = CLIENTS.iter().position(|one| *one == client).expect("one of them");
        let delivered = client.run(&Run {
            transport: Transport::Plain,
            port: proxy.port(Transport::Plain),
            user: &users[at],
            authority: &dovecot.certificates.authority,
            home: homes[at].path(),
            delete,
            count: 3,
        });
        delivered.iter().map(|message| text(message)).collect::<Vec<_>>()
    };
    for (client, user) in CLIENTS.into_iter().zip(&users) {
        dovecot.deliver(user, [MESSAGE; 2]);
        let before = Imap::open(&dovecot, user).messages();
        // 1. Two messages and the notice, each once.
        let message = text(&client.delivers(MESSAGE));
        let expected = [message.clone(), message, as_delivered(client, &last(&proxy, user))];
        assert_eq!(run(&proxy, client, false), expected, "{client:?}");
        assert!(run(&proxy, client, false).is_empty(), "{client:?}: fetched twice");
        // 2. Another program deletes the notice: nothing is fetched again.
        let mut session = proxy.login(user);
        assert!(session.command("DELE 3").starts_with("+OK"));
        quit(session);
        assert!(run(&proxy, client, false).is_empty(), "{client:?}: fetched again");
        assert_eq!(held(&Imap::open(&dovecot, user).messages()), held(&before), "{client:?}");
    }
    // 3. The next campaign's notice is one more message, and a client that deletes what it has fetched deletes it.
    proxy.reload(&[("notices.campaign", "\"2\"")]);
    for (client, user) in CLIENTS.into_iter().zip(&users) {
        let before = Imap::open(&dovecot, user).messages();
        let notice = as_delivered(client, &last(&proxy, user));
        assert_eq!(run(&proxy, client, true), [notice], "{client:?}");
        proxy.wait_until_idle();
        assert!(run(&proxy, client, true).is_empty(), "{client:?}: fetched twice");
        proxy.wait_until_idle();
        assert_eq!(held(&Imap::open(&dovecot, user).messages()), held(&before), "{client:?}");
    }
}
