//! lastpop towards Dovecot: over TLS of both kinds, never over TLS that it cannot trust, and with
//! names and passwords that IMAP has to quote.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::pop3::{Pop3, Transport};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// Names and passwords that break whoever quotes, splits, trims or decodes them.
const ODD: &[(&str, &str)] = &[
    ("plain", "plain"),
    ("user@example.net", "with spaces in it"),
    ("a space", " a space in front"),
    ("two  spaces", "spaces behind  "),
    ("quo\"te", "\"quoted\""),
    ("back\\slash", "back\\slash\\"),
    ("st*r", "*"),
    ("{5}", "{5}"),
    ("{5+}", "~{5+}"),
    ("(paren)", ")"),
    ("percent%u", "%u%%"),
    ("nil", "NIL"),
    ("jürgen", "pässwörd ✓"),
    ("почта", "пароль"),
    ("semi;colon,comma", "semi;colon,comma"),
    ("apostrophe's", "''"),
    ("equals=", "AGEAYg=="),
    (
        "long",
        "a long password, longer than the lines that some servers take: 0123456789012345678901234567890123456789012345678901234567890123456789",
    ),
];

#[test]
fn odd_names_and_passwords_over_sasl_plain() {
    odd_names_and_passwords(&Dovecot::start_with("auth_mechanisms = plain login"), Upstream::Plain);
}

/// Without SASL-IR lastpop uses LOGIN, with quoted strings and literals.
#[test]
fn odd_names_and_passwords_over_login() {
    let dovecot = Dovecot::start_with("imap_capability = IMAP4rev1 ID ENABLE UIDPLUS CONDSTORE QRESYNC");
    odd_names_and_passwords(&dovecot, Upstream::Plain);
}

#[test]
fn odd_names_and_passwords_over_starttls() {
    let dovecot = Dovecot::start();
    odd_names_and_passwords(&dovecot, Upstream::Starttls);
    logged_in_over_tls(&dovecot);
}

#[test]
fn odd_names_and_passwords_over_implicit_tls() {
    let dovecot = Dovecot::start();
    odd_names_and_passwords(&dovecot, Upstream::Implicit);
    logged_in_over_tls(&dovecot);
}

/// A certificate that cannot be checked is an outage and never a wrong password, and the password
/// stays here.
#[test]
fn no_credentials_leave_over_tls_that_cannot_be_trusted() {
    for upstream in [Upstream::StarttlsWrongAuthority, Upstream::ImplicitWrongAuthority] {
        let dovecot = Dovecot::start();
        let user = dovecot.user("user", "a password");
        let proxy = Proxy::start(&dovecot, upstream);
        let before = login_attempts(&dovecot);
        for method in METHODS {
            let reply = method(&user, &mut proxy.connect(Transport::Plain));
            assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{upstream:?}: {reply}");
        }
        // Dovecot writes its log in order: once this attempt is there, any earlier one is too.
        Imap::try_login(&dovecot, &user).expect("a login straight to Dovecot");
        let after = wait::until("Dovecot logs the last attempt", || {
            let attempts = login_attempts(&dovecot);
            (attempts > before).then_some(attempts)
        });
        assert_eq!(after, before + 1, "{upstream:?}: credentials reached Dovecot:\n{}", dovecot.log());
    }
}

/// Spaces belong to the password: one too few or too many is a wrong password, not an outage.
#[test]
fn a_password_is_neither_trimmed_nor_folded() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[("front", " x"), ("behind", "x "), ("case", "x")]);
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for (user, wrong) in users.iter().zip(["x", "x", "X"]) {
        let wrong = user.with_password(wrong);
        let reply = user_pass(&wrong, &mut proxy.connect(Transport::Plain));
        assert!(reply.starts_with("-ERR [AUTH]"), "{}: {reply}", user.name);
        let reply = user_pass(user, &mut proxy.connect(Transport::Plain));
        assert!(reply.starts_with("+OK"), "{}: {reply}", user.name);
    }
}

/// Each user gets a number of messages of its own, so that being in the wrong mailbox shows.
fn odd_names_and_passwords(dovecot: &Dovecot, upstream: Upstream) {
    let users = dovecot.users(ODD);
    let proxy = Proxy::start(dovecot, upstream);
    for (count, user) in users.iter().enumerate() {
        dovecot.deliver(user, std::iter::repeat_n(b"Subject: x\r\n\r\n".as_slice(), count));
        for (number, method) in METHODS.iter().enumerate() {
            let mut pop3 = proxy.connect(Transport::Implicit);
            let reply = method(user, &mut pop3);
            let who = format!("{:?} with {:?}, method {number}", user.name, user.password);
            assert!(reply.starts_with("+OK"), "{upstream:?}: {who}: {reply}");
            assert_eq!(pop3.command("STAT"), format!("+OK {count} {}", count * 14), "{who}");
            assert!(pop3.command("QUIT").starts_with("+OK"), "{who}");
        }
    }
}

/// The ways to log in; each gives the last reply.
const METHODS: [fn(&User, &mut Pop3) -> String; 4] = [user_pass, auth_plain_at_once, auth_plain, auth_login];

fn user_pass(user: &User, pop3: &mut Pop3) -> String {
    let reply = pop3.command(&format!("USER {}", user.name));
    assert!(reply.starts_with("+OK"), "{}: {reply}", user.name);
    pop3.command(&format!("PASS {}", user.password))
}

fn auth_plain_at_once(user: &User, pop3: &mut Pop3) -> String {
    pop3.command(&format!("AUTH PLAIN {}", plain(user)))
}

fn auth_plain(user: &User, pop3: &mut Pop3) -> String {
    assert!(pop3.command("AUTH PLAIN").starts_with("+ "));
    pop3.command(&plain(user))
}

fn auth_login(user: &User, pop3: &mut Pop3) -> String {
    assert!(pop3.command("AUTH LOGIN").starts_with("+ "));
    assert!(pop3.command(&BASE64.encode(&user.name)).starts_with("+ "));
    pop3.command(&BASE64.encode(&user.password))
}

fn plain(user: &User) -> String {
    BASE64.encode(format!("\0{}\0{}", user.name, user.password))
}

/// How often somebody presented credentials to Dovecot.
fn login_attempts(dovecot: &Dovecot) -> usize {
    dovecot.log().matches("client in: AUTH").count()
}

/// Did Dovecot see TLS at the logins that came through lastpop? The logins of the test itself are
/// in the clear and come first.
fn logged_in_over_tls(dovecot: &Dovecot) {
    let wanted = ODD.len() * METHODS.len();
    wait::until("Dovecot logs the logins over TLS", || {
        let log = dovecot.log();
        let tls =
            log.lines().filter(|line| line.contains("imap-login: Info: Login:") && line.contains(", TLS,"));
        (tls.count() == wanted).then_some(())
    });
}
