//! The log: a line at login and a line at the end, with the words that support desks search for, and never a
//! password, however much is logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{MESSAGE, NAME, PASSWORD, quit, retrieve, says};
use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};

const WRONG: &str = "Wr0ng-xylophone";

/// The value of a field of a line in JSON; numbers as they are, strings without quotes.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, rest) =
        line.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no field {name} in {line}"));
    match rest.strip_prefix('"') {
        Some(text) => text.split('"').next().unwrap_or_default(),
        None => rest.split([',', '}']).next().unwrap_or_default(),
    }
}

/// The lines with this message.
fn lines(log: &str, message: &str) -> Vec<String> {
    let message = format!("\"message\":\"{message}\"");
    log.lines().filter(|line| line.contains(&message)).map(str::to_owned).collect()
}

#[test]
fn a_line_at_login_and_a_line_at_the_end() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 3]);
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let octets = 3 * MESSAGE.len();

    let mut session = Pop3::connect_from("127.77.0.9", proxy.endpoints.plain);
    session.login(&user.name, &user.password);
    retrieve(&mut session, 1);
    retrieve(&mut session, 2);
    says(&mut session, "TOP 3 0", "+OK");
    session.body();
    says(&mut session, "DELE 1", "+OK");
    quit(session);
    proxy.wait_until_left();
    let mut dropped = proxy.connect(Transport::Implicit);
    dropped.login(&user.name, &user.password);
    says(&mut dropped, "DELE 1", "+OK");
    dropped.reset();
    proxy.wait_until_left();

    let log = proxy.log_with("\"message\":\"session ended\"", 2);
    let (logins, ends) = (lines(&log, "login"), lines(&log, "session ended"));
    assert_eq!((logins.len(), ends.len()), (2, 2), "{log}");
    for (login, end) in logins.iter().zip(&ends) {
        assert_eq!(field(login, "session"), field(end, "session"));
        assert_eq!((field(login, "user"), field(end, "user")), (NAME, NAME));
        assert_eq!((field(login, "lip"), field(end, "lip")), ("127.0.0.1", "127.0.0.1"));
    }
    assert_ne!(field(&logins[0], "session"), field(&logins[1], "session"));
    let want = |line: &str, fields: &[(&str, &str)]| {
        for (name, value) in fields {
            assert_eq!(field(line, name), *value, "{name} in {line}");
        }
    };
    let (all, two) = (octets.to_string(), (octets - MESSAGE.len()).to_string());
    want(
        &logins[0],
        &[("rip", "127.77.0.9"), ("tls", "none"), ("messages", "3"), ("size", &all), ("hidden", "0")],
    );
    want(
        &ends[0],
        &[("rip", "127.77.0.9"), ("result", "quit"), ("del", "1/3"), ("size", &all), ("failed", "0")],
    );
    // As Dovecot writes them: how many, and the octets that they took.
    let (retrieved, top) = (field(&ends[0], "retr"), field(&ends[0], "top"));
    assert!(retrieved.starts_with("2/") && top.starts_with("1/"), "{retrieved} {top}");
    want(&logins[1], &[("tls", "TLSv1.3"), ("messages", "2"), ("size", &two), ("hidden", "1")]);
    want(&ends[1], &[("result", "dropped"), ("retr", "0/0"), ("top", "0/0"), ("del", "0/2")]);
}

/// What a password looks like in each place that it passes.
fn forms(password: &str) -> Vec<String> {
    let mut forms = vec![
        password.to_owned(),
        BASE64.encode(password),
        BASE64.encode(format!("\0{NAME}\0{password}")),
        BASE64.encode(format!("{NAME}\0{NAME}\0{password}")),
    ];
    // The middle of the base64 of whatever comes before and after it, without the ends that depend on that.
    for shift in 0..3 {
        let padded = format!("{}{password}", "x".repeat(shift));
        let encoded = BASE64.encode(&padded);
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms.push(format!("{:?}", password.as_bytes()).trim_matches(['[', ']']).to_owned());
    forms
}

/// Every way to log in, with the reply to the last line.
fn log_in_every_way(proxy: &Proxy, user: &User) -> Vec<String> {
    let plain = BASE64.encode(format!("\0{}\0{}", user.name, user.password));
    let proxied = BASE64.encode(format!("{0}\0{0}\0{1}", user.name, user.password));
    let (name, password) = (BASE64.encode(&user.name), BASE64.encode(&user.password));
    let ways: [&[&str]; 6] = [
        &[&format!("USER {}", user.name), &format!("PASS {}", user.password)],
        &[&format!("AUTH PLAIN {plain}")],
        &["AUTH PLAIN", &plain],
        &["AUTH PLAIN", &proxied],
        &["AUTH LOGIN", &name, &password],
        &[&format!("AUTH LOGIN {name}"), &password],
    ];
    let mut replies = Vec::new();
    for transport in [Transport::Plain, Transport::Implicit] {
        for way in ways {
            let mut session = proxy.connect(transport);
            let reply = way.iter().map(|line| session.command(line)).last();
            replies.push(reply.expect("a reply"));
            // Whatever became of it: the password in a place where none belongs.
            session.command(&format!("PASS {}", user.password));
            session.command(&user.password);
            session.command(&format!("AUTH {plain}"));
        }
    }
    replies
}

#[test]
fn no_password_is_ever_logged() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE]);
    for upstream in [Upstream::Plain, Upstream::Implicit] {
        let proxy = Proxy::start_with(&dovecot, upstream, &[("log.level", "\"trace\"")], &[]);
        for reply in log_in_every_way(&proxy, &user) {
            assert!(reply.starts_with("+OK"), "{reply}");
        }
        for reply in log_in_every_way(&proxy, &user.with_password(WRONG)) {
            assert!(reply.starts_with("-ERR [AUTH]"), "{reply}");
        }
        proxy.wait_until_left();
        let log = proxy.log_with("\"message\":\"session ended\"", 12);
        assert!(log.contains("\"level\":\"TRACE\""), "everything is logged:\n{log}");
        assert!(lines(&log, "login").len() == 12 && lines(&log, "login failed").len() >= 12, "{log}");
        for form in [forms(PASSWORD), forms(WRONG)].concat() {
            assert!(!log.contains(&form), "{form} is in the log");
        }
    }
}

/// An upstream that cannot be reached is told apart from a wrong password, in the log as well.
#[test]
fn the_log_says_why_a_login_failed() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("log.level", "\"trace\"")], &[]);
    let mut session = proxy.connect(Transport::Plain);
    says(&mut session, &format!("USER {}", user.name), "+OK");
    says(&mut session, &format!("PASS {WRONG}"), "-ERR [AUTH]");
    proxy.reload(&[("upstream.address", "\"127.0.0.1:1\"")]);
    let mut session = proxy.connect(Transport::Plain);
    says(&mut session, &format!("USER {}", user.name), "+OK");
    says(&mut session, &format!("PASS {PASSWORD}"), "-ERR [SYS/TEMP]");
    let log = proxy.log_with("\"message\":\"login failed\"", 2);
    let failed = lines(&log, "login failed");
    assert_eq!(failed.len(), 2, "{log}");
    assert_eq!(field(&failed[0], "result"), "bad_credentials");
    assert_eq!(field(&failed[1], "result"), "upstream_unavailable");
    assert!(field(&failed[1], "reason").contains("127.0.0.1:1"), "{}", failed[1]);
    for secret in [forms(PASSWORD), forms(WRONG)].concat() {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}
