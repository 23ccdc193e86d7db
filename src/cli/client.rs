//! One request to lastpop's API at a time: over TCP, TLS or a unix socket, each on a connection of its own.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::bearer::Bearer;
use super::failure::{Failure, Refusal};
use super::place::{Place, Url};
use super::stream;
use super::url;
use crate::api::{DEADLINE, DEADLINE_OF_MANY, Problem};
use crate::config::HostPort;

/// To connect, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// What the way may take on top of the time that lastpop itself takes for an answer.
const WAY: Duration = Duration::from_secs(20);

/// Octets of an answer that is held in memory: a page of a thousand users has one million.
const ANSWER_LONGEST: usize = 16 * 1024 * 1024;

/// How often one request is sent again when lastpop says "too many requests".
const TRIES: u32 = 20;

/// The longest wait before it is sent again.
const WAIT_LONGEST: Duration = Duration::from_secs(10);

type Payload = BoxBody<Bytes, io::Error>;

/// The body of a request.
pub(super) enum Body {
    /// There is none.
    None,
    /// JSON.
    Json(Bytes),
    /// A file. It must not be sent before `go_on`, because a server that refuses a long request without reading
    /// it resets the connection, and its answer is lost (RFC 9110 §10.1.1).
    File {
        /// Its media type.
        kind: &'static str,
        /// What is sent, piece by piece.
        pieces: Payload,
        /// The server wants it: 100 Continue has come.
        go_on: Arc<Notify>,
    },
}

/// What a request is about.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The method.
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    /// Longest time to the answer.
    pub(super) limit: Duration,
}

impl Call {
    /// Reads something.
    pub(super) fn get(segments: &[&str], query: &impl Serialize) -> Self {
        Self { path: url::path(segments) + &url::query(query), ..Self::new(Method::GET, segments) }
    }

    /// Does something.
    pub(super) fn new(method: Method, segments: &[&str]) -> Self {
        Self { method, path: url::path(segments), limit: DEADLINE + WAY }
    }

    /// The same for what concerns many users.
    pub(super) fn of_many(self) -> Self {
        Self { limit: DEADLINE_OF_MANY + WAY, ..self }
    }

    /// The role that it needs; for the sentence that says so.
    fn role(&self) -> &'static str {
        let route = self.path.split('?').next().unwrap_or_default();
        let route = route.strip_prefix(crate::api::PREFIX).unwrap_or(route);
        let of_many = ["/import", "/drain"].contains(&route)
            || ["/domains", "/waves", "/batches"].iter().any(|begin| route.starts_with(begin));
        match self.method {
            Method::GET => "viewer",
            _ if of_many => "admin",
            _ => "operator",
        }
    }
}

/// Speaks to one lastpop.
#[derive(Debug)]
pub(super) struct Client {
    place: Place,
    bearer: Bearer,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Nothing is connected yet. For `https` there is a TLS configuration.
    pub(super) fn new(place: Place, bearer: Bearer, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { place, bearer, tls }
    }

    /// Sends a request without a body.
    pub(super) async fn ask<A: DeserializeOwned>(&self, call: &Call) -> Result<A, Failure> {
        self.answered(call, &Bytes::new()).await
    }

    /// Sends a request with a body.
    pub(super) async fn tell<A: DeserializeOwned>(
        &self,
        call: &Call,
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(body).map_err(io::Error::from)?;
        self.answered(call, &Bytes::from(body)).await
    }

    async fn answered<A: DeserializeOwned>(&self, call: &Call, body: &Bytes) -> Result<A, Failure> {
        for _ in 0..TRIES {
            let body = if body.is_empty() { Body::None } else { Body::Json(body.clone()) };
            let bar = (call.limit > DEADLINE_OF_MANY).then(stream::waiting);
            let answer = self.send(call, body).await;
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            let answer = answer?;
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                return self.read(call, answer).await;
            }
            tokio::time::sleep(pause(&answer)).await;
        }
        Err(Failure::Unreachable(format!(
            "lastpop at {} has too many requests, and said so {TRIES} times; try again later",
            self.place
        )))
    }

    /// Sends a request; the answer must have begun in time, whatever it says.
    pub(super) async fn send(&self, call: &Call, body: Body) -> Result<Response<Incoming>, Failure> {
        let connect = async {
            match &self.place.url {
                Url::Unix(path) => start(UnixStream::connect(path).await?).await,
                Url::Http(host) => start(tcp(host).await?).await,
                Url::Https(host) => start(self.tls(host).await?).await,
            }
        };
        let connected = timeout(CONNECT, connect).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
        let mut sender = connected.map_err(|error| self.unreachable(&error))?;
        let request = self.request(call, body)?;
        match timeout(call.limit, sender.send_request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_parse() => Err(Failure::Unreachable(format!(
                "what answers at {} does not speak HTTP; is the address right, and is it http or https?",
                self.place
            ))),
            // Nothing was sent: who answers there spoke first, as POP3 does, or was gone at once.
            Ok(Err(error)) if error.is_canceled() => Err(Failure::Unreachable(format!(
                "what answers at {} does not wait for a question, or does not stay; is the address right, and is it \
                 http or https?",
                self.place
            ))),
            Ok(Err(error)) => Err(self.cut(call, &because(&error))),
            Err(_) => Err(self.cut(call, &format!("there was no answer for {} s", call.limit.as_secs()))),
        }
    }

    fn request(&self, call: &Call, body: Body) -> Result<Request<Payload>, Failure> {
        let unusable = || Failure::Token("the token cannot be sent".to_owned());
        let bearer = format!("Bearer {}", self.bearer.token.as_str());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| unusable())?;
        bearer.set_sensitive(true);
        let request = Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(header::HOST, self.place.url.authority())
            .header(header::USER_AGENT, concat!("lastpop/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json, */*;q=0.1")
            .header(header::CONNECTION, "close")
            .header(header::AUTHORIZATION, bearer);
        let whole = |octets| Full::new(octets).map_err(|never| match never {}).boxed();
        let request = match body {
            Body::None => request.body(whole(Bytes::new())),
            Body::Json(text) => request.header(header::CONTENT_TYPE, "application/json").body(whole(text)),
            Body::File { kind, pieces, go_on } => {
                let request =
                    request.header(header::CONTENT_TYPE, kind).header(header::EXPECT, "100-continue");
                request.body(pieces).map(|mut request| {
                    hyper::ext::on_informational(&mut request, move |answer| {
                        if answer.status() == StatusCode::CONTINUE {
                            go_on.notify_one();
                        }
                    });
                    request
                })
            }
        };
        request.map_err(|error| Failure::Usage(format!("{} cannot be asked for: {error}", call.path)))
    }

    async fn tls(&self, host: &HostPort) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let name = ServerName::try_from(host.host.clone()).map_err(invalid)?;
        let tls = self.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        TlsConnector::from(Arc::clone(tls)).connect(name, tcp(host).await?).await
    }

    /// The answer as a value, or what lastpop said instead.
    pub(super) async fn read<A: DeserializeOwned>(
        &self,
        call: &Call,
        answer: Response<Incoming>,
    ) -> Result<A, Failure> {
        let answer = self.accepted(call, answer).await?;
        let body = self.whole(call, answer).await?;
        // An answer without content is `null`: there is nothing to say.
        let text = if body.is_empty() { b"null" } else { body.as_ref() };
        serde_json::from_slice(text).map_err(|error| {
            Failure::Misunderstood(format!(
                "what {} answered cannot be understood: {error}. Is it a lastpop of this version?",
                self.place
            ))
        })
    }

    /// The answer, unless lastpop said no.
    pub(super) async fn accepted(
        &self,
        call: &Call,
        answer: Response<Incoming>,
    ) -> Result<Response<Incoming>, Failure> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.whole(call, answer).await.unwrap_or_default();
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let (place, token) = (self.place.to_string(), self.bearer.origin.clone());
        let refusal = Refusal { status, problem, place, token, role: call.role() };
        Err(Failure::Refused(Box::new(refusal)))
    }

    async fn whole(&self, call: &Call, answer: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = Limited::new(answer.into_body(), ANSWER_LONGEST).collect();
        match timeout(DEADLINE + WAY, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.cut(call, &error.to_string())),
            Err(_) => {
                Err(self
                    .cut(call, &format!("the answer did not end within {} s", (DEADLINE + WAY).as_secs())))
            }
        }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let Self { place, .. } = self;
        let what = match error.kind() {
            io::ErrorKind::TimedOut => format!("nobody answered for {} s", CONNECT.as_secs()),
            _ => error.to_string(),
        };
        let advice = match (&place.url, error.kind()) {
            (_, io::ErrorKind::PermissionDenied) => "use an account that may open that socket",
            (Url::Https(_), _) if is_no_tls(error) => "is it http rather than https?",
            (Url::Https(_), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                "name the host as its certificate does, with --url https://HOST:PORT, and the authority that \
                 signed it with --ca-file"
            }
            (Url::Https(_), io::ErrorKind::UnexpectedEof) => "is it http rather than https?",
            _ => "is it running? If it listens elsewhere, say where with --url",
        };
        Failure::Unreachable(format!("cannot reach lastpop at {place}: {what}; {advice}"))
    }

    /// The request was on its way already.
    pub(super) fn cut(&self, call: &Call, what: &str) -> Failure {
        let lost = format!("lost the connection to lastpop at {}: {what}", self.place);
        if call.method == Method::GET {
            return Failure::Unreachable(format!("{lost}; try again"));
        }
        Failure::Unsure(format!(
            "{lost}. What was asked for may have been carried out: look with `lastpop audit` before trying again"
        ))
    }
}

/// How long lastpop wants to be left alone (RFC 9110 §10.2.3).
fn pause(answer: &Response<Incoming>) -> Duration {
    let header = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds).min(WAIT_LONGEST)
}

/// The innermost reason: hyper's own words say little.
fn because(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// What came is no TLS at all.
fn is_no_tls(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<tokio_rustls::rustls::Error>());
    matches!(tls, Some(tokio_rustls::rustls::Error::InvalidMessage(_)))
}

async fn tcp(host: &HostPort) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect((host.host.as_str(), host.port)).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

async fn start<S>(stream: S) -> io::Result<http1::SendRequest<Payload>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its errors are the request's as well.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_that_a_request_needs() {
        for (method, segments, role) in [
            (Method::GET, &["users"][..], "viewer"),
            (Method::PUT, &["users", "import", "mode"], "operator"),
            (Method::POST, &["import"], "admin"),
            (Method::PUT, &["domains", "*", "mode"], "admin"),
            (Method::GET, &["domains"], "viewer"),
            (Method::GET, &["waves", "drain"], "viewer"),
            (Method::DELETE, &["waves", "drain"], "admin"),
            (Method::POST, &["sessions", "kick"], "operator"),
            (Method::POST, &["drain"], "admin"),
        ] {
            assert_eq!(Call::new(method, segments).role(), role, "{segments:?}");
        }
    }
}
