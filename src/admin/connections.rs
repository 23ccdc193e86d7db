//! HTTP/1.1 connections: so many at once, each with so much time to say what it wants.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Peer;
use super::listen::{Accepted, Listener};
use super::streams::Awaited;

/// Connections at once to one listener. Further ones wait in the kernel until one of these ends.
const CONNECTIONS: usize = 64;

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take, counted from the end of the one before it: so a connection on which
/// nobody asks is closed after it as well.
const HEAD: Duration = Duration::from_secs(10);

/// Longest head of a request, in octets.
const MAX_HEAD: usize = 16 * 1024;

/// A client that takes nothing for this long while there is something for it is gone.
const STALL: Duration = Duration::from_mins(1);

/// After an error of accept nothing is accepted for this long, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The two ends of serving.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// No further request is read; those under way are answered.
    pub stop: CancellationToken,
    /// Nothing is answered any more.
    pub cut: CancellationToken,
}

/// Serves until `stop`; then requests under way are answered, but for those that are cut.
pub async fn serve(listener: Listener, tls: Option<TlsAcceptor>, router: Router, Ends { stop, cut }: Ends) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection to the API; is the limit of open files too low?");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, router, stop, cut) = (tls.clone(), router.clone(), stop.clone(), cut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection(accepted, tls, router, stop) => {}
                () = cut.cancelled() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(accepted: Accepted, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    match (accepted, tls) {
        (Accepted::Unix(unix), _) => requests(unix, Peer(None), router, stop).await,
        (Accepted::Tcp(tcp, peer), None) => requests(tcp, Peer(Some(peer)), router, stop).await,
        (Accepted::Tcp(tcp, peer), Some(acceptor)) => {
            let handshake = timeout(HANDSHAKE, acceptor.accept(tcp));
            // A handshake that fails is the client's affair: it is told by an alert.
            let Ok(Ok(tls)) = handshake.await else { return };
            requests(tls, Peer(Some(peer)), router, stop).await;
        }
    }
}

async fn requests<S>(stream: S, peer: Peer, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer: Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> =
            Box::pin(router.call(request.map(Awaited::new)));
        answer
    });
    let stream = TokioIo::new(Stalling { stream, since: None });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(stream, service)
    );
    // An error here is a client that left or spoke no HTTP; hyper has answered it, if there was anybody.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A stream that fails when its peer takes nothing for [`STALL`].
struct Stalling<S> {
    stream: S,
    since: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalling<S> {
    /// Passes on what a write came to; one that waits too long fails.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.since = None;
            return written;
        }
        ready!(self.since.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.watch(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// A client's end of a connection, and the connection.
    fn connect(buffer: usize, router: Router) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (ours, theirs) = tokio::io::duplex(buffer);
        (theirs, tokio::spawn(requests(ours, Peer(None), router, CancellationToken::new())))
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_gone() {
        let large = Router::new().route("/", get(|| async { "x".repeat(1024 * 1024) }));
        let (mut client, connection) = connect(1024, large);
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a reader");
        // Its end is not closed; only the time that passes ends this.
        connection.await.expect("no panic");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("what was sent");
        assert!(rest.starts_with(b"HTTP/1.1 200") && rest.len() < 4096);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
        let before = tokio::time::Instant::now();
        let (mut client, connection) = connect(1024, Router::new());
        let trickle = async {
            // Octets do not prolong it.
            while client.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        trickle.await;
        connection.await.expect("no panic");
        assert!(before.elapsed() <= HEAD + Duration::from_secs(2));
    }

    /// What becomes of a body half of which comes.
    async fn half(handler: axum::routing::MethodRouter) -> (String, Duration) {
        let (before, router) = (tokio::time::Instant::now(), Router::new().route("/", handler));
        let (mut client, connection) = connect(1024, router);
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello";
        client.write_all(head).await.expect("a reader");
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("an answer, and the end");
        connection.await.expect("no panic");
        (text, before.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_is_not_waited_for_without_end() {
        let waits = post(async |body: Body| {
            let mut body = body.into_data_stream();
            while let Some(Ok(_)) = body.next().await {}
            "given up"
        });
        let (text, taken) = half(waits).await;
        assert!(text.ends_with("given up"), "{text}");
        assert!((STALL..STALL + HEAD).contains(&taken), "{taken:?}");
    }

    /// A list is brought in for half an hour, and read no further meanwhile.
    #[tokio::test(start_paused = true)]
    async fn who_is_busy_with_what_has_come_may_take_any_time() {
        let work = STALL * 30;
        let busy = post(async move |body: Body| {
            let first = body.into_data_stream().next().await;
            tokio::time::sleep(work).await;
            format!("took {} octets", first.expect("a part").expect("octets").len())
        });
        let (text, taken) = half(busy).await;
        assert!(text.ends_with("took 5 octets"), "{text}");
        assert!((work..work + STALL).contains(&taken), "{taken:?}");
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_when_the_end_comes() {
        let stop = CancellationToken::new();
        let router = {
            let stop = stop.clone();
            let answer = async move || {
                stop.cancel();
                tokio::task::yield_now().await;
                "done"
            };
            Router::new().route("/", get(answer))
        };
        let (ours, mut client) = tokio::io::duplex(1024);
        let connection = tokio::spawn(requests(ours, Peer(None), router, stop));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a reader");
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("an answer");
        assert!(text.ends_with("done"), "{text}");
        connection.await.expect("no panic");
    }
}
