//! Splits what a client sends into lines, within bounds (RFC 1939 §3).
//!
//! A line ends in CRLF; a bare LF is taken as well, because printers and scanners send it. A line that
//! is too long is dropped up to its end and reported once, so that its tail is never read as a command.

use memchr::memchr;

/// Longest command line, with its line end. RFC 2449 §4 asks for 255 octets; twice that costs nothing
/// and lets long names and passwords through.
pub const MAX_COMMAND: usize = 512;

/// Longest `AUTH` line and SASL response, with its line end (RFC 4954 §4 names 12,288 octets for
/// base64 responses; OAuth tokens need it).
pub const MAX_SASL: usize = 12_288;

/// How much of a line beyond its limit is read and dropped while looking for its end. A client that
/// goes on without a line end after this is not speaking POP3.
pub const MAX_DISCARD: usize = 4_096;

/// What the front of a buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Split {
    /// No line end yet, and room for more.
    Partial,
    /// A line of `line` octets without its end; `used` octets with it.
    Line {
        /// Octets of the line itself.
        line: usize,
        /// Octets to take from the buffer.
        used: usize,
    },
    /// The line is longer than allowed: `used` octets are to be dropped; `ended` says whether its end
    /// was among them.
    TooLong {
        /// Octets to take from the buffer.
        used: usize,
        /// Was the line's end seen?
        ended: bool,
    },
}

/// Looks for a line of at most `limit` octets, line end included, at the front of `buffer`.
pub fn split(buffer: &[u8], limit: usize) -> Split {
    match memchr(b'\n', &buffer[..buffer.len().min(limit)]) {
        Some(end) => {
            let line = if end > 0 && buffer[end - 1] == b'\r' { end - 1 } else { end };
            Split::Line { line, used: end + 1 }
        }
        None if buffer.len() < limit => Split::Partial,
        None => match memchr(b'\n', buffer) {
            Some(end) => Split::TooLong { used: end + 1, ended: true },
            None => Split::TooLong { used: buffer.len(), ended: false },
        },
    }
}

/// The limit for a line whose beginning is `start`: `AUTH` may carry an initial response (RFC 5034 §4).
pub fn limit_for(start: &[u8]) -> usize {
    match start.get(..5) {
        Some(verb) if verb.eq_ignore_ascii_case(b"AUTH ") => MAX_SASL,
        _ => MAX_COMMAND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf_or_lf() {
        assert_eq!(split(b"NOOP\r\nQ", 512), Split::Line { line: 4, used: 6 });
        assert_eq!(split(b"NOOP\nQ", 512), Split::Line { line: 4, used: 5 });
        assert_eq!(split(b"\n", 512), Split::Line { line: 0, used: 1 });
        assert_eq!(split(b"A\rB\r\n", 512), Split::Line { line: 3, used: 5 });
    }

    #[test]
    fn every_prefix_of_a_line_waits_for_the_rest() {
        let line = b"USER somebody\r\n";
        for cut in 0..line.len() {
            assert_eq!(split(&line[..cut], 512), Split::Partial, "cut at {cut}");
        }
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        let mut line = vec![b'x'; 510];
        line.extend(b"\r\n");
        assert_eq!(split(&line, 512), Split::Line { line: 510, used: 512 });
        line.insert(0, b'x');
        assert_eq!(split(&line, 512), Split::TooLong { used: 513, ended: true });
        assert_eq!(split(&line[..512], 512), Split::TooLong { used: 512, ended: false });
    }

    #[test]
    fn only_auth_lines_may_be_long() {
        assert_eq!(limit_for(b"auth PLAIN "), MAX_SASL);
        assert_eq!(limit_for(b"AUTH"), MAX_COMMAND);
        assert_eq!(limit_for(b"USER auth "), MAX_COMMAND);
    }
}
