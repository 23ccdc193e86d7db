//! The client's side of a session: lines in, replies out, many of each at once (RFC 2449 §6.6).

use std::io;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use crate::net::Connection;
use crate::pop3::Reply;
use crate::pop3::line::{self, MAX_DISCARD, Split};

/// A client that takes nothing for this long while we have something for it is gone. Half of Dovecot's
/// figure; a slow link still takes an octet now and then.
const WRITE_STALL: Duration = Duration::from_mins(5);

/// Why a client's connection is over.
#[derive(Debug)]
pub enum Lost {
    /// It closed the connection, or the network did.
    Dropped,
    /// It said or took nothing for too long.
    Timeout,
}

/// A line from the client, its end taken off.
#[derive(Debug)]
pub enum Line<'a> {
    /// The line.
    Text(&'a [u8]),
    /// It was too long, and was dropped.
    TooLong,
}

/// What kind of line is expected: it decides how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A command.
    Command,
    /// A response within a SASL exchange.
    Response,
}

/// A client's connection, read by lines.
#[derive(Debug)]
pub struct PopStream {
    connection: Connection,
    /// Octets of the line that was handed out, to be dropped before the next.
    handed_out: usize,
}

impl PopStream {
    /// Takes the connection over.
    pub const fn new(connection: Connection) -> Self {
        Self { connection, handed_out: 0 }
    }

    /// The next line. Output is sent when there is no whole line to go on with, so the replies to
    /// pipelined commands leave together.
    pub async fn line(&mut self, expect: Expect, wait: Duration) -> Result<Line<'_>, Lost> {
        self.drop_line();
        let mut dropped = 0;
        let mut limit = 0;
        loop {
            if dropped == 0 {
                limit = match expect {
                    Expect::Command => line::limit_for(self.connection.input()),
                    Expect::Response => line::MAX_SASL,
                };
            }
            match line::split(self.connection.input(), limit) {
                Split::Line { line, used } if dropped == 0 => {
                    self.handed_out = used;
                    return Ok(Line::Text(&self.connection.input()[..line]));
                }
                Split::Line { used, .. } | Split::TooLong { used, ended: true } => {
                    self.connection.consume_secret(used);
                    // How the octets were cut on their way must not decide.
                    return if dropped + used > limit + MAX_DISCARD {
                        Err(Lost::Dropped)
                    } else {
                        Ok(Line::TooLong)
                    };
                }
                Split::TooLong { used, ended: false } => {
                    self.connection.consume_secret(used);
                    dropped += used;
                    if dropped > limit + MAX_DISCARD {
                        return Err(Lost::Dropped);
                    }
                }
                Split::Partial => {
                    self.flush().await?;
                    match self.connection.fill(wait).await {
                        Ok(0) => return Err(Lost::Dropped),
                        Ok(_) => {}
                        Err(error) => return Err(lost(&error)),
                    }
                }
            }
        }
    }

    /// Has the client sent more than the line that was handed out?
    pub fn has_more(&self) -> bool {
        self.connection.input().len() > self.handed_out
    }

    /// Puts a status line into the output.
    pub fn reply(&mut self, reply: &Reply) {
        reply.encode(self.connection.output());
    }

    /// The output.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.connection.output()
    }

    /// Sends the output if there is much of it.
    pub async fn flush_much(&mut self) -> Result<(), Lost> {
        if self.connection.output().len() >= crate::net::connection::FLUSH_AT {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Sends the output.
    pub async fn flush(&mut self) -> Result<(), Lost> {
        if self.connection.output().is_empty() {
            return Ok(());
        }
        self.connection.flush(WRITE_STALL).await.map_err(|error| lost(&error))
    }

    /// The connection.
    pub const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Does the TLS handshake; nothing that came before it is left.
    pub async fn accept_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        self.handed_out = 0;
        self.connection.accept_tls(acceptor).await
    }

    /// Ends the connection by a TCP reset, with what is in the output unsent.
    pub fn reset(self) {
        self.connection.reset();
    }

    /// Sends what is left and ends the connection.
    pub async fn close(self) {
        self.connection.close().await;
    }

    fn drop_line(&mut self) {
        self.connection.consume_secret(std::mem::take(&mut self.handed_out));
    }
}

fn lost(error: &io::Error) -> Lost {
    if error.kind() == io::ErrorKind::TimedOut { Lost::Timeout } else { Lost::Dropped }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::net::Transport;
    use crate::net::connection::COMMANDS;

    const WAIT: Duration = Duration::from_mins(10);

    async fn line(pop: &mut PopStream) -> Result<Option<String>, Lost> {
        Ok(match pop.line(Expect::Command, WAIT).await? {
            Line::Text(text) => Some(text.escape_ascii().to_string()),
            Line::TooLong => None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn lines_come_whole_at_every_size_of_pieces() {
        let sent = [&b"NOOP\r\nSTAT\n\n"[..], &b"x".repeat(600), b"\r\nQUIT\r\n"].concat();
        for size in 1..40 {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let sent = sent.clone();
            let client = async move {
                for piece in sent.chunks(size) {
                    theirs.write_all(piece).await.expect("a reader");
                }
                theirs
            };
            let server = async {
                let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
                let mut lines = Vec::new();
                while let Ok(text) = line(&mut pop).await {
                    lines.push(text);
                }
                lines
            };
            let expected =
                ["NOOP", "STAT", "", "-", "QUIT"].map(|text| (text != "-").then(|| text.to_owned()));
            let client = async { drop(client.await) };
            assert_eq!(tokio::join!(client, server).1, expected, "pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn how_long_a_line_is_decides_and_not_how_it_is_cut() {
        let lengths = [(511, true), (4_607, true), (4_608, false), (9_000, false)];
        for (length, answered) in lengths {
            for size in [1, 7, 500, 513, 4_000, 10_000] {
                let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
                let client = async move {
                    let sent = [&b"x".repeat(length)[..], b"\n"].concat();
                    for piece in sent.chunks(size) {
                        // The other side may have gone: that is one of the two answers.
                        let _ = theirs.write_all(piece).await;
                        tokio::task::yield_now().await;
                    }
                    theirs
                };
                let server = async {
                    let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
                    line(&mut pop).await.is_ok()
                };
                assert_eq!(tokio::join!(client, server).1, answered, "{length} octets in pieces of {size}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_line_and_a_silent_client_end_the_connection() {
        let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
        theirs.write_all(&vec![b'x'; 8 * 1024]).await.expect("room");
        let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
        assert!(matches!(line(&mut pop).await, Err(Lost::Dropped)));

        let (ours, _theirs) = tokio::io::duplex(64);
        let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
        let before = tokio::time::Instant::now();
        assert!(matches!(line(&mut pop).await, Err(Lost::Timeout)));
        assert_eq!(before.elapsed(), WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn replies_to_pipelined_commands_leave_together() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(b"NOOP\r\nNOOP\r\n").await.expect("room");
        let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
        for _ in 0..2 {
            assert!(line(&mut pop).await.is_ok());
            pop.reply(&Reply::ok(""));
        }
        let mut seen = vec![0; 64];
        tokio::select! {
            _ = line(&mut pop) => panic!("there is no third line"),
            octets = theirs.read(&mut seen) => seen.truncate(octets.expect("replies")),
        }
        assert_eq!(seen, b"+OK\r\n+OK\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut pop = PopStream::new(Connection::new(Transport::Memory(ours), COMMANDS));
        pop.reply(&Reply::ok("x".repeat(100)));
        assert!(matches!(pop.flush().await, Err(Lost::Timeout)));
    }
}
