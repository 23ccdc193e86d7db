//! What is learnt about users besides their sessions: which client it is, whether they are refused, how full their
//! mailbox is.

use super::{MESSAGE, NAME, quit, row, session, start, url};
use crate::store::{Place, sqlite};
use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::Transport;
use crate::support::proxy::Proxy;
use crate::support::wait;

/// Waits until the columns of the only row are these.
fn written(place: &Place, columns: &[&str], expected: &str) {
    let what = format!("{columns:?} are {expected}");
    wait::until(&what, || (row(place, columns).as_deref() == Some(expected)).then_some(()));
}

#[test]
fn a_client_that_gives_itself_away_is_named_at_once_and_stays_named() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    let place = sqlite();
    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &["STAT"]);
    written(&place, &["sessions", "family"], "1|unknown");
    // getmail lists everything twice.
    let mut getmail = proxy.login(&user);
    for listing in ["UIDL", "LIST", "UIDL", "LIST"] {
        assert!(getmail.command(listing).starts_with("+OK"));
        getmail.listing();
    }
    quit(getmail);
    written(&place, &["sessions", "family"], "2|getmail");
    session(&proxy, &user, &["STAT"]);
    drop(proxy);
    assert_eq!(row(&place, &["sessions", "family"]).as_deref(), Some("3|getmail"));
}

fn refused(proxy: &Proxy, user: &User, reply: &str) {
    let mut session = proxy.connect(Transport::Plain);
    assert!(session.command(&format!("USER {}", user.name)).starts_with("+OK"));
    let said = session.command(&format!("PASS {}", user.password));
    assert!(said.starts_with(reply), "{said}");
    drop(session);
    proxy.wait_until_left();
}

#[test]
fn who_is_refused_is_known_to_knock_but_only_with_the_right_password() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    let place = sqlite();
    let switched = ("policy.mode", "\"imap-only\"");
    let proxy = start(&dovecot, &url(&place), &[switched]);
    refused(&proxy, &user.with_password("wrong"), "-ERR [AUTH]");
    for _ in 0..2 {
        // The second time it is remembered that the password is right.
        refused(&proxy, &user, "-ERR [SYS/PERM]");
    }
    drop(proxy);
    let columns = ["sessions", "refused", "address", "first_seen", "active_days"];
    assert_eq!(row(&place, &columns).as_deref(), Some("0|2|127.0.0.1|-|0"));

    // Where nobody asks upstream, nobody makes a row.
    let place = sqlite();
    let unverified = ("policy.verify_before_refusing", "false");
    let proxy = start(&dovecot, &url(&place), &[switched, unverified]);
    refused(&proxy, &user, "-ERR [SYS/PERM]");
    drop(proxy);
    assert_eq!(row(&place, &columns), None);
}

/// It is ours, and must not look like mail in the figures that a campaign is judged by. The log and the list of
/// sessions tell what went over the wire, notice included.
#[test]
fn a_notice_that_is_read_or_deleted_is_no_use_of_pop3() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    dovecot.deliver(&user, [MESSAGE; 2]);
    let place = sqlite();
    let columns = ["sessions", "messages", "octets", "deleted", "maildrop_messages", "keeps_mail"];
    let commands = |commands: &[&str], mode: (&str, &str)| {
        let farewell = ("policy.response", "\"notice\"");
        let page = ("policy.url", "\"https://example.net/imap\"");
        let proxy = start(&dovecot, &url(&place), &[mode, farewell, page]);
        let mut session = proxy.login(&user);
        for command in commands {
            assert!(session.command(command).starts_with("+OK"), "{command}");
            if !command.starts_with("DELE") {
                session.body();
            }
        }
        quit(session);
        proxy.wait_until_left();
        proxy.log_with("session ended", 1)
    };
    let notice = ("policy.mode", "\"notice\"");
    commands(&["RETR 3", "TOP 3 99999999"], notice);
    assert_eq!(row(&place, &columns).as_deref(), Some("1|0|0|0|2|-"));
    let log = commands(&["RETR 1", "RETR 3", "DELE 3"], notice);
    assert!(log.contains("\"del\":\"1/3\"") && log.contains("\"retr\":\"2/"), "{log}");
    let sent = MESSAGE.len() + "+OK 32 octets\r\n".len() + ".\r\n".len();
    let expected = format!("2|1|{sent}|0|2|1");
    assert_eq!(row(&place, &columns).as_ref(), Some(&expected));
    commands(&["RETR 1", "DELE 1"], ("policy.mode", "\"imap-only\""));
    // Who is shown nothing else is refused in another form.
    assert_eq!(row(&place, &columns), Some(expected));
    assert_eq!(row(&place, &["refused"]).as_deref(), Some("1"));
}

/// A maildrop that holds only the farewell says nothing about the mailbox.
#[test]
fn what_was_not_looked_at_stays_as_it_was() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    dovecot.deliver(&user, [MESSAGE; 3]);
    let place = sqlite();
    let columns = ["sessions", "maildrop_messages", "hidden_messages"];
    for mode in ["\"pop3\"", "\"imap-only\""] {
        let changes = [
            ("policy.mode", mode),
            ("policy.response", "\"notice\""),
            ("notices.campaign", "\"x\""),
            ("policy.url", "\"https://example.net/imap\""),
        ];
        let proxy = start(&dovecot, &url(&place), &changes);
        session(&proxy, &user, &["STAT"]);
    }
    assert_eq!(row(&place, &columns).as_deref(), Some("1|3|0"));
}

#[test]
fn what_a_session_hid_counts_as_hidden_when_it_is_over() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, "secret");
    dovecot.deliver(&user, [MESSAGE; 3]);
    let place = sqlite();
    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &["DELE 1", "DELE 3"]);
    drop(proxy);
    let columns = ["maildrop_messages", "maildrop_octets", "hidden_messages", "hidden_octets"];
    let octets = MESSAGE.len();
    let expected = format!("1|{octets}|2|{}", 2 * octets);
    assert_eq!(row(&place, &columns), Some(expected));
}

/// A mailbox without a limit as well: some servers count every message before they say so.
#[test]
fn the_quota_is_asked_for_once_a_day() {
    for (rule, expected) in [("quota_rule = *:storage=4M", "0|4194304"), ("", "-|-")] {
        asked_once(rule, expected);
    }
}

fn asked_once(rule: &str, expected: &str) {
    let dovecot = Dovecot::start_with(&format!(
        "mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  {rule}
  quota_vsizes = yes
}}"
    ));
    let user = dovecot.user(NAME, "secret");
    let place = sqlite();
    let asked = |proxy: &Proxy| {
        proxy.metric_with("lastpop_upstream_commands_total", "command=\"GETQUOTAROOT\",result=\"ok\"")
    };
    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &[]);
    wait::until("the quota was asked for", || (asked(&proxy) == 1).then_some(()));
    // It is in memory alone, most likely.
    session(&proxy, &user, &[]);
    drop(proxy);
    assert_eq!(row(&place, &["quota_used", "quota_limit"]).as_deref(), Some(expected));
    let proxy = start(&dovecot, &url(&place), &[]);
    session(&proxy, &user, &[]);
    assert_eq!(asked(&proxy), 0);
}
