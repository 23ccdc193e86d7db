//! A message as the body of a multi-line reply, chunk by chunk (RFC 1939 §3).
//!
//! What goes in are a message's octets in pieces of any size; what comes out are lines that end in CRLF,
//! with a dot put before every line that begins with one, and at the end the line `.`. A bare LF is mended
//! to CRLF, because a body with `\n.\n` would end the message early in clients that take LF for a line
//! end. A bare CR stays as it is: it ends no line, so nothing is stuffed after it.

use memchr::memchr_iter;

use super::reply::END;

/// Writes one message. Keeps how its current line began and ended so far, and no octet of it.
#[derive(Debug)]
pub struct DotWriter {
    so_far: SoFar,
    cut: Cut,
    mended: bool,
}

/// The current line up to the end of the last chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SoFar {
    /// Nothing of it has come.
    Start,
    /// One CR: with a LF next, it is a blank line.
    Cr,
    /// Text.
    Text,
    /// Text and a CR.
    TextCr,
}

/// Where to stop (TOP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// RETR: nowhere.
    Never,
    /// The header's end has not come yet; then this many lines are to follow.
    Header(u64),
    /// In the body, with this many lines to go.
    Body(u64),
    /// All lines that were asked for are written.
    Reached,
}

impl DotWriter {
    /// For RETR: the whole message.
    pub const fn whole() -> Self {
        Self { so_far: SoFar::Start, cut: Cut::Never, mended: false }
    }

    /// For TOP: the header, the blank line and `lines` lines of the body (RFC 1939 §7).
    pub const fn top(lines: u64) -> Self {
        Self { so_far: SoFar::Start, cut: Cut::Header(lines), mended: false }
    }

    /// Is everything written that was asked for, so that the rest of the message is not needed?
    pub fn is_complete(&self) -> bool {
        self.cut == Cut::Reached
    }

    /// Was a line end mended or supplied, so that the size differs from the mail store's?
    pub const fn mended(&self) -> bool {
        self.mended
    }

    /// Appends what `chunk` becomes to `out`: at most twice its length.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.is_complete() {
            return;
        }
        if self.so_far == SoFar::Start && chunk.first() == Some(&b'.') {
            out.push(b'.');
        }
        // `copied`: up to here the chunk is in `out`. `line`: here the current line begins.
        let (mut copied, mut line) = (0, 0);
        for lf in memchr_iter(b'\n', chunk) {
            let now = self.so_far.and(&chunk[line..lf]);
            if !now.ends_in_cr() {
                out.extend_from_slice(&chunk[copied..lf]);
                out.push(b'\r');
                copied = lf;
                self.mended = true;
            }
            line = lf + 1;
            self.so_far = SoFar::Start;
            self.cut = self.cut.after_line(matches!(now, SoFar::Start | SoFar::Cr));
            if self.is_complete() {
                out.extend_from_slice(&chunk[copied..line]);
                return;
            }
            if chunk.get(line) == Some(&b'.') {
                out.extend_from_slice(&chunk[copied..line]);
                out.push(b'.');
                copied = line;
            }
        }
        out.extend_from_slice(&chunk[copied..]);
        self.so_far = self.so_far.and(&chunk[line..]);
    }

    /// Ends the message: supplies the last line's end if it has none, and the line `.`. To be called only
    /// when the message is known to be whole.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.so_far != SoFar::Start {
            out.extend_from_slice(b"\r\n");
            self.mended = true;
        }
        out.extend_from_slice(END);
    }
}

impl SoFar {
    /// The line after these further octets, none of which is LF.
    fn and(self, more: &[u8]) -> Self {
        match (self, more) {
            (_, []) => self,
            (Self::Start, [b'\r']) => Self::Cr,
            (_, [.., b'\r']) => Self::TextCr,
            (_, _) => Self::Text,
        }
    }

    const fn ends_in_cr(self) -> bool {
        matches!(self, Self::Cr | Self::TextCr)
    }
}

impl Cut {
    const fn after_line(self, blank: bool) -> Self {
        match self {
            Self::Header(0) if blank => Self::Reached,
            Self::Header(lines) if blank => Self::Body(lines),
            Self::Body(0 | 1) => Self::Reached,
            Self::Body(lines) => Self::Body(lines - 1),
            Self::Never | Self::Header(_) | Self::Reached => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(mut writer: DotWriter, chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in chunks {
            writer.push(chunk, &mut out);
        }
        writer.finish(&mut out);
        out
    }

    fn whole(message: &[u8]) -> Vec<u8> {
        write(DotWriter::whole(), &[message])
    }

    #[test]
    fn messages() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"..\r\n.", b"...\r\n..\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"\n.\n", b"\r\n..\r\n.\r\n"),
            (b"\r.\r", b"\r.\r\r\n.\r\n"),
            (b"a\r\r\n.b", b"a\r\r\n..b\r\n.\r\n"),
            (b"a\r\n.\r\nRETR 1\r\n", b"a\r\n..\r\nRETR 1\r\n.\r\n"),
        ];
        for (message, expected) in table {
            assert_eq!(whole(message), *expected, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn top_counts_lines_of_the_body() {
        let message = b"A: b\r\nC: d\r\n\r\n1\r\n.2\r\n\r\n4";
        let table: &[(u64, &[u8])] = &[
            (0, b"A: b\r\nC: d\r\n\r\n.\r\n"),
            (1, b"A: b\r\nC: d\r\n\r\n1\r\n.\r\n"),
            (3, b"A: b\r\nC: d\r\n\r\n1\r\n..2\r\n\r\n.\r\n"),
            (4, b"A: b\r\nC: d\r\n\r\n1\r\n..2\r\n\r\n4\r\n.\r\n"),
            (u64::MAX, b"A: b\r\nC: d\r\n\r\n1\r\n..2\r\n\r\n4\r\n.\r\n"),
        ];
        for (lines, expected) in table {
            assert_eq!(write(DotWriter::top(*lines), &[message]), *expected, "{lines} lines");
        }
        assert_eq!(write(DotWriter::top(1), &[b"no header's end"]), b"no header's end\r\n.\r\n");
        assert_eq!(write(DotWriter::top(0), &[b"A: b\n\nbody\n"]), b"A: b\r\n\r\n.\r\n");
    }

    #[test]
    fn mended_is_told_only_when_octets_were_added() {
        let mended = |message: &[u8]| {
            let mut writer = DotWriter::whole();
            writer.push(message, &mut Vec::new());
            writer.finish(&mut Vec::new());
            writer.mended()
        };
        assert!(!mended(b"a\r\n.\r\n"));
        assert!(mended(b"a\nb\r\n"));
        assert!(mended(b"a"));
    }

    /// Reads a body back as a client does: up to the line `.`, dots taken off. With `lf`, any LF ends a
    /// line, as lenient clients have it.
    fn read(body: &[u8], lf: bool) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        let mut rest = body;
        loop {
            let end = memchr::memmem::find(rest, if lf { b"\n" } else { b"\r\n" })? + if lf { 1 } else { 2 };
            let (line, tail) = rest.split_at(end);
            if line == END {
                return tail.is_empty().then_some(message);
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            rest = tail;
        }
    }

    /// What a message is once its line ends are mended.
    fn canonical(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, octet) in message.iter().enumerate() {
            if *octet == b'\n' && (at == 0 || message[at - 1] != b'\r') {
                out.push(b'\r');
            }
            out.push(*octet);
        }
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\r\n.\r\n.ab\0\xff".to_vec()), 0..60)
    }

    proptest! {
        #[test]
        fn a_client_reads_back_what_was_written(message in message(), lf: bool) {
            prop_assert_eq!(read(&whole(&message), lf), Some(canonical(&message)));
        }

        #[test]
        fn the_cut_into_chunks_does_not_matter(
            message in message(), cuts in prop::collection::vec(0_usize..60, 0..6), lines in prop::option::of(0_u64..5)
        ) {
            let writer = || lines.map_or_else(DotWriter::whole, DotWriter::top);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &message[pair[0]..pair[1]]).collect();
            prop_assert_eq!(write(writer(), &chunks), write(writer(), &[&message]));
            let bytes: Vec<&[u8]> = message.chunks(1).collect();
            prop_assert_eq!(write(writer(), &bytes), write(writer(), &[&message]));
        }
    }
}
