//! A byte stream with two buffers, time limits and counts: one side of a session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zeroize::Zeroize;

use super::transport::Transport;

/// How much is read at once from a client, in octets: its commands are short.
pub const COMMANDS: usize = 2 * 1024;

/// How much is read at once from an upstream, in octets. Large enough that messages are not slowed by calls,
/// small enough that ten thousand busy sessions fit in memory.
pub const MESSAGES: usize = 64 * 1024;

/// Longest TLS handshake, on either side. An honest one takes a few round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// From this much output on, a sender should flush before it appends more.
pub const FLUSH_AT: usize = 16 * 1024;

/// What a peer may still send after we are done with it, in octets: closing with unread input makes TCP
/// send a reset, which can overtake the last reply.
const LINGER: usize = 64 * 1024;

/// How long the peer has to take the last reply and to close its side.
const GOODBYE: Duration = Duration::from_secs(5);

/// A connection.
///
/// Between [`Connection::body_begins`] and [`Connection::body_ends`] losing it, in whatever way (dropped,
/// a panic, the process killed), is a TCP reset as soon as a part of the body was sent.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    read: usize,
    input: BytesMut,
    output: Vec<u8>,
    /// Octets of the output that have left already: a flush may be interrupted.
    written: usize,
    in_body: bool,
    reset_on_close: bool,
    received: u64,
    sent: u64,
}

impl Connection {
    /// Takes over a byte stream, from which `read` octets are read at once.
    pub fn new(transport: Transport, read: usize) -> Self {
        Self {
            transport,
            read,
            input: BytesMut::new(),
            output: Vec::new(),
            written: 0,
            in_body: false,
            reset_on_close: false,
            received: 0,
            sent: 0,
        }
    }

    /// A connection that is at its end.
    pub fn ended() -> Self {
        Self::new(Transport::ended(), 0)
    }

    /// What was received and not yet consumed.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Drops the first `octets` of the input.
    pub fn consume(&mut self, octets: usize) {
        self.input.advance(octets.min(self.input.len()));
    }

    /// Drops the first `octets` of the input and overwrites them: a password may be among them.
    pub fn consume_secret(&mut self, octets: usize) {
        let octets = octets.min(self.input.len());
        self.input[..octets].zeroize();
        self.input.advance(octets);
    }

    /// Waits for more input, at most `limit` long. `Ok(0)` is the end of the stream.
    pub async fn fill(&mut self, limit: Duration) -> io::Result<usize> {
        self.input.reserve(self.read);
        let octets = timeout(limit, self.transport.read_buf(&mut self.input)).await??;
        self.received += octets as u64;
        Ok(octets)
    }

    /// Is there nothing to read now, and not the end either?
    pub fn is_quiet(&mut self) -> bool {
        // No timer: the shortest one is a millisecond, which is a third of a poll.
        self.input.is_empty() && self.transport.read_buf(&mut self.input).now_or_never().is_none()
    }

    /// Where output is appended; [`Connection::flush`] sends it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends all output; interrupted, it goes on where it was the next time. Fails if the peer takes nothing for `stall`; however slow it is otherwise, it
    /// gets everything.
    pub async fn flush(&mut self, stall: Duration) -> io::Result<()> {
        if self.in_body && !self.reset_on_close {
            self.set_reset_on_close(true);
        }
        while self.written < self.output.len() {
            match timeout(stall, self.transport.write(&self.output[self.written..])).await?? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                octets => {
                    self.written += octets;
                    self.sent += octets as u64;
                }
            }
        }
        self.written = 0;
        self.output.clear();
        timeout(stall, self.transport.flush()).await??;
        if !self.in_body && self.reset_on_close {
            self.set_reset_on_close(false);
        }
        Ok(())
    }

    /// Sends all output and then `secret`, which is copied into no buffer of ours.
    pub async fn send_secret(&mut self, secret: &[u8], stall: Duration) -> io::Result<()> {
        self.flush(stall).await?;
        timeout(stall, self.transport.write_all(secret)).await??;
        self.sent += secret.len() as u64;
        timeout(stall, self.transport.flush()).await?
    }

    /// A message's body follows: output from here on is worth nothing without its end.
    pub const fn body_begins(&mut self) {
        self.in_body = true;
    }

    /// The body's end is in the output.
    pub const fn body_ends(&mut self) {
        self.in_body = false;
    }

    /// Octets received and sent so far, without TLS's own.
    pub const fn traffic(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// The protocol version, if this is TLS.
    pub fn tls_version(&self) -> Option<&'static str> {
        self.transport.tls_version()
    }

    /// Does the TLS handshake as the server. All that was received in the clear is dropped, so that nothing
    /// said before counts afterwards (RFC 2595 §4).
    pub async fn accept_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        let handshake = |tcp| async { timeout(HANDSHAKE, acceptor.accept(tcp)).await? };
        self.replace_transport(handshake)
            .await
            .map(|tls| self.transport = Transport::Tls(Box::new(tls.into())))
    }

    /// Does the TLS handshake as the client.
    pub async fn connect_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        let connector = TlsConnector::from(Arc::clone(config));
        let handshake = |tcp| async { timeout(HANDSHAKE, connector.connect(name, tcp)).await? };
        self.replace_transport(handshake)
            .await
            .map(|tls| self.transport = Transport::Tls(Box::new(tls.into())))
    }

    async fn replace_transport<T, F>(&mut self, handshake: impl FnOnce(TcpStream) -> F) -> io::Result<T>
    where
        F: Future<Output = io::Result<T>>,
    {
        self.input.zeroize();
        self.input.clear();
        self.output.clear();
        match std::mem::replace(&mut self.transport, Transport::ended()) {
            Transport::Tcp(tcp) => handshake(tcp).await,
            Transport::Tls(_) | Transport::Memory(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends what is left of the output and ends the connection so that all of it arrives.
    pub async fn close(mut self) {
        let finish = async {
            self.flush(GOODBYE).await?;
            if self.reset_on_close {
                return Ok(());
            }
            self.transport.shutdown().await?;
            let mut left = LINGER;
            let mut sink = [0; 1024];
            while left > 0 {
                match self.transport.read(&mut sink).await? {
                    0 => break,
                    octets => left = left.saturating_sub(octets),
                }
            }
            io::Result::Ok(())
        };
        // Whether the peer listened to the end is its own affair.
        let _ = timeout(GOODBYE, finish).await;
    }

    /// Ends the connection by a TCP reset.
    pub fn reset(mut self) {
        self.set_reset_on_close(true);
    }

    fn set_reset_on_close(&mut self, reset: bool) {
        self.reset_on_close = reset;
        self.transport.reset_on_close(reset);
    }
}

impl Drop for Connection {
    /// A password may be in what was received last.
    fn drop(&mut self) {
        self.input.zeroize();
    }
}
