//! Where does each line of a stream end? Chunks come as the network cuts them; lines come out one by one.

/// Octets that a line may have: the longest user name, a mode, a time and a language, many times over.
pub const LINE_LONGEST: usize = 4_096;

/// The lines of a stream, of which no more than one is in memory.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Too much of it came already; the rest of it is dropped.
    too_long: bool,
    /// Lines that ended.
    ended: u64,
}

impl Lines {
    /// Gives `take` the number and the text of each line that ends in this chunk; `None` is a line that is
    /// longer than [`LINE_LONGEST`].
    pub(super) fn push(&mut self, mut chunk: &[u8], mut take: impl FnMut(u64, Option<&[u8]>)) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            if self.begun.is_empty() && !self.too_long {
                self.end(&chunk[..end], &mut take);
            } else {
                self.begin(&chunk[..end]);
                let line = std::mem::take(&mut self.begun);
                self.end(&line, &mut take);
            }
            chunk = &chunk[end + 1..];
        }
        self.begin(chunk);
    }

    /// The last line, if it has no end.
    pub(super) fn finish(mut self, mut take: impl FnMut(u64, Option<&[u8]>)) {
        if !self.begun.is_empty() || self.too_long {
            let line = std::mem::take(&mut self.begun);
            self.end(&line, &mut take);
        }
    }

    fn begin(&mut self, part: &[u8]) {
        // One more for the CR.
        if self.too_long || self.begun.len() + part.len() > LINE_LONGEST + 1 {
            self.too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end(&mut self, line: &[u8], take: &mut impl FnMut(u64, Option<&[u8]>)) {
        self.ended += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let fits = !std::mem::take(&mut self.too_long) && line.len() <= LINE_LONGEST;
        take(self.ended, fits.then_some(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(u64, Option<String>)>;

    fn lines(chunks: &[&[u8]]) -> Found {
        let (mut all, mut lines) = (Vec::new(), Lines::default());
        let mut take = |number, line: Option<&[u8]>| {
            all.push((number, line.map(|line| String::from_utf8_lossy(line).into_owned())));
        };
        for chunk in chunks {
            lines.push(chunk, &mut take);
        }
        lines.finish(&mut take);
        all
    }

    fn numbered(texts: &[&str]) -> Found {
        (1..).zip(texts.iter().map(|text| Some((*text).to_owned()))).collect()
    }

    #[test]
    fn lines_however_they_are_cut() {
        assert_eq!(lines(&[b"a\r\nb\n\nc"]), numbered(&["a", "b", "", "c"]));
        assert_eq!(lines(&[b"a", b"", b"b\r", b"\nc\n"]), numbered(&["ab", "c"]));
        assert_eq!(lines(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_never_in_memory() {
        let (longest, longer) = (vec![b'x'; LINE_LONGEST], vec![b'x'; LINE_LONGEST + 1]);
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        for end in [b"\n".as_slice(), b"\r\n", b""] {
            assert_eq!(lines(&[&longest, end]), [(1, Some(text(&longest)))]);
            assert_eq!(lines(&[&longer, end]), [(1, None)]);
        }
        let mut all = Lines::default();
        for _ in 0..1_000 {
            all.push(&longer, |_, _| panic!("it has no end"));
            assert!(all.begun.capacity() <= 2 * LINE_LONGEST + 16);
        }
        let mut found = Vec::new();
        all.push(b"\nnext\n", |number, line| found.push((number, line.map(<[u8]>::to_vec))));
        assert_eq!(found, [(1, None), (2, Some(b"next".to_vec()))]);
    }
}
