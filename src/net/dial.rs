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
    /// There is no address to try.
    NoAddress,
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
    Memory(mpsc::Sender<DuplexStream>),
}

/// Buffer of an in-memory connection, in octets.
const MEMORY: usize = 64 * 1024;

impl Dialer {
    /// Connects, with TLS where it is implicit. The address that answered is given along, for STARTTLS.
    pub async fn connect(&self) -> Result<(Connection, HostPort), DialError> {
        let (addresses, limit, implicit) = match self {
            Self::Network { addresses, connect_timeout, implicit, .. } => {
                (addresses, *connect_timeout, *implicit)
            }
            Self::Memory(peer) => return memory(peer).await,
        };
        let mut last = Err(DialError::NoAddress);
        for host in addresses {
            last = match timeout(limit, tcp(host)).await {
                Ok(Ok(tcp)) => Ok(Connection::new(Transport::Tcp(tcp), MESSAGES)),
                Ok(Err(error)) => Err(DialError::Connect(host.clone(), error)),
                Err(_) => Err(DialError::Timeout(host.clone())),
            };
            if let (true, Ok(connection)) = (implicit, &mut last) {
                last = match self.start_tls(connection, host).await {
                    Ok(()) => last,
                    Err(error) => Err(error),
                };
            }
            if let Ok(connection) = last {
                return Ok((connection, host.clone()));
            }
        }
        last.map(|connection| (connection, HostPort { host: String::new(), port: 0 }))
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

/// Every address of the name in turn, as the resolver orders them.
async fn tcp(host: &HostPort) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let addresses: Vec<SocketAddr> = lookup_host((host.host.as_str(), host.port)).await?.collect();
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

async fn memory(peer: &mpsc::Sender<DuplexStream>) -> Result<(Connection, HostPort), DialError> {
    let host = HostPort { host: "memory".into(), port: 0 };
    let (ours, theirs) = tokio::io::duplex(MEMORY);
    match peer.send(theirs).await {
        Ok(()) => Ok((Connection::new(Transport::Memory(ours), MESSAGES), host)),
        Err(_) => Err(DialError::Connect(host, io::ErrorKind::ConnectionRefused.into())),
    }
}
