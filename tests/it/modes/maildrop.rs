//! With a notice everything else of the maildrop is as without: numbers, sizes, unique-ids, octets; and the mailbox
//! knows nothing of it. A notice stays as it is for its campaign, and comes once in each.

use super::{MESSAGE, PAGE, count, held, quit};
use crate::corpus::small;
use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Body, Pop3};
use crate::support::proxy::{Proxy, Upstream};

const NOTICE: (&str, &str) = ("policy.mode", "\"notice\"");

/// All that a client can see of a maildrop.
#[derive(Debug, PartialEq)]
struct Seen {
    list: Vec<String>,
    uidl: Vec<String>,
    whole: Vec<Body>,
    tops: Vec<[Body; 3]>,
}

fn listing(session: &mut Pop3, command: &str) -> Vec<String> {
    assert!(session.command(command).starts_with("+OK"), "{command}");
    session.listing()
}

fn body(session: &mut Pop3, command: &str) -> Body {
    let said = session.command(command);
    assert!(said.starts_with("+OK"), "{command}: {said}");
    session.body()
}

fn look(session: &mut Pop3) -> Seen {
    let (list, uidl) = (listing(session, "LIST"), listing(session, "UIDL"));
    let octets = |line: &String| line.split(' ').nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap();
    let sum: u64 = list.iter().map(octets).sum();
    assert_eq!(session.command("STAT"), format!("+OK {} {sum}", list.len()));
    let numbers = 1..=list.len();
    let whole = numbers.clone().map(|number| body(session, &format!("RETR {number}"))).collect();
    let top = |number| [0, 3, 99_999_999].map(|lines| body(&mut *session, &format!("TOP {number} {lines}")));
    let tops = numbers.map(top).collect();
    Seen { list, uidl, whole, tops }
}

#[test]
fn everything_but_the_notice_is_as_without_it() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna@example.net", "a password");
    let messages = small();
    dovecot.deliver(&user, messages.iter().map(|message| message.octets.as_slice()));
    let before = Imap::open(&dovecot, &user).messages();
    let without = Proxy::start(&dovecot, Upstream::Plain);
    let with = Proxy::start_with(&dovecot, Upstream::Plain, &[NOTICE, PAGE], &[]);

    let mut session = without.login(&user);
    let as_ever = look(&mut session);
    quit(session);
    let mut session = with.login(&user);
    let mut seen = look(&mut session);
    // 1. The notice has the last number, the size that is listed, and a unique-id like no other.
    let last = before.len() + 1;
    let whole = seen.whole.pop().expect("the notice");
    assert_eq!(seen.list.pop(), Some(format!("{last} {}", whole.length)));
    let [header, some, all] = seen.tops.pop().expect("the notice");
    assert!(header.length < some.length && some.length < whole.length);
    assert_eq!(all, whole);
    let unique_id = seen.uidl.pop().expect("the notice");
    assert!(unique_id.starts_with(&format!("{last} {{notice}}")), "{unique_id}");
    // 2. All else is the same.
    assert_eq!(seen, as_ever);
    // 3. Deleting it says nothing to the mailbox; deleting others hides those and no more.
    for number in [1, last] {
        assert!(session.command(&format!("DELE {number}")).starts_with("+OK"));
    }
    quit(session);
    let after = Imap::open(&dovecot, &user).messages();
    assert_eq!(held(&after), held(&before));
    let hidden: Vec<u32> =
        after.iter().filter(|mail| mail.has("$POP3Deleted")).map(|mail| mail.uid).collect();
    assert_eq!(hidden, [before[0].uid]);
    let mut session = with.login(&user);
    assert_eq!(count(&mut session), before.len() - 1);
    quit(session);
}

/// The last message, as it is listed and as it is sent.
fn notice(proxy: &Proxy, user: &User) -> (String, String, Vec<u8>) {
    let mut session = proxy.login(user);
    let number = count(&mut session);
    let list = session.command(&format!("LIST {number}"));
    let uidl = session.command(&format!("UIDL {number}"));
    assert!(session.command(&format!("RETR {number}")).starts_with("+OK"));
    let message = session.message();
    assert_eq!(list, format!("+OK {number} {}", message.len()));
    quit(session);
    (list, uidl, message)
}

#[test]
fn a_notice_stays_for_its_campaign_whatever_is_edited_and_comes_once_in_each() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[("anna@example.net", "a password"), ("bob@example.net", "a password")]);
    let (anna, bob) = (&users[0], &users[1]);
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 2]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let template = |text: &str| {
        let template =
            format!("From: Post <post@{{domain}}>\nSubject: {text}\n\n{text}\n\n<html>{text}</html>\n");
        std::fs::write(folder.path().join("notice.en.eml"), template).expect("a template");
    };
    template("first");
    let directory = format!("\"{}\"", folder.path().display());
    let changes = [NOTICE, PAGE, ("notices.directory", directory.as_str())];
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let first = notice(&proxy, anna);
    assert!(String::from_utf8_lossy(&first.2).contains("Subject: first\r\n"));

    // Edited within the campaign: whoever comes sees what it began with, bob for the first time.
    template("second");
    proxy.reload(&[("policy.url", "\"https://example.net/another\"")]);
    assert_eq!(notice(&proxy, anna), first);
    assert!(String::from_utf8_lossy(&notice(&proxy, bob).2).contains("Subject: first\r\n"));

    // Deleted, it does not come again; in another campaign it does, as it is now.
    let mut session = proxy.login(anna);
    assert!(session.command("DELE 3").starts_with("+OK"));
    quit(session);
    assert_eq!(count(&mut proxy.login(anna)), 2);
    let mut older = proxy.login(bob);
    proxy.reload(&[("notices.campaign", "\"2\"")]);
    let second = notice(&proxy, anna);
    assert!(String::from_utf8_lossy(&second.2).contains("Subject: second\r\n"));
    assert_ne!(second.1, first.1);
    // A session of the campaign before that ends last takes nothing back.
    let mut newer = proxy.login(bob);
    for session in [&mut older, &mut newer] {
        assert!(session.command("DELE 3").starts_with("+OK"));
    }
    quit(newer);
    quit(older);
    for campaign in ["\"2\"", "\"1\""] {
        proxy.reload(&[("notices.campaign", campaign)]);
        assert_eq!(count(&mut proxy.login(bob)), 2, "{campaign}");
    }
    assert_eq!(count(&mut proxy.login(anna)), 2);
}
