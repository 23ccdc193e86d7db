//! A tiny blocking POP3 client that shows raw bytes and can leave in every way there is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sha2::{Digest, Sha256};
use socket2::{Domain, SockRef, Socket, Type};

/// The longest silence from a local server that is not yet a failure.
const SILENCE: Duration = Duration::from_mins(1);

/// How a session is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Not at all.
    Plain,
    /// STLS (RFC 2595).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

/// All transports, for tests that run over each.
pub(crate) const TRANSPORTS: [Transport; 3] = [Transport::Plain, Transport::Starttls, Transport::Implicit];

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

/// One POP3 connection.
pub(crate) struct Pop3 {
    wire: BufReader<Wire>,
}

/// What came back for a message: its length and hash after un-stuffing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// Octets, line ends included, final dot not.
    pub(crate) length: u64,
    /// SHA-256 of these octets.
    pub(crate) sha256: [u8; 32],
}

impl Body {
    /// The same for octets at hand.
    pub(crate) fn of(octets: &[u8]) -> Self {
        Self { length: octets.len() as u64, sha256: Sha256::digest(octets).into() }
    }
}

impl Pop3 {
    /// A connection that is made, without TLS, of which nothing was read.
    pub(crate) fn over(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(SILENCE)).expect("timeout");
        tcp.set_nodelay(true).expect("nodelay");
        Self { wire: BufReader::new(Wire::Plain(tcp)) }
    }

    /// Connects without TLS from this address, which has to be one of this machine's (all of 127.0.0.0/8
    /// are), and reads the greeting.
    pub(crate) fn connect_from(address: &str, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let address: IpAddr = address.parse().expect("an address");
        socket.bind(&SocketAddr::new(address, 0).into()).expect("bind to an address of 127.0.0.0/8");
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect to POP3");
        let mut pop3 = Self::over(socket.into());
        let greeting = pop3.line();
        assert!(greeting.starts_with("+OK"), "greeting: {greeting}");
        pop3
    }

    /// Connects and reads the greeting.
    pub(crate) fn connect(port: u16, transport: Transport, tls: &Arc<ClientConfig>) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", port)).expect("connect to POP3");
        tcp.set_read_timeout(Some(SILENCE)).expect("timeout");
        tcp.set_nodelay(true).expect("nodelay");
        let wire = match transport {
            Transport::Implicit => encrypt(tcp, tls),
            Transport::Plain | Transport::Starttls => Wire::Plain(tcp),
        };
        let mut pop3 = Self { wire: BufReader::new(wire) };
        let greeting = pop3.line();
        assert!(greeting.starts_with("+OK"), "greeting: {greeting}");
        if transport == Transport::Starttls {
            let reply = pop3.command("STLS");
            assert!(reply.starts_with("+OK"), "STLS: {reply}");
            assert!(pop3.wire.buffer().is_empty(), "plaintext after the reply to STLS");
            let Wire::Plain(tcp) = pop3.wire.into_inner() else { unreachable!("not yet TLS") };
            pop3 = Self { wire: BufReader::new(encrypt(tcp, tls)) };
        }
        pop3
    }

    /// USER and PASS; panics when they are refused.
    pub(crate) fn login(&mut self, name: &str, password: &str) {
        for command in [format!("USER {name}"), format!("PASS {password}")] {
            let reply = self.command(&command);
            assert!(reply.starts_with("+OK"), "login of {name}: {reply}");
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("write to POP3");
    }

    /// Writes bytes as they are, to a server that may be gone.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self.wire.get_mut() {
            Wire::Plain(tcp) => tcp.write_all(bytes),
            Wire::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// Writes one command and reads the first line of its answer.
    pub(crate) fn command(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes());
        self.line()
    }

    /// One line without its CRLF; panics when the connection ends instead.
    pub(crate) fn line(&mut self) -> String {
        self.try_line().expect("a line from POP3")
    }

    /// One line without its CRLF, or nothing when the connection ended or broke.
    pub(crate) fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.wire.read_until(b'\n', &mut line).ok()?;
        let line = line.strip_suffix(b"\r\n")?;
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// The lines of a listing up to the final dot.
    pub(crate) fn listing(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line == "." {
                return lines;
            }
            lines.push(line);
        }
    }

    /// The rest of a RETR's or TOP's answer, un-stuffed.
    pub(crate) fn body(&mut self) -> Body {
        let mut hash = Sha256::new();
        let length = self.octets(&mut |octets| hash.update(octets));
        Body { length, sha256: hash.finalize().into() }
    }

    /// The same as octets: only for messages that are small.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        self.octets(&mut |octets| message.extend_from_slice(octets));
        message
    }

    /// Reads to the final dot (RFC 1939 §3). A bare LF, which some clients take for a line end, is
    /// never right: neither server passes one on.
    fn octets(&mut self, sink: &mut dyn FnMut(&[u8])) -> u64 {
        let mut length = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            self.wire.read_until(b'\n', &mut line).expect("a message from POP3");
            assert!(line.ends_with(b"\n"), "POP3 ended inside a message");
            assert!(line.ends_with(b"\r\n"), "a bare LF in a message");
            if line == b".\r\n" {
                return length;
            }
            let octets = line.strip_prefix(b".").unwrap_or(&line);
            sink(octets);
            length += octets.len() as u64;
        }
    }

    /// Reads up to `count` octets and throws them away; fewer when a short answer ends before.
    pub(crate) fn read_some(&mut self, mut count: usize) {
        while count > 0 {
            let Ok(buffered) = self.wire.fill_buf() else {
                return;
            };
            let ends = buffered.ends_with(b"\r\n.\r\n");
            let taken = buffered.len().min(count);
            self.wire.consume(taken);
            count -= taken;
            if ends || taken == 0 {
                return;
            }
        }
    }

    /// Reads on until the server closes, and says how many octets came.
    pub(crate) fn drain(&mut self) -> u64 {
        // A TLS server may close without close_notify, and any server with a reset.
        std::io::copy(&mut self.wire, &mut std::io::sink()).unwrap_or(0)
    }

    /// Reads on until the connection is over: the last octets, at most five, and how it ended. A clean end is
    /// a FIN, within TLS behind a `close_notify`.
    pub(crate) fn end(&mut self) -> (Vec<u8>, std::io::Result<()>) {
        let mut tail = Vec::new();
        loop {
            match self.wire.fill_buf() {
                Ok([]) => return (tail, Ok(())),
                Ok(octets) => {
                    let length = octets.len();
                    tail.extend_from_slice(&octets[length.saturating_sub(5)..]);
                    tail.drain(..tail.len().saturating_sub(5));
                    self.wire.consume(length);
                }
                Err(error) => return (tail, Err(error)),
            }
        }
    }

    /// No more commands, but replies are still read.
    pub(crate) fn half_close(&mut self) {
        // Both fail when the server closed first, which is as good.
        if let Wire::Tls(tls) = self.wire.get_mut() {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.wire.get_ref().tcp().shutdown(Shutdown::Write);
    }

    /// Leaves with a TCP reset.
    pub(crate) fn reset(self) {
        let tcp = self.wire.get_ref().tcp();
        SockRef::from(tcp).set_linger(Some(Duration::ZERO)).expect("SO_LINGER 0");
    }
}

fn encrypt(tcp: TcpStream, tls: &Arc<ClientConfig>) -> Wire {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::clone(tls), name).expect("a TLS client");
    Wire::Tls(Box::new(StreamOwned::new(connection, tcp)))
}
