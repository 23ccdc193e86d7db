//! Modes and notices in front of a real Dovecot: what a notice leaves alone in `maildrop`, real clients in
//! `clients`, two proxies on one state in `fleet`, proxies that
//! cannot hear each other in `deaf`, a state that is away in `away`, and all of it at once in `outage`.

mod away;
mod clients;
mod deaf;
mod fleet;
mod maildrop;
mod outage;
mod waves;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use lastpop::policy::Setting;
use lastpop::store::Subject;
use lastpop::users::UserName;

use crate::support::desk::Desk;
use crate::support::dovecot::User;
use crate::support::imap::Message;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::Proxy;
use crate::support::wait;

/// Without a page there is no notice.
const PAGE: (&str, &str) = ("policy.url", "\"https://example.net/imap\"");

const MESSAGE: &[u8] = b"Return-Path: <a@example.org>\r\nSubject: a message\r\n\r\nits body\r\n";

/// What PASS is answered, and the session.
fn knock(proxy: &Proxy, user: &User) -> (String, Pop3) {
    let mut session = proxy.connect(Transport::Plain);
    assert!(session.command(&format!("USER {}", user.name)).starts_with("+OK"));
    (session.command(&format!("PASS {}", user.password)), session)
}

/// A login is answered with this.
#[track_caller]
fn answered(proxy: &Proxy, user: &User, reply: &str) {
    let (said, _) = knock(proxy, user);
    assert!(said.starts_with(reply), "{}: {said}", user.name);
}

/// Logs in until the answer is this one; gives how long that took.
fn answered_soon(proxy: &Proxy, user: &User, reply: &str) -> Duration {
    let before = Instant::now();
    wait::until(&format!("the login of {} is answered {reply}", user.name), || {
        knock(proxy, user).0.starts_with(reply).then(|| before.elapsed())
    })
}

#[track_caller]
fn quit(mut session: Pop3) {
    let said = session.command("QUIT");
    assert!(said.starts_with("+OK"), "QUIT: {said}");
}

/// STAT's number of messages.
fn count(session: &mut Pop3) -> usize {
    let said = session.command("STAT");
    said.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("STAT: {said}"))
}

/// Whose rule.
fn of(user: &User) -> Subject {
    Subject::User(UserName::stored(&user.name))
}

/// Sets a rule, as its text has it, from now on.
fn set(desk: &Desk, subject: &Subject, setting: &str) {
    let setting = Setting::parse(setting, 0).expect("a setting");
    desk.set(subject, setting, Timestamp::now().as_second()).expect("set");
}

/// What nobody may change: UIDs, octets, and flags but those that POP3 sets.
fn held(messages: &[Message]) -> Vec<(u32, [u8; 32], Vec<String>)> {
    let usual = |flag: &String| flag == "\\Seen" || flag == "\\Recent" || flag == "$POP3Deleted";
    let flags =
        |message: &Message| message.flags.iter().filter(|flag| !usual(flag)).cloned().collect::<Vec<_>>();
    messages.iter().map(|message| (message.uid, message.sha256, flags(message))).collect()
}
