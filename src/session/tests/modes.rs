//! What time does to modes: for how long a refused user's password is known.

use super::*;
use crate::policy::Mode;

/// A login; gives the reply to PASS.
async fn knock(cx: &Arc<Context>, password: &str) -> String {
    let mut client = client(cx);
    line(&mut client).await;
    client.write_all(format!("USER anna\r\nPASS {password}\r\n").as_bytes()).await.expect("a reader");
    line(&mut client).await;
    line(&mut client).await
}

/// An upstream that takes the password, up to the end of the connection; gives what it was asked.
async fn accepting(upstream: &mut mpsc::Receiver<DuplexStream>) -> Vec<String> {
    let mut peer = BufReader::new(upstream.recv().await.expect("a connection"));
    peer.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n").await.expect("a reader");
    let mut asked = Vec::new();
    for answer in
        ["TAG OK [CAPABILITY IMAP4rev1] in\r\n", "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK\r\n"]
    {
        asked.push(answer_with(&mut peer, answer).await);
    }
    asked.extend(line(&mut peer).await.split_whitespace().nth(1).map(str::to_owned));
    assert_eq!(line(&mut peer).await, "");
    asked
}

#[tokio::test]
async fn a_password_that_was_refused_a_session_is_known_for_an_hour_and_then_checked_anew() {
    let mut config = Config::default();
    config.policy.mode = Mode::ImapOnly;
    let hour = config.policy.remember_verified;
    let Setup { cx, mut upstream, _directory } = setup_with(&config).await;
    let checked = ["LOGIN \"anna\" \"x\"", "SELECT INBOX", "LOGOUT"];
    let (refused, asked) = tokio::join!(knock(&cx, "x"), accepting(&mut upstream));
    assert!(refused.starts_with("-ERR [SYS/PERM] POP3 is switched off for anna."), "{refused}");
    assert_eq!(asked, checked);
    // Nobody would answer upstream.
    assert_eq!(knock(&cx, "x").await, refused);
    tokio::time::pause();
    tokio::time::advance(hour.saturating_sub(Duration::from_mins(1))).await;
    tokio::time::resume();
    assert_eq!(knock(&cx, "x").await, refused, "knocking does not prolong it, and it is not over");
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    let (again, asked) = tokio::join!(knock(&cx, "x"), accepting(&mut upstream));
    assert_eq!((again, asked.as_slice()), (refused, checked.map(str::to_owned).as_slice()));
    assert_eq!(cx.metrics.clients.refused_logins.with_label_values(&["imap-only"]).get(), 4);
    assert_eq!(cx.metrics.upstream.active.get(), 0);
}
