//! Bodies that take their time: so many at once, and none that stands still.
//!
//! A list is read for as long as it comes, and an export written for as long as somebody takes it. So that a handful of
//! them leaves the listener's connections to probes and to everybody else, only [`STREAMS`] are under way at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::problem::Problem;

/// Lists at once that are read, and as many that are written: of one kind an eighth of a listener's connections.
pub(super) const STREAMS: usize = 8;

/// After so many seconds whoever was refused is to come again: a list of some thousand users takes less.
const AGAIN: u32 = 10;

/// A client that sends nothing for this long while somebody waits for the rest of its body is gone.
const STALL: Duration = Duration::from_mins(1);

/// Lets so many requests through at once, each until its answer has been taken.
pub(super) async fn few(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let detail = format!(
            "{STREAMS} such lists are under way already, and nothing of this one was taken; try again when one of them \
            is done."
        );
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return problem.with(header::RETRY_AFTER, AGAIN.into()).into_response();
    };
    next.run(request).await.map(|body| Body::new(Held { body, _place: place }))
}

/// The body of an answer that gives its place back when it has been taken.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request, which fails when somebody waits for it and nothing comes for [`STALL`]. Whoever has enough to
/// do with what came already may take any time.
pub(super) struct Awaited<B> {
    body: B,
    since: Option<Pin<Box<Sleep>>>,
}

impl<B> Awaited<B> {
    pub(super) const fn new(body: B) -> Self {
        Self { body, since: None }
    }
}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin> HttpBody for Awaited<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.since = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.since.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL))).as_mut().poll(cx));
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
