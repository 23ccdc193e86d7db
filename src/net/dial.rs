//! Connecting to an upstream: addresses in order, TCP, and TLS where it is implicit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsConnector, TlsStream};

use super::transport::Transport;

/// A dead peer behind a NAT is noticed after about two minutes at the latest.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// How long octets sent upstream may stay unacknowledged (`TCP_USER_TIMEOUT`). Not for clients: there it
/// would also cut off one that has closed its window for that long.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest TLS handshake. An honest one takes a few round trips.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name that a certificate must carry; IPv6 addresses without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How far a connection came.
#[derive(Debug)]
pub enum DialError {
    /// The name does not resolve, or no address answered.
    Connect(HostPort, io::Error),
    /// TCP worked, TLS did not.
    Tls(HostPort, io::Error),
    /// It took too long.
    Timeout(HostPort),
}

/// Knows where an upstream is.
#[derive(Debug, Clone)]
pub enum Dialer {
    /// Over the network: these addresses, tried in order, each for at most `connect_timeout`.
    Network {
        /// At least one.
        addresses: Vec<HostPort>,
        /// Per address.
        connect_timeout: Duration,
        /// TLS from the first octet, or by STARTTLS later.
        tls: Arc<ClientConfig>,
        /// Is it from the first octet?
        implicit: bool,
    },
    /// In memory: every connection is handed to whoever receives (for tests that stop the clock).
    Memory(mpsc::Sender<tokio::io::DuplexStream>),
}

/// Buffer of an in-memory connection, in octets.
const MEMORY: usize = 64 * 1024;

impl Dialer {
    /// Connects. The name that answered is given along, for STARTTLS.
    pub async fn connect(&self) -> Result<(Transport, HostPort), DialError> {
        let (addresses, connect_timeout) = match self {
            Self::Network {
                addresses,
                connect_timeout,
                ..
            } => (addresses, *connect_timeout),
            Self::Memory(peer) => return memory(peer).await,
        };
        let mut last = None;
        for host in addresses {
            match self.connect_one(host, connect_timeout).await {
                Ok(transport) => return Ok((transport, host.clone())),
                Err(error) => last = Some(error),
            }
        }
        // The configuration has at least one address; an empty list would be this error's text.
        Err(last.unwrap_or_else(|| {
            let nowhere = HostPort {
                host: "no upstream address is configured".into(),
                port: 0,
            };
            DialError::Connect(nowhere, io::ErrorKind::NotFound.into())
        }))
    }

    /// Does the TLS handshake on a connection that began without it (STARTTLS).
    pub async fn start_tls(
        &self,
        transport: Transport,
        host: &HostPort,
    ) -> Result<Transport, DialError> {
        match (self, transport) {
            (Self::Network { tls, .. }, Transport::Tcp(tcp)) => handshake(tls, tcp, host).await,
            (_, transport) => Ok(transport),
        }
    }

    async fn connect_one(&self, host: &HostPort, limit: Duration) -> Result<Transport, DialError> {
        let tcp = match timeout(limit, tcp(host)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(DialError::Connect(host.clone(), error)),
            Err(_) => return Err(DialError::Timeout(host.clone())),
        };
        match self {
            Self::Network {
                tls,
                implicit: true,
                ..
            } => handshake(tls, tcp, host).await,
            Self::Network { .. } | Self::Memory(_) => Ok(Transport::Tcp(tcp)),
        }
    }
}

/// Every address of the name in turn, as the resolver orders them.
async fn tcp(host: &HostPort) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let addresses: Vec<SocketAddr> = lookup_host((host.host.as_str(), host.port))
        .await?
        .collect();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                tune(&tcp)?;
                #[cfg(target_os = "linux")]
                SockRef::from(&tcp).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Options for both sides' sockets: no delay for small replies, and dead peers are noticed.
pub fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

async fn handshake(
    tls: &Arc<ClientConfig>,
    tcp: TcpStream,
    host: &HostPort,
) -> Result<Transport, DialError> {
    let name = ServerName::try_from(host.host.clone()).map_err(|error| {
        DialError::Tls(
            host.clone(),
            io::Error::new(io::ErrorKind::InvalidInput, error),
        )
    })?;
    match timeout(
        HANDSHAKE,
        TlsConnector::from(Arc::clone(tls)).connect(name, tcp),
    )
    .await
    {
        Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(TlsStream::Client(stream)))),
        Ok(Err(error)) => Err(DialError::Tls(host.clone(), error)),
        Err(_) => Err(DialError::Timeout(host.clone())),
    }
}

async fn memory(
    peer: &mpsc::Sender<tokio::io::DuplexStream>,
) -> Result<(Transport, HostPort), DialError> {
    let host = HostPort {
        host: "memory".into(),
        port: 0,
    };
    let (ours, theirs) = tokio::io::duplex(MEMORY);
    match peer.send(theirs).await {
        Ok(()) => Ok((Transport::Memory(ours), host)),
        Err(_) => Err(DialError::Connect(
            host,
            io::ErrorKind::ConnectionRefused.into(),
        )),
    }
}
