//! Where HTTP comes in: TCP, or a unix socket that only its owner and its group may use.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::AdminAddress;
use crate::net;

/// Its owner and its group may connect, and nobody else.
const SOCKET_MODE: u32 = 0o660;

/// A socket that is bound.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket, whose file goes when the listener does.
    Unix(UnixListener, SocketFile),
}

/// A connection, before TLS.
#[derive(Debug)]
pub enum Accepted {
    /// TCP, and who it is.
    Tcp(TcpStream, IpAddr),
    /// A unix socket.
    Unix(UnixStream),
}

impl Listener {
    /// Binds. A unix socket that nobody listens on any more is replaced; whatever else is there stays.
    pub async fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => Self::tcp(*address).await,
            AdminAddress::Unix(path) => Self::unix(path).await,
        }
    }

    /// Binds to an address and a port.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::Tcp(TcpListener::bind(address).await?))
    }

    async fn unix(path: &Path) -> io::Result<Self> {
        remove_stale(path).await?;
        let listener = UnixListener::bind(path)?;
        let file = SocketFile::at(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(SOCKET_MODE))?;
        Ok(Self::Unix(listener, file))
    }

    /// Its address as bound, as a configuration spells it.
    pub fn address(&self) -> io::Result<AdminAddress> {
        Ok(match self {
            Self::Tcp(listener) => AdminAddress::Tcp(listener.local_addr()?),
            Self::Unix(_, file) => AdminAddress::Unix(file.path.clone()),
        })
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(tcp, net::canonical(peer).ip()))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// Makes way for a new socket, if what is there is the socket of a process that is gone.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let there = match std::fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket; it was not touched: name another path",
        ));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process answers on that socket; stop it, or name another path",
        )),
        Err(error) => Err(error),
    }
}

/// The file of a unix socket; removed when dropped, unless another process has put its own there meanwhile.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            // A socket that stays is replaced by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = std::fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bind(path: &Path) -> io::Result<Listener> {
        Listener::bind(&AdminAddress::Unix(path.to_owned())).await
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_group_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin");
        let listener = bind(&path).await.expect("bound");
        let mode = std::fs::symlink_metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        assert_eq!(listener.address().expect("an address").to_string(), format!("unix:{}", path.display()));
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        assert!(client.is_ok() && matches!(accepted, Ok(Accepted::Unix(_))));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_a_socket_of_a_dead_process_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin");
        std::fs::write(&path, "precious").expect("a file");
        let error = bind(&path).await.expect_err("no socket").to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
        std::fs::remove_file(&path).expect("removed");

        // What a process that was killed leaves behind: nobody accepts there.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists());
        let live = bind(&path).await.expect("a stale one is replaced");
        let error = bind(&path).await.expect_err("somebody answers").to_string();
        assert!(error.contains("another process answers"), "{error}");
        assert!(UnixStream::connect(&path).await.is_ok(), "the live one was not touched");

        // A hand-over: the successor's file is not removed with ours.
        std::fs::remove_file(&path).expect("removed");
        let successor = bind(&path).await.expect("bound");
        drop(live);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}
