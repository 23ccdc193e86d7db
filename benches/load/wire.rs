//! One TCP connection, read by lines or by octets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;

/// A server that says nothing for so long has failed. A first listing of a large mailbox takes its time.
const PATIENCE: Duration = Duration::from_mins(2);

/// As much as is asked of the kernel at once; little enough to stay in a core's own cache.
const BUFFER: usize = 64 << 10;

/// A connection to a port of this machine.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Wire {
    pub(crate) fn open(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0 })
    }

    pub(crate) fn send(&mut self, octets: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(octets)?)
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Outcome<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Err("a line is longer than the buffer".into());
        }
        let count = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count > 0)
    }

    /// The next line, without its CRLF.
    pub(crate) fn line(&mut self) -> Outcome<&[u8]> {
        let mut looked = 0;
        let length = loop {
            let unread = &self.buffer[self.start + looked..self.end];
            if let Some(at) = unread.iter().position(|octet| *octet == b'\n') {
                break looked + at;
            }
            looked = self.end - self.start;
            if !self.fill()? {
                return Err("the server closed the connection where a line was expected".into());
            }
        };
        let start = self.start;
        self.start += length + 1;
        let line = &self.buffer[start..start + length];
        line.strip_suffix(b"\r").ok_or_else(|| "a line does not end with CRLF".into())
    }

    /// The next octets, at most so many and at least one.
    pub(crate) fn octets(&mut self, most: usize) -> Outcome<&[u8]> {
        if self.start == self.end && !self.fill()? {
            return Err("the server closed the connection inside a message".into());
        }
        let start = self.start;
        self.start = self.end.min(start + most);
        Ok(&self.buffer[start..self.start])
    }

    /// The server has nothing more to say, and closes.
    pub(crate) fn expect_end(&mut self) -> Outcome<()> {
        if self.start == self.end && !self.fill()? {
            Ok(())
        } else {
            Err("there is more than expected".into())
        }
    }
}

/// For messages about what came instead.
pub(crate) fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()
}

/// The first decimal number in these octets.
pub(crate) fn number(octets: &[u8]) -> Option<usize> {
    let digits = octets.iter().skip_while(|octet| !octet.is_ascii_digit());
    let digits: Vec<u8> = digits.take_while(|octet| octet.is_ascii_digit()).copied().collect();
    String::from_utf8(digits).ok()?.parse().ok()
}
