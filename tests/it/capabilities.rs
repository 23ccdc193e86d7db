//! CAPA in every state and over every transport: what is offered is what works (RFC 2449 §5, RFC 2595 §4).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::dovecot::Dovecot;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};

/// What is offered in every state.
const ALWAYS: [&str; 7] =
    ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION lastpop"];

fn offered(pop3: &mut Pop3) -> Vec<String> {
    assert!(pop3.command("CAPA").starts_with("+OK"));
    let lines = pop3.listing();
    for capability in ALWAYS {
        assert!(lines.iter().any(|line| line == capability), "{capability} is not in {lines:?}");
    }
    lines
}

fn assert_offers(lines: &[String], capability: &str, expected: bool) {
    assert_eq!(lines.iter().any(|line| line == capability), expected, "{capability} in {lines:?}");
}

#[test]
fn before_login_after_stls_and_after_login() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna", "secret");
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for transport in [Transport::Plain, Transport::Starttls, Transport::Implicit] {
        let mut pop3 = proxy.connect(transport);
        let before = offered(&mut pop3);
        assert_offers(&before, "USER", true);
        assert_offers(&before, "SASL PLAIN LOGIN", true);
        assert_offers(&before, "STLS", false);
        pop3.login(&user.name, &user.password);
        let after = offered(&mut pop3);
        assert_offers(&after, "STLS", false);
        assert!(pop3.command("STLS").starts_with("-ERR"));
        assert!(pop3.command("QUIT").starts_with("+OK"));
    }
}

#[test]
fn before_stls_no_password_is_asked_for() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let tcp = TcpStream::connect(("127.0.0.1", proxy.port(Transport::Starttls))).expect("a connection");
    let mut lines =
        BufReader::new(tcp.try_clone().expect("a clone")).lines().map(|line| line.expect("a line"));
    let say = |text: &str| (&tcp).write_all(format!("{text}\r\n").as_bytes()).expect("written");
    assert!(lines.next().is_some_and(|greeting| greeting.starts_with("+OK")));
    say("CAPA");
    let offered: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
    assert_offers(&offered, "STLS", true);
    assert_offers(&offered, "USER", false);
    assert!(!offered.iter().any(|line| line.starts_with("SASL")), "{offered:?}");
    for command in ["USER anna", "AUTH PLAIN", "AUTH LOGIN"] {
        say(command);
        let reply = lines.next().expect("a reply");
        assert!(reply.starts_with("-ERR [SYS/PERM] "), "{command}: {reply}");
    }
}
