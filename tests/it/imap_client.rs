//! lastpop's own IMAP client against a real Dovecot, for what a POP3 client cannot ask for: how full a mailbox
//! is, and that hidden messages come back.

use std::time::Duration;

use lastpop::config::HostPort;
use lastpop::imap::Listed;
use lastpop::imap::client::Terms;
use lastpop::imap::command::Login;
use lastpop::imap::unhide::Unhidden;
use lastpop::imap::{Client, Keyword, Quota};
use lastpop::net::Dialer;

use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::proxy::{Proxy, Upstream};

const MESSAGE: &[u8] = b"Subject: a message\r\n\r\nits body\r\n";

async fn login(dovecot: &Dovecot, user: &User) -> Client {
    let dialer = Dialer::Network {
        addresses: vec![HostPort { host: "localhost".to_owned(), port: dovecot.ports.imaps }],
        connect_timeout: Duration::from_secs(10),
        tls: dovecot.certificates.client_config(),
        implicit: true,
    };
    let terms = Terms { starttls: false, response_timeout: Duration::from_mins(1) };
    let mut client = Client::connect(&dialer, terms).await.expect("a connection to Dovecot");
    let login = Login { user: user.name.as_bytes(), password: user.password.as_bytes() };
    client.login(login).await.expect("a login");
    client
}

#[tokio::test]
async fn how_full_a_mailbox_is() {
    let dovecot = Dovecot::start_with(
        "mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = count:User quota
  quota_rule = *:storage=4M:messages=100
  quota2 = count:Another \"quota\"
  quota2_rule = *:storage=1M
  quota3 = count:Without a limit
  quota_vsizes = yes
}",
    );
    let user = dovecot.user("anna", "secret");
    let limit = 1024 * 1024;
    let quota = login(&dovecot, &user).await.quota().await.expect("an answer");
    assert_eq!(quota, Some(Quota { used: 0, limit }));
    dovecot.deliver(&user, [vec![b'x'; 300 * 1024].as_slice()]);
    let quota = login(&dovecot, &user).await.quota().await.expect("an answer").expect("a quota");
    assert_eq!(quota.limit, limit);
    assert!((300 * 1024..=302 * 1024).contains(&quota.used), "{quota:?}");
}

#[tokio::test]
async fn without_a_quota_there_is_no_answer() {
    for settings in [
        "",
        "mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}",
    ] {
        let dovecot = Dovecot::start_with(settings);
        let user = dovecot.user("anna", "secret");
        let quota = login(&dovecot, &user).await.quota().await.expect("no failure");
        assert_eq!(quota, None, "{settings}");
    }
}

/// Unhides over a connection of its own; gives what came of it and the messages that are still hidden.
async fn unhide(dovecot: &Dovecot, user: &User, since: Option<i64>) -> (Unhidden, Vec<u32>) {
    let keyword = Keyword::parse("$POP3Deleted").expect("a keyword");
    let mut client = login(dovecot, user).await;
    let mailbox = client.select(&keyword).await.expect("INBOX");
    let mut listing = client.list(&mailbox, &keyword).await.expect("a listing");
    let unhidden = client.unhide(&mut listing, since, &keyword).await.expect("an answer");
    let listed: Vec<Listed> = client.list(&mailbox, &keyword).await.expect("a listing");
    assert_eq!(listing, listed, "the rows say what the server says");
    (unhidden, listing.iter().filter(|row| row.hidden).map(|row| row.uid).collect())
}

#[tokio::test]
async fn hidden_messages_come_back() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("anna", "secret");
    let mut imap = Imap::open(&dovecot, &user);
    for date in ["01-Oct-2026 12:00:00 +0000", "01-Nov-2026 01:30:00 +0200", "31-Oct-2026 23:00:00 -0100"] {
        imap.append_dated(date, MESSAGE);
    }
    (0..2).for_each(|_| imap.append(MESSAGE));
    imap.store(2, "+FLAGS", "\\Flagged work");
    let before = imap.messages();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut session = proxy.login(&user);
    for number in 1..=3 {
        assert!(session.command(&format!("DELE {number}")).starts_with("+OK"));
    }
    assert!(session.command("QUIT").starts_with("+OK"));
    let hidden = Imap::open(&dovecot, &user).messages();
    assert!(hidden[..3].iter().all(|message| message.has("$POP3Deleted") && message.has("\\Seen")));

    // 2026-11-01T00:00:00Z: only the third is not before it, whatever its zone makes of the day.
    let came_back = unhide(&dovecot, &user, Some(1_793_491_200)).await;
    assert_eq!(came_back, (Unhidden { shown: 1, failed: 0 }, vec![1, 2]));
    assert!(proxy.login(&user).command("STAT").starts_with("+OK 3 "));
    let came_back = unhide(&dovecot, &user, None).await;
    assert_eq!(came_back, (Unhidden { shown: 2, failed: 0 }, vec![]));
    assert_eq!(unhide(&dovecot, &user, None).await.0, Unhidden::default());
    assert!(proxy.login(&user).command("STAT").starts_with("+OK 5 "));

    // Nothing but the keyword is gone.
    for (before, after) in before.iter().zip(Imap::open(&dovecot, &user).messages()) {
        assert_eq!((before.uid, before.sha256), (after.uid, after.sha256));
        assert!(!after.has("$POP3Deleted"));
        assert_eq!(after.has("\\Seen"), after.uid <= 3);
        assert_eq!(after.has("\\Flagged") && after.has("work"), after.uid == 2);
    }
}
