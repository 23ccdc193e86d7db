//! Orders that are carried out at once with master credentials: what is said upstream, what is believed, and the bounds.

use super::*;
use crate::session::master::{AtOnce, Failure, MOST, unhide};
use crate::users::UserName;

const PATIENCE: Duration = Duration::from_secs(8);

/// With master credentials of this style, and an order for anna.
async fn ordered(style: &str) -> (Setup, UserName) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("master");
    std::fs::write(&file, "secret\n").expect("written");
    let section =
        format!("user = \"lastpop\"\nstyle = \"{style}\"\npassword_file = \"{}\"\n", file.display());
    let mut config = Config::default();
    config.upstream.master = Some(toml::from_str(&section).expect("a section"));
    let setup = setup_with(&config).await;
    let anna = UserName::stored("anna");
    setup.cx.store.ask_to_unhide(&anna, 0, "ilze", "she asked", 0).await.expect("recorded");
    (setup, anna)
}

/// Is the order still to do, and by anybody?
async fn waits(cx: &Context, user: &UserName) -> bool {
    let claimed = cx.store.claim_unhide(user, jiff::Timestamp::now().as_second()).await.expect("an answer");
    match claimed {
        crate::store::Claimed::Ours(claim) => {
            cx.store.give_back(claim).await;
            true
        }
        crate::store::Claimed::Gone => false,
        crate::store::Claimed::Others => panic!("nobody is at it any more"),
    }
}

/// An upstream with these capabilities that answers so, and is left then; gives what it was asked.
async fn answers(
    upstream: &mut mpsc::Receiver<DuplexStream>,
    capabilities: &str,
    answers: &[&str],
) -> Vec<String> {
    let mut peer = BufReader::new(upstream.recv().await.expect("a connection"));
    let greeting = format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hi\r\n");
    peer.write_all(greeting.as_bytes()).await.expect("a reader");
    let mut asked = Vec::new();
    for answer in answers {
        asked.push(answer_with(&mut peer, answer).await);
    }
    let mut rest = String::new();
    peer.read_to_string(&mut rest).await.expect("text");
    asked.extend(rest.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())));
    asked
}

const IN: &str = "TAG OK [CAPABILITY IMAP4rev1] in\r\n";
const SELECTED: &str = "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK\r\n";
const LISTED: &str = "* 1 FETCH (UID 1 RFC822.SIZE 10 FLAGS ($POP3Deleted))\r\n\
    * 2 FETCH (UID 2 RFC822.SIZE 10 FLAGS ())\r\nTAG OK\r\n";
const SHOWN: &str = "* 1 FETCH (UID 1 FLAGS ())\r\nTAG OK\r\n";

#[tokio::test]
async fn either_style_opens_the_mailbox_brings_back_and_leaves() {
    let then = [
        "SELECT INBOX",
        "UID FETCH 1:* (UID RFC822.SIZE FLAGS)",
        "UID STORE 1 -FLAGS ($POP3Deleted)",
        "LOGOUT",
    ];
    for (style, capabilities, login) in [
        ("separator", "", "LOGIN \"anna*lastpop\" \"secret\""),
        // NUL anna*lastpop NUL secret
        ("separator", "AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN AGFubmEqbGFzdHBvcABzZWNyZXQ="),
        // anna NUL lastpop NUL secret
        ("authzid", "AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN YW5uYQBsYXN0cG9wAHNlY3JldA=="),
    ] {
        let (Setup { cx, mut upstream, _directory }, anna) = ordered(style).await;
        let script = [IN, SELECTED, LISTED, SHOWN];
        let work = unhide(&cx, &anna, 0, PATIENCE);
        let (became, asked) = tokio::join!(work, answers(&mut upstream, capabilities, &script));
        assert!(matches!(became, Some(AtOnce::Done(1))), "{style}: {became:?}");
        assert_eq!(asked, [&[login][..], &then].concat(), "{style}");
        assert!(!waits(&cx, &anna).await, "{style}");
        assert_eq!(cx.metrics.upstream.active.get(), 0);
        assert_eq!(cx.metrics.upstream.unhides_at_once.with_label_values(&["done"]).get(), 1);
        // Once more, and there is nothing to do.
        let again = unhide(&cx, &anna, 0, PATIENCE).await;
        assert!(matches!(again, Some(AtOnce::DoneElsewhere)), "{again:?}");
    }
}

#[tokio::test]
async fn what_the_upstream_does_not_show_is_not_believed_and_the_order_stays() {
    type Expected = fn(&Failure) -> bool;
    let read_only = "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK [READ-ONLY]\r\n";
    let no_keyword =
        "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [PERMANENTFLAGS (\\Seen)] ok\r\nTAG OK\r\n";
    let still = "* 1 FETCH (UID 1 FLAGS ($POP3Deleted))\r\nTAG OK\r\n";
    let table: [(&[&str], Expected); 7] = [
        (&["TAG NO [AUTHENTICATIONFAILED] no\r\n"], |failure| matches!(failure, Failure::Refused)),
        (&["TAG NO [UNAVAILABLE] later\r\n"], |failure| matches!(failure, Failure::Upstream(_))),
        (&[IN, "TAG NO [NOPERM] no\r\n"], |failure| matches!(failure, Failure::Upstream(_))),
        (&[IN, read_only], |failure| matches!(failure, Failure::ReadOnly)),
        (&[IN, no_keyword], |failure| matches!(failure, Failure::ReadOnly)),
        (&[IN, SELECTED, LISTED, "TAG NO no\r\n"], |failure| matches!(failure, Failure::Upstream(_))),
        (&[IN, SELECTED, LISTED, "TAG OK\r\n", still], |failure| {
            matches!(failure, Failure::Incomplete { shown: 0, failed: 1 })
        }),
    ];
    for (script, expected) in table {
        let (Setup { cx, mut upstream, _directory }, anna) = ordered("separator").await;
        let work = unhide(&cx, &anna, 0, PATIENCE);
        let (became, asked) = tokio::join!(work, answers(&mut upstream, "", script));
        let Some(AtOnce::Waits(failure)) = became else { panic!("{script:?}: {became:?}") };
        assert!(expected(&failure), "{script:?}: {failure:?}");
        assert!(!failure.to_string().contains("secret") && asked.len() >= script.len());
        assert!(waits(&cx, &anna).await, "{script:?}");
        assert_eq!(cx.metrics.upstream.active.get(), 0);
    }
}

/// A server that does not know the authorization identity opens the master user's own mailbox, and says OK.
#[tokio::test]
async fn another_mailbox_than_the_customers_is_left_alone() {
    let (Setup { cx, mut upstream, _directory }, anna) = ordered("separator").await;
    let facts = cx.store.facts(&anna).await.expect("facts");
    let recipe = cx.settings.load().maildrop.uidl.clone();
    cx.store.pin(&anna, &facts, 6, &recipe, 0).await.expect("a session that was shown UIDVALIDITY 6");
    let work = unhide(&cx, &anna, 0, PATIENCE);
    let (became, asked) = tokio::join!(work, answers(&mut upstream, "", &[IN, SELECTED]));
    assert!(matches!(became, Some(AtOnce::Waits(Failure::OtherMailbox))), "{became:?}");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(waits(&cx, &anna).await);
}

#[tokio::test]
async fn nobody_is_asked_who_cannot_be() {
    // 1. A name that the upstream would take for another's.
    let (Setup { cx, mut upstream, _directory }, _) = ordered("separator").await;
    let two = UserName::stored("anna*bob");
    cx.store.ask_to_unhide(&two, 0, "ilze", "she asked", 0).await.expect("recorded");
    let became = unhide(&cx, &two, 0, PATIENCE).await;
    assert!(matches!(became, Some(AtOnce::Waits(Failure::Name(_)))), "{became:?}");
    assert!(waits(&cx, &two).await);
    // 2. So many at once, and no more.
    let anna = UserName::stored("anna");
    let many = cx.masters.acquire_many(u32::try_from(MOST).expect("few")).await.expect("free");
    let became = unhide(&cx, &anna, 0, PATIENCE).await;
    assert!(matches!(became, Some(AtOnce::Waits(Failure::Full))), "{became:?}");
    drop(many);
    // 3. Somebody else is at it.
    let theirs = cx.store.claim_unhide(&anna, jiff::Timestamp::now().as_second()).await.expect("an answer");
    let became = unhide(&cx, &anna, 0, PATIENCE).await;
    assert!(matches!(became, Some(AtOnce::Waits(Failure::Busy))), "{became:?}");
    let crate::store::Claimed::Ours(theirs) = theirs else { panic!("{theirs:?}") };
    cx.store.give_back(theirs).await;
    // 4. The process ends.
    cx.draining.cancel();
    let became = unhide(&cx, &anna, 0, PATIENCE).await;
    assert!(matches!(became, Some(AtOnce::Waits(Failure::Draining))), "{became:?}");
    assert!(upstream.try_recv().is_err(), "nobody was connected to");
    assert!(waits(&cx, &anna).await);
    // 5. There are no master credentials.
    let plain = setup().await;
    assert!(unhide(&plain.cx, &anna, 0, PATIENCE).await.is_none());
}

#[tokio::test]
async fn an_upstream_that_drips_is_left_after_a_minute_and_a_caller_before() {
    let (Setup { cx, mut upstream, _directory }, anna) = ordered("separator").await;
    let cx_of_work = Arc::clone(&cx);
    let anna_of_work = anna.clone();
    let work = tokio::spawn(async move { unhide(&cx_of_work, &anna_of_work, 0, PATIENCE).await });
    let mut peer = BufReader::new(upstream.recv().await.expect("a connection"));
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    peer.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n").await.expect("a reader");
    // Never silent, and never done.
    while peer.write_all(b"* OK still here\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(before.elapsed() < Duration::from_mins(2));
    }
    assert!((55..65).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
    tokio::time::resume();
    assert!(matches!(work.await.expect("no panic"), Some(AtOnce::GoesOn)));
    cx.updates.close();
    cx.updates.wait().await;
    assert_eq!(cx.metrics.upstream.unhides_at_once.with_label_values(&["timeout"]).get(), 1);
    assert!(waits(&cx, &anna).await);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_it() {
    let (Setup { cx, mut upstream, _directory }, anna) = ordered("separator").await;
    let work = unhide(&cx, &anna, 0, PATIENCE);
    let shutdown = async {
        let peer = upstream.recv().await.expect("a connection");
        cx.closing.cancel();
        peer
    };
    let (became, _peer) = tokio::join!(work, shutdown);
    assert!(matches!(became, Some(AtOnce::Waits(Failure::Draining))), "{became:?}");
    assert!(waits(&cx, &anna).await);
}

/// Not even with the right password: the upstream is not asked.
#[tokio::test]
async fn master_credentials_open_no_session() {
    for (style, name) in [("separator", "anna*lastpop"), ("separator", "lastpop"), ("authzid", "LASTPOP")] {
        let (Setup { cx, mut upstream, _directory }, _) = ordered(style).await;
        let mut client = client(&cx);
        line(&mut client).await;
        client.write_all(format!("USER {name}\r\nPASS secret\r\n").as_bytes()).await.expect("a reader");
        assert!(line(&mut client).await.starts_with("+OK"));
        assert!(line(&mut client).await.starts_with("-ERR [AUTH] "), "{name}");
        assert!(upstream.try_recv().is_err(), "{name}");
    }
}
