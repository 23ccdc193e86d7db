//! The fields of one line of CSV (RFC 4180, but a field stays within its line: a quote that is never closed
//! spoils one line and not the rest of the file).

use csv_core::ReadRecordResult;

use super::Problem;
use super::lines::LINE_LONGEST;

/// Fields that are looked at; those of an export are fewer.
const FIELDS_MOST: usize = 64;

/// Reads lines one by one.
pub(super) struct Fields {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: [usize; FIELDS_MOST],
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fields").finish_non_exhaustive()
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self { reader: csv_core::Reader::new(), text: vec![0; LINE_LONGEST + 1], ends: [0; FIELDS_MOST] }
    }
}

impl Fields {
    /// The fields of a line, without the blanks around them.
    pub(super) fn of(&mut self, line: &str) -> Result<Vec<&str>, Problem> {
        // Where the line before was a bad one.
        self.reader.reset();
        let (result, _, length, fields) =
            self.reader.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        if result == ReadRecordResult::OutputEndsFull {
            return Err(Problem::ManyFields);
        }
        // The line's end is the record's, unless it is inside quotes.
        let (result, _, _, more) =
            self.reader.read_record(b"\n", &mut self.text[length..], &mut self.ends[fields..]);
        let fields = match result {
            ReadRecordResult::Record => fields + more,
            ReadRecordResult::OutputEndsFull => return Err(Problem::ManyFields),
            _ => return Err(Problem::Quote),
        };
        let mut begin = 0;
        let field = |end: &usize| {
            let field = std::str::from_utf8(&self.text[begin..*end]).map_err(|_| Problem::NotUtf8)?;
            begin = *end;
            Ok(field.trim())
        };
        self.ends[..fields].iter().map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_with_quotes() {
        let mut fields = Fields::default();
        for (line, expected) in [
            ("a@x,notice", Ok(vec!["a@x", "notice"])),
            (" a@x , notice ,", Ok(vec!["a@x", "notice", ""])),
            (r#""a,b@x","imap-only""#, Ok(vec!["a,b@x", "imap-only"])),
            (r#""a""b@x",pop3"#, Ok(vec!["a\"b@x", "pop3"])),
            (r#""a@x,pop3"#, Err(Problem::Quote)),
            ("b@x", Ok(vec!["b@x"])),
        ] {
            assert_eq!(fields.of(line), expected, "{line}");
        }
        assert!(fields.of(&",".repeat(FIELDS_MOST - 1)).is_ok());
        assert_eq!(fields.of(&",".repeat(FIELDS_MOST)), Err(Problem::ManyFields));
        assert_eq!(fields.of(&"x".repeat(LINE_LONGEST)).unwrap()[0].len(), LINE_LONGEST);
    }

    proptest! {
        #[test]
        fn what_csv_writes_is_read_again(row in proptest::collection::vec("[^\r\n\u{feff}]{0,20}", 1..10)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&row).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let mut fields = Fields::default();
            let read = fields.of(text.trim_end_matches('\n')).unwrap();
            let row: Vec<_> = row.iter().map(|field| field.trim()).collect();
            prop_assert_eq!(read, row);
        }
    }
}
