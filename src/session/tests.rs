//! Whole sessions over memory, where a test can move the clock: what ten minutes of silence and one minute
//! of noise lead to.

mod master;
mod modes;
mod opening;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc;

use super::enter::Early;
use super::open::open;
use super::pop::PopStream;
use super::summary::Summary;
use super::transaction::transaction;
use super::upstream::Origin;
use super::{Arrival, Context, context::Settings, serve};
use crate::config::{Config, HostPort, StateUrl, Upstream};
use crate::metrics::Metrics;
use crate::net::connection::COMMANDS;
use crate::net::{Connection, Dialer, Transport};
use crate::pop3::Credentials;
use crate::pop3::authorization::Rules;
use crate::store::Store;

struct Setup {
    cx: Arc<Context>,
    upstream: mpsc::Receiver<DuplexStream>,
    _directory: tempfile::TempDir,
}

async fn setup() -> Setup {
    setup_with(&Config::default()).await
}

async fn setup_with(config: &Config) -> Setup {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StateUrl::Sqlite(directory.path().join("state.db")), 0).await.expect("a store");
    let metrics = Metrics::new(&["memory".to_owned()]).expect("metrics");
    // A script of the upstream knows how many connections come.
    let config = &Config { upstream: Upstream { reserve: 0, ..config.upstream.clone() }, ..config.clone() };
    let cx = Context::new(config, metrics, store).expect("a context");
    let (peer, upstream) = mpsc::channel(1);
    let host = HostPort { host: "memory".to_owned(), port: 143 };
    let settings = Settings::new(config).expect("settings");
    let settings = Settings { dialer: Dialer::Memory { host, peer }, ..settings };
    cx.settings.store(Arc::new(settings));
    Setup { cx: Arc::new(cx), upstream, _directory: directory }
}

/// A client's end of a session that has begun.
fn client(cx: &Arc<Context>) -> BufReader<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(4 * 1024);
    tokio::spawn(serve(arrival(ours), Arc::clone(cx)));
    BufReader::new(theirs)
}

fn arrival(stream: DuplexStream) -> Arrival {
    let address = "192.0.2.7:110".parse().expect("an address");
    Arrival {
        connection: Connection::new(Transport::Memory(stream), COMMANDS),
        peer: address,
        local: address,
        listener: "memory".to_owned(),
        implicit_tls: false,
        rules: Rules { stls: false, plaintext: true, login_failures: 3 },
        slot: None,
    }
}

/// An upstream with one message, up to the end of the listing.
async fn listed(upstream: &mut mpsc::Receiver<DuplexStream>) -> BufReader<DuplexStream> {
    lists(upstream.recv().await.expect("a connection")).await
}

/// The same on this connection.
async fn lists(peer: DuplexStream) -> BufReader<DuplexStream> {
    let mut peer = BufReader::new(peer);
    peer.write_all(b"* OK [CAPABILITY IMAP4rev1] hi\r\n").await.expect("a reader");
    for answer in [
        "TAG OK [CAPABILITY IMAP4rev1 QUOTA] in\r\n",
        "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK\r\n",
        "* 1 FETCH (UID 1 RFC822.SIZE 10 FLAGS ())\r\nTAG OK\r\n",
    ] {
        answer_with(&mut peer, answer).await;
    }
    peer
}

/// Reads a command and answers it; gives the command without its tag.
async fn answer_with(peer: &mut BufReader<DuplexStream>, answer: &str) -> String {
    let line = line(peer).await;
    let (tag, command) = line.split_once(' ').unwrap_or_default();
    peer.write_all(answer.replace("TAG", tag).as_bytes()).await.expect("a reader");
    command.trim_end().to_owned()
}

/// What else such an upstream is sent, to the end.
async fn one_message(mut upstream: mpsc::Receiver<DuplexStream>) -> String {
    let mut rest = String::new();
    listed(&mut upstream).await.read_to_string(&mut rest).await.expect("text");
    rest
}

async fn line(client: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).await.expect("a line");
    line
}

#[tokio::test]
async fn ten_minutes_of_silence_end_a_session_and_nothing_is_hidden() {
    let Setup { cx, upstream, _directory } = setup().await;
    let upstream = tokio::spawn(one_message(upstream));
    let mut client = client(&cx);
    line(&mut client).await;
    client.write_all(b"USER anna\r\nPASS x\r\nDELE 1\r\n").await.expect("a reader");
    for _ in 0..3 {
        assert!(line(&mut client).await.starts_with("+OK"));
    }
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    // Not a word: RFC 1939 §3.
    assert_eq!(line(&mut client).await, "");
    assert!(before.elapsed() >= Duration::from_mins(10) && before.elapsed() < Duration::from_mins(11));
    assert_eq!(upstream.await.expect("no panic"), "", "nothing more may be said upstream");
    let discarded = cx.metrics.sessions.marked_results.with_label_values(&["discarded"]).get();
    assert_eq!((discarded, cx.metrics.sessions.marked_pending.get()), (1, 0));
    assert_eq!(cx.metrics.sessions.ended.with_label_values(&["timeout"]).get(), 1);
}

#[tokio::test]
async fn a_minute_of_noise_is_all_that_is_served_before_login() {
    let Setup { cx, upstream: _upstream, _directory } = setup().await;
    let mut client = client(&cx);
    tokio::time::pause();
    line(&mut client).await;
    for second in 0.. {
        assert!(second < 70, "still served after {second} s");
        tokio::time::advance(Duration::from_secs(1)).await;
        if client.write_all(b"CAPA\r\n").await.is_err() {
            break;
        }
        let mut reply = line(&mut client).await;
        if reply.is_empty() {
            break;
        }
        while reply != ".\r\n" {
            reply = line(&mut client).await;
        }
    }
    assert_eq!(cx.metrics.sessions.ended.with_label_values(&["timeout"]).get(), 1);
}

#[tokio::test]
async fn who_is_not_logged_in_is_sent_away_when_the_drain_begins() {
    let Setup { cx, upstream: _upstream, _directory } = setup().await;
    let mut client = client(&cx);
    line(&mut client).await;
    cx.draining.cancel();
    assert!(line(&mut client).await.starts_with("-ERR [SYS/TEMP] "));
    assert_eq!(line(&mut client).await, "");
}

/// A session up to the answer to QUIT, with the quota to be asked; then the upstream's end of it.
async fn quit_and_ask(setup: &mut Setup) -> BufReader<DuplexStream> {
    let cx = &setup.cx;
    let address = "192.0.2.7:110".parse().expect("an address");
    let credentials = Credentials::new(b"anna", b"x").expect("credentials");
    let origin = Origin { peer: address, local: address, session: "s".to_owned() };
    let settings = cx.settings.load_full();
    let opening = open(credentials, origin, Early::default(), &settings, cx);
    let (opened, peer) = tokio::join!(opening, listed(&mut setup.upstream));
    let mut opened = opened.expect("a maildrop");
    opened.ask_quota = true;

    let (ours, mut theirs) = tokio::io::duplex(4 * 1024);
    let mut arrival = arrival(ours);
    let mut summary = Summary::new(&arrival, Arc::clone(cx));
    let mut pop = PopStream::new(std::mem::replace(&mut arrival.connection, Connection::ended()));
    theirs.write_all(b"QUIT\r\n").await.expect("a reader");
    let quit = transaction(&mut pop, opened, &settings, cx, &mut summary).await.expect("a QUIT");
    // The upstream has not been read since the listing: the answer does not wait for it.
    assert!(super::finish(quit, settings, cx, &mut summary).await.is_ok());
    cx.updates.close();
    peer
}

#[tokio::test]
async fn quit_is_answered_before_the_quota_is_asked() {
    let mut setup = setup().await;
    let mut peer = quit_and_ask(&mut setup).await;
    let asked = answer_with(&mut peer, "* QUOTA \"\" (STORAGE 1 2)\r\nTAG OK\r\n").await;
    assert_eq!(asked, "GETQUOTAROOT INBOX");
    assert!(line(&mut peer).await.ends_with(" LOGOUT\r\n"));
    setup.cx.updates.wait().await;
    let asked = setup.cx.metrics.upstream.commands.with_label_values(&["GETQUOTAROOT", "ok"]).get();
    assert_eq!((asked, line(&mut peer).await.as_str()), (1, ""));
}

#[tokio::test]
async fn an_upstream_that_does_not_tell_the_quota_is_left_after_ten_seconds_or_at_the_shutdown() {
    for shutdown in [false, true] {
        let mut setup = setup().await;
        let mut peer = quit_and_ask(&mut setup).await;
        assert!(line(&mut peer).await.ends_with(" GETQUOTAROOT INBOX\r\n"));
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        if shutdown {
            setup.cx.draining.cancel();
        }
        setup.cx.updates.wait().await;
        let seconds = if shutdown { 0..1 } else { 9..11 };
        assert!(seconds.contains(&before.elapsed().as_secs()));
        assert_eq!(line(&mut peer).await, "", "the connection is of no more use");
        assert_eq!(setup.cx.metrics.upstream.active.get(), 0);
        tokio::time::resume();
    }
}
