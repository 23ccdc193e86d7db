//! What time does to a flight: a large mailbox takes as long as it takes, and a server that drops what stands behind a
//! login is found out. The clock runs as usual while the state is asked, whose threads it does not wait for.

use super::*;

/// PASS; gives the reply.
async fn login(cx: &Arc<Context>) -> String {
    let mut client = client(cx);
    client.write_all(b"USER anna\r\nPASS x\r\n").await.expect("a reader");
    for _ in 0..2 {
        assert!(line(&mut client).await.starts_with("+OK"));
    }
    line(&mut client).await
}

/// The upstream's end of a flight, up to the answer to LOGIN; then the tags of what follows.
async fn flight(upstream: &mut mpsc::Receiver<DuplexStream>) -> (BufReader<DuplexStream>, Vec<String>) {
    let mut peer = BufReader::new(upstream.recv().await.expect("a connection"));
    peer.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n").await.expect("a reader");
    assert_eq!(answer_with(&mut peer, "TAG OK in\r\n").await, "LOGIN \"anna\" \"x\"");
    let mut tags = Vec::new();
    for expected in ["SELECT INBOX", "UID FETCH 1:* (UID RFC822.SIZE FLAGS)"] {
        let line = line(&mut peer).await;
        let (tag, command) = line.trim_end().split_once(' ').expect("a tag");
        assert_eq!(command, expected);
        tags.push(tag.to_owned());
    }
    (peer, tags)
}

#[tokio::test]
async fn a_listing_in_a_flight_takes_as_long_as_the_mailbox_is_large() {
    let Setup { cx, mut upstream, _directory } = setup().await;
    let (first, peer) = tokio::join!(login(&cx), listed(&mut upstream));
    assert!(first.starts_with("+OK"), "{first}");
    drop(peer);
    let server = async {
        let (mut peer, tags) = flight(&mut upstream).await;
        let selected = format!("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n{} OK\r\n", tags[0]);
        peer.write_all(selected.as_bytes()).await.expect("a reader");
        tokio::time::pause();
        // It looks at every message for its size: longer than a login may take, without being silent for a minute.
        for uid in 1..=2 {
            tokio::time::sleep(Duration::from_secs(45)).await;
            let row = format!("* {uid} FETCH (UID {uid} RFC822.SIZE 10 FLAGS ())\r\n");
            peer.write_all(row.as_bytes()).await.expect("a reader");
        }
        tokio::time::resume();
        peer.write_all(format!("{} OK\r\n", tags[1]).as_bytes()).await.expect("a reader");
        peer
    };
    let (second, _peer) = tokio::join!(login(&cx), server);
    assert!(second.starts_with("+OK"), "{second}");
    assert_eq!(cx.metrics.upstream.commands.with_label_values(&["OPEN", "ok"]).get(), 1);
}

#[tokio::test]
async fn a_server_that_drops_what_stands_behind_a_login_costs_ten_seconds() {
    let Setup { cx, mut upstream, _directory } = setup().await;
    let (first, peer) = tokio::join!(login(&cx), listed(&mut upstream));
    assert!(first.starts_with("+OK"), "{first}");
    drop(peer);
    let server = async {
        let silent = flight(&mut upstream).await;
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        let again = upstream.recv().await.expect("a connection");
        let waited = before.elapsed();
        tokio::time::resume();
        (silent, lists(again).await, waited)
    };
    let (second, (_, _, waited)) = tokio::join!(login(&cx), server);
    assert!(second.starts_with("+OK"), "{second}");
    assert_eq!(waited.as_secs(), 10);
    assert_eq!(cx.metrics.upstream.commands.with_label_values(&["OPEN", "timeout"]).get(), 1);
}
