//! One TCP connection as a transcript needs it: lines and bytes with a deadline, an end that is known to be a clean
//! close or a reset, and sending in pieces.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

/// How long any wait may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// A line longer than this is a failure of its own.
const LONGEST_LINE: usize = 1 << 20;
/// How much of a long text a message shows.
const SHOWN: usize = 400;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// What came instead of what was waited for, with the bytes that did come.
#[derive(Debug)]
pub(super) enum Came {
    Ended(End, Vec<u8>),
    Nothing(Vec<u8>),
    TooLong(Vec<u8>),
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(end, bytes) => write!(f, "{} then {}", shown(bytes), end.words()),
            Self::Nothing(bytes) => {
                write!(f, "{} then nothing within {} s", shown(bytes), DEADLINE.as_secs())
            }
            Self::TooLong(bytes) => write!(f, "a line without end: {}", shown(bytes)),
        }
    }
}

impl End {
    /// The end in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Closed => "a clean close",
            Self::Reset => "a TCP reset",
        }
    }
}

/// Bytes as a person can read them, shortened.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN)];
    let more =
        if head.len() < bytes.len() { format!(" … ({} octets)", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", head.escape_ascii())
}

/// A connection and everything that ever came over it.
pub(super) struct Wire {
    stream: TcpStream,
    piece: Option<usize>,
    sending: Option<JoinHandle<()>>,
    received: Vec<u8>,
    taken: usize,
    end: Option<End>,
}

impl Wire {
    /// Wraps a fresh connection; what is sent over it is cut into pieces of so many octets.
    pub(super) fn new(stream: TcpStream, piece: Option<usize>) -> Self {
        stream.set_nodelay(true).expect("a fresh socket takes TCP_NODELAY");
        stream.set_write_timeout(Some(DEADLINE)).expect("ten seconds are a valid timeout");
        Self { stream, piece, sending: None, received: Vec::new(), taken: 0, end: None }
    }

    /// Sends, each piece by a write of its own, without waiting for the other side to take it: the proxy may first want
    /// to be rid of what it holds. That the other side is gone already is for the reading side to tell.
    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        self.sent();
        let mut stream = self.stream.try_clone().expect("a socket can be cloned");
        let size = self.piece.unwrap_or(bytes.len()).max(1);
        self.sending = Some(thread::spawn(move || {
            // The first error says that the other side is gone, and then no piece is wanted any more.
            let _ = bytes.chunks(size).try_for_each(|piece| stream.write_all(piece));
        }));
    }

    /// Waits until everything is out.
    fn sent(&mut self) {
        if let Some(sending) = self.sending.take() {
            sending.join().expect("sending does not panic");
        }
    }

    /// Half-closes: a FIN goes out, the other direction stays readable.
    pub(super) fn close(&mut self) {
        self.sent();
        // An error here means that the other side was faster.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets: a RST goes out, what was in flight is lost.
    pub(super) fn reset(mut self) -> Vec<u8> {
        self.sent();
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
        std::mem::take(&mut self.received)
    }

    /// Everything that ever came.
    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    /// The next line, with its line end.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Came> {
        let deadline = Instant::now() + DEADLINE;
        let mut searched = self.taken;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.received[searched..]) {
                return Ok(self.take(searched + at + 1));
            }
            searched = self.received.len();
            if searched - self.taken > LONGEST_LINE {
                return Err(Came::TooLong(self.rest()));
            }
            self.more(deadline)?;
        }
    }

    /// The next so many octets.
    pub(super) fn octets(&mut self, count: usize) -> Result<Vec<u8>, Came> {
        let deadline = Instant::now() + DEADLINE;
        while self.received.len() - self.taken < count {
            self.more(deadline)?;
        }
        Ok(self.take(self.taken + count))
    }

    /// Everything up to the end of the connection.
    pub(super) fn until_end(&mut self) -> Result<(Vec<u8>, End), Came> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.more(deadline) {
                Ok(()) => {}
                Err(Came::Ended(end, bytes)) => return Ok((bytes, end)),
                Err(other) => return Err(other),
            }
        }
    }

    fn take(&mut self, to: usize) -> Vec<u8> {
        let bytes = self.received[self.taken..to].to_vec();
        self.taken = to;
        bytes
    }

    fn rest(&mut self) -> Vec<u8> {
        self.take(self.received.len())
    }

    /// Waits for more bytes.
    fn more(&mut self, deadline: Instant) -> Result<(), Came> {
        if let Some(end) = self.end {
            return Err(Came::Ended(end, self.rest()));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Came::Nothing(self.rest()));
        }
        self.stream.set_read_timeout(Some(left)).expect("the timeout is not zero");
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(count) => self.received.extend_from_slice(&chunk[..count]),
            Err(error) if is_patience_over(error.kind()) => {}
            Err(_) => self.end = Some(End::Reset),
        }
        Ok(())
    }
}

/// The read timed out or was interrupted; whether there is time for another is for the caller to see.
fn is_patience_over(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.sent();
    }
}
