//! Connecting to an upstream: addresses in order, TCP, and TLS where it is implicit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::connection::{Connection, MESSAGES};
use super::transport::Transport;
use crate::config::HostPort;

/// A dead peer behind a NAT is noticed after about two minutes at the latest.
const KEEPALIVE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// How long octets sent upstream may stay unacknowledged (`TCP_USER_TIMEOUT`). Not for clients: there it
/// would also cut off one that has closed its window for that long.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// In memory, for tests that stop the clock.
    Memory {
        /// A name for it.
        host: HostPort,
        /// Every connection is handed to whoever receives.
        peer: mpsc::Sender<DuplexStream>,
    },
}

/// Buffer of an in-memory connection, in octets.
const MEMORY: usize = 64 * 1024;

impl Dialer {
    /// The addresses, in the order in which they are to be tried.
    pub fn hosts(&self) -> &[HostPort] {
        match self {
            Self::Network { addresses, .. } => addresses,
            Self::Memory { host, .. } => std::slice::from_ref(host),
        }
    }

    /// Connects to one of them, with TLS where it is implicit.
    pub async fn connect(&self, host: &HostPort) -> Result<Connection, DialError> {
        let (limit, implicit) = match self {
            Self::Network { connect_timeout, implicit, .. } => (*connect_timeout, *implicit),
            Self::Memory { peer, .. } => return memory(peer, host).await,
        };
        let tcp = tcp(host, limit).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => DialError::Timeout(host.clone()),
            _ => DialError::Connect(host.clone(), error),
        })?;
        let mut connection = Connection::new(Transport::Tcp(tcp), MESSAGES);
        if implicit {
            self.start_tls(&mut connection, host).await?;
        }
        Ok(connection)
    }

    /// Does the TLS handshake on a connection that began without it.
    pub async fn start_tls(&self, connection: &mut Connection, host: &HostPort) -> Result<(), DialError> {
        let Self::Network { tls, .. } = self else { return Ok(()) };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let handshake = async {
            let name = ServerName::try_from(host.host.clone()).map_err(invalid)?;
            connection.connect_tls(tls, name).await
        };
        handshake.await.map_err(|error| DialError::Tls(host.clone(), error))
    }
}

/// Every address of the name in turn, as the resolver orders them; the limit is for each.
async fn tcp(host: &HostPort, limit: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let found = timeout(limit, lookup_host((host.host.as_str(), host.port))).await??;
    let addresses: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    for address in addresses {
        let connect = async {
            let tcp = TcpStream::connect(address).await?;
            tune(&tcp)?;
            #[cfg(target_os = "linux")]
            SockRef::from(&tcp).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
            Ok(tcp)
        };
        match timeout(limit, connect).await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Addresses of one name that are tried: a cluster has a few, and a login has 25 seconds.
const MAX_ADDRESSES: usize = 4;

/// Options for both sides' sockets: no delay for small replies, and dead peers are noticed. What a listener has, the
/// connections have that it accepts.
pub fn tune<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)
}

async fn memory(peer: &mpsc::Sender<DuplexStream>, host: &HostPort) -> Result<Connection, DialError> {
    let (ours, theirs) = tokio::io::duplex(MEMORY);
    match peer.send(theirs).await {
        Ok(()) => Ok(Connection::new(Transport::Memory(ours), MESSAGES)),
        Err(_) => Err(DialError::Connect(host.clone(), io::ErrorKind::ConnectionRefused.into())),
    }
}
