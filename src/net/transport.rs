//! What octets travel over: TCP, TLS over TCP, or memory (for tests that stop the clock).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A byte stream.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP. Boxed, because its state is large and most of an idle session's.
    Tls(Box<TlsStream<TcpStream>>),
    /// Memory.
    Memory(DuplexStream),
}

impl Transport {
    /// A stream that is at its end.
    pub fn ended() -> Self {
        Self::Memory(tokio::io::duplex(1).0)
    }

    /// Decides whether closing this, in whatever way, is a TCP reset, so that no reader takes what it has
    /// for the whole: a clean close would let curl exit with success and half a message.
    pub fn reset_on_close(&self, reset: bool) {
        let tcp = match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
            Self::Memory(_) => return,
        };
        // Fails only on a socket that is gone, and a peer that is gone reads nothing.
        let _ = SockRef::from(tcp).set_linger(reset.then_some(Duration::ZERO));
    }

    /// The protocol version, if this is TLS.
    pub fn tls_version(&self) -> Option<&'static str> {
        use tokio_rustls::rustls::ProtocolVersion as V;
        let Self::Tls(tls) = self else { return None };
        match tls.get_ref().1.protocol_version() {
            Some(V::TLSv1_3) => Some("TLSv1.3"),
            Some(V::TLSv1_2) => Some("TLSv1.2"),
            _ => Some("unknown"),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Memory(memory) => Pin::new(memory).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            Self::Memory(memory) => Pin::new(memory).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Memory(memory) => Pin::new(memory).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Memory(memory) => Pin::new(memory).poll_shutdown(cx),
        }
    }
}
