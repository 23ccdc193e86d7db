//! Responses from a connection, one at a time; a message's body comes as a stream and is never held.

use std::time::Duration;

use super::error::Error;
use super::fetch::{self, BodyFollows, Fetch};
use super::frame::{self, MAX_LINE};
use super::response::{self, Malformed, Response};
use crate::net::Connection;

/// What comes next from a server.
#[derive(Debug)]
pub enum Event<'a> {
    /// A whole response.
    Response(Response<'a>),
    /// A FETCH response up to a message's body. Read that with [`Reader::chunk`], then [`Reader::tail`];
    /// whoever does not want it just asks for the next event.
    Body(BodyFollows),
}

/// Reads one server's responses.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    timeout: Duration,
    /// Octets of the input that were handed out last, to be dropped before more is handed out.
    handed_out: usize,
    /// Octets of a body that are still to come, while a FETCH response is only half read.
    body_left: Option<u64>,
}

impl Reader {
    /// Reads from `connection`, and gives up when no octet comes for `timeout`.
    pub const fn new(connection: Connection, timeout: Duration) -> Self {
        Self { connection, timeout, handed_out: 0, body_left: None }
    }

    /// The connection, for writing.
    pub const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Has the server sent anything that was not looked at yet?
    pub fn has_unread(&self) -> bool {
        self.connection.input().len() > self.handed_out
    }

    /// Is there nothing to be read, and not the end either?
    pub fn is_quiet(&mut self) -> bool {
        self.drop_handed_out();
        self.connection.is_quiet()
    }

    /// The connection is a new one (after STARTTLS): nothing that was read counts.
    pub const fn start_over(&mut self) {
        self.handed_out = 0;
        self.body_left = None;
    }

    /// The next response. What is left of a body that nobody read is skipped.
    pub async fn next(&mut self) -> Result<Event<'_>, Error> {
        if self.body_left.is_some() {
            while self.chunk().await?.is_some() {}
            self.tail().await?;
        }
        self.drop_handed_out();
        let piece = self.line(0, response::may_announce_literal).await?;
        if let Some(octets) = piece.literal
            && let Some(follows) = fetch::body_follows(&self.connection.input()[..piece.text])
        {
            self.handed_out = piece.used;
            self.body_left = Some(octets);
            return Ok(Event::Body(follows));
        }
        let length = self.rest_of_response(piece).await?;
        Ok(Event::Response(response::parse(&self.connection.input()[..length])?))
    }

    /// The next octets of the body, as they come; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<&[u8]>, Error> {
        self.drop_handed_out();
        let Some(left) = self.body_left.filter(|left| *left > 0) else {
            return Ok(None);
        };
        if self.connection.input().is_empty() {
            self.fill().await?;
        }
        let there = self.connection.input().len();
        let chunk = usize::try_from(left).map_or(there, |left| left.min(there));
        self.handed_out = chunk;
        self.body_left = Some(left - chunk as u64);
        Ok(Some(&self.connection.input()[..chunk]))
    }

    /// Octets of the body that are still to come.
    pub fn body_left(&self) -> u64 {
        self.body_left.unwrap_or(0)
    }

    /// What stands behind the body in its FETCH response.
    pub async fn tail(&mut self) -> Result<Fetch<'_>, Error> {
        self.drop_handed_out();
        self.body_left = None;
        let piece = self.line(0, |_| true).await?;
        let length = self.rest_of_response(piece).await?;
        Ok(fetch::parse_tail(&self.connection.input()[..length]).ok_or(Malformed)?)
    }

    /// Takes in the literals inside a response, which stay in place; all of it is at most [`MAX_LINE`].
    async fn rest_of_response(&mut self, first: frame::Piece) -> Result<usize, Error> {
        let mut piece = first;
        let mut start = 0;
        while let Some(octets) = piece.literal {
            let end = usize::try_from(octets).ok().and_then(|octets| octets.checked_add(start + piece.used));
            let end = end
                .filter(|end| *end <= MAX_LINE)
                .ok_or(Error::Protocol("a response is longer than 64 KiB"))?;
            while self.connection.input().len() < end {
                self.fill().await?;
            }
            start = end;
            piece = self.line(start, |_| true).await?;
        }
        self.handed_out = start + piece.used;
        Ok(start + piece.text)
    }

    /// The line that begins `start` octets into the input.
    async fn line(&mut self, start: usize, literals: fn(&[u8]) -> bool) -> Result<frame::Piece, Error> {
        let mut scanned = 0;
        loop {
            let line = &self.connection.input()[start..];
            if let Some(piece) = frame::line(line, scanned, literals)? {
                return Ok(piece);
            }
            scanned = line.len();
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Error> {
        match self.connection.fill(self.timeout).await {
            Ok(0) => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(Error::Timeout),
            Err(error) => Err(Error::Io(error)),
        }
    }

    fn drop_handed_out(&mut self) {
        self.connection.consume(std::mem::take(&mut self.handed_out));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::net::Transport;
    use crate::net::connection::MESSAGES;

    /// Everything that a reader gives for `bytes` sent in pieces of `size`, as text.
    async fn events(bytes: &'static [u8], size: usize) -> Vec<String> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let send = async move {
            for piece in bytes.chunks(size) {
                theirs.write_all(piece).await.expect("a reader");
                tokio::task::yield_now().await;
            }
        };
        let receive = async move {
            let mut reader =
                Reader::new(Connection::new(Transport::Memory(ours), MESSAGES), Duration::from_secs(1));
            let mut all = Vec::new();
            loop {
                let event = match reader.next().await {
                    Ok(Event::Response(response)) => format!("{response:?}"),
                    Ok(Event::Body(follows)) => {
                        let mut body = Vec::new();
                        while let Some(chunk) = reader.chunk().await.expect("a chunk") {
                            body.extend_from_slice(chunk);
                        }
                        let tail = reader.tail().await.expect("a tail");
                        format!("{follows:?} {} {tail:?}", body.escape_ascii())
                    }
                    Err(Error::Closed) => return all,
                    Err(error) => format!("{error}"),
                };
                let failed = !event.contains(['{', '(']) && event.contains(' ');
                all.push(event);
                if failed {
                    return all;
                }
            }
        };
        tokio::join!(send, receive).1
    }

    const SESSION: &[u8] = b"* OK see {5}\r\n\
        * 1 FETCH (UID 7 BODY[] {26}\r\na1 OK done\r\n)\r\n* BYE {9}\r\n FLAGS (\\Seen))\r\n\
        * 2 FETCH (BODY[] ~{3+}\r\n\0\r\n UID 8)\r\n\
        * 3 FETCH (ENVELOPE {2}\r\n)( UID 9 RFC822.SIZE 4 FLAGS ())\r\n\
        * 4 FETCH (UID 10 BODY[] {0}\r\n)\n\
        * QUOTA {6}\r\n\" (\r\n (X 1 2 STORAGE 3 4)\r\n\
        a1 OK {3}\r\n";

    #[tokio::test(start_paused = true)]
    async fn the_same_at_every_size_of_pieces() {
        let whole = events(SESSION, SESSION.len()).await;
        assert_eq!(whole.len(), 7, "{whole:#?}");
        assert!(
            whole[1].contains("uid: Some(7)") && whole[1].contains(r"a1 OK done\r\n)\r\n* BYE {9}"),
            "{}",
            whole[1]
        );
        assert!(whole[2].contains(r"\x00\r\n") && whole[2].contains("uid: Some(8)"), "{}", whole[2]);
        assert!(whole[3].contains("uid: Some(9), size: Some(4)"), "{}", whole[3]);
        assert!(whole[5].contains("used: 3072, limit: 4096"), "{}", whole[5]);
        for size in 1..SESSION.len() {
            assert_eq!(events(SESSION, size).await, whole, "pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_wants_is_skipped() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(b"* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n* 5 EXISTS\r\n").await.expect("room");
        let mut reader =
            Reader::new(Connection::new(Transport::Memory(ours), MESSAGES), Duration::from_secs(1));
        assert!(matches!(reader.next().await, Ok(Event::Body(_))));
        assert!(matches!(reader.next().await, Ok(Event::Response(Response::Exists(5)))));
        assert!(matches!(reader.next().await, Err(Error::Timeout)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_is_refused_before_it_is_read() {
        for bytes in [&b"* LIST () {65536}\r\n"[..], b"* 1 FETCH (BODY[] {99999999999}\r\n"] {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(bytes).await.expect("room");
            let mut reader =
                Reader::new(Connection::new(Transport::Memory(ours), MESSAGES), Duration::from_secs(1));
            assert!(matches!(reader.next().await, Err(Error::Protocol(_))), "{}", bytes.escape_ascii());
        }
    }
}
