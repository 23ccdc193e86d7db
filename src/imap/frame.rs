//! Splits what a server sends into lines and literals, before any grammar (RFC 3501 §2.2, §4.3).
//!
//! Boundaries are found first and bounded first: a literal's octets are counted and never looked at, so
//! nothing inside a message can be read as a response.

use memchr::memchr;

/// Longest line, and longest response without its streamed literal, in octets. Dovecot's own limit for
/// what it reads is the same; real FLAGS and CAPABILITY lines stay far below it.
pub const MAX_LINE: usize = 64 * 1024;

/// Largest literal that is announced by a server and believed: 4 GiB − 1, the most that RFC 3501's
/// `number` can say.
pub const MAX_LITERAL: u64 = u32::MAX as u64;

/// A piece of a response at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Octets of the line without its end and without the literal's announcement.
    pub text: usize,
    /// Octets of the line with both.
    pub used: usize,
    /// The literal that follows.
    pub literal: Option<u64>,
}

/// Why the bytes are no IMAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// No line end within [`MAX_LINE`].
    LineTooLong,
    /// A literal with a sign, without digits, or larger than [`MAX_LITERAL`].
    BadLiteral,
}

/// Finds the line at the front of `buffer`, from `scanned` octets on, which earlier calls have looked at.
///
/// `literals` says whether this line may announce one: status responses and continuation requests end in
/// free text, where `{5}` is only text.
pub fn line(
    buffer: &[u8],
    scanned: usize,
    literals: impl FnOnce(&[u8]) -> bool,
) -> Result<Option<Piece>, FrameError> {
    let Some(end) = memchr(b'\n', &buffer[scanned.min(buffer.len())..]).map(|at| at + scanned) else {
        return if buffer.len() < MAX_LINE { Ok(None) } else { Err(FrameError::LineTooLong) };
    };
    if end >= MAX_LINE {
        return Err(FrameError::LineTooLong);
    }
    let text = if end > 0 && buffer[end - 1] == b'\r' { end - 1 } else { end };
    let line = &buffer[..text];
    let piece = Piece { text, used: end + 1, literal: None };
    if line.last() != Some(&b'}') || !literals(line) {
        return Ok(Some(piece));
    }
    let Some(open) = memchr::memrchr(b'{', line) else {
        return Ok(Some(piece));
    };
    let octets = literal_size(&line[open + 1..text - 1])?;
    let text = if open > 0 && line[open - 1] == b'~' { open - 1 } else { open };
    Ok(Some(Piece { text, literal: Some(octets), ..piece }))
}

/// `number ["+"]`: a server has no reason to send the plus, and some do.
fn literal_size(inside: &[u8]) -> Result<u64, FrameError> {
    let digits = inside.strip_suffix(b"+").unwrap_or(inside);
    // Ten digits hold MAX_LITERAL, and what has more is refused before it can overflow.
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::BadLiteral);
    }
    let size = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    if size > MAX_LITERAL { Err(FrameError::BadLiteral) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(buffer: &[u8]) -> Result<Option<Piece>, FrameError> {
        line(buffer, 0, |_| true)
    }

    #[test]
    fn lines_and_announcements() {
        let table: &[(&[u8], Piece)] = &[
            (b"* OK hi\r\nmore", Piece { text: 7, used: 9, literal: None }),
            (b"* OK hi\n", Piece { text: 7, used: 8, literal: None }),
            (b"BODY[] {12}\r\n", Piece { text: 7, used: 13, literal: Some(12) }),
            (b"BODY[] {12+}\r\n", Piece { text: 7, used: 14, literal: Some(12) }),
            (b"BODY[] ~{007}\r\n", Piece { text: 7, used: 15, literal: Some(7) }),
            (b"a}\r\n", Piece { text: 2, used: 4, literal: None }),
            (b"{4294967295}\r\n", Piece { text: 0, used: 14, literal: Some(MAX_LITERAL) }),
        ];
        for (buffer, expected) in table {
            assert_eq!(split(buffer), Ok(Some(*expected)), "{}", buffer.escape_ascii());
        }
    }

    #[test]
    fn literals_that_are_bombs() {
        let digits = format!("{{{}}}\r\n", "9".repeat(200));
        for text in [
            "{}\r\n",
            "{-1}\r\n",
            "{+5}\r\n",
            "{1e9}\r\n",
            "{99999999999}\r\n",
            "{4294967296}\r\n",
            "{ 5}\r\n",
            &digits,
        ] {
            assert_eq!(split(text.as_bytes()), Err(FrameError::BadLiteral), "{text}");
        }
    }

    #[test]
    fn free_text_announces_nothing() {
        let piece = line(b"* OK {5}\r\n", 0, |_| false);
        assert_eq!(piece, Ok(Some(Piece { text: 8, used: 10, literal: None })));
    }

    #[test]
    fn every_prefix_waits_and_an_endless_line_is_refused() {
        let whole = b"* 1 FETCH (BODY[] {5}\r\n";
        for cut in 0..whole.len() {
            assert_eq!(split(&whole[..cut]), Ok(None), "cut at {cut}");
            assert_eq!(line(whole, cut, |_| true).map(|piece| piece.is_some()), Ok(true));
        }
        assert_eq!(split(&vec![b'x'; MAX_LINE]), Err(FrameError::LineTooLong));
    }
}
