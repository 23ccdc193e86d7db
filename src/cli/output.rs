//! What commands print: tables for people, tab-separated values and JSON for programs.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;

pub(super) use super::table::{Column, key, main, minor, more};
use super::table::{plain, table, width};
use super::text;
use crate::api::Setting;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A table for people, with the most important columns, as far as the terminal has room for them.
    Table,
    /// Tab-separated values with a header line, all columns.
    Tsv,
    /// JSON, as the API has it.
    Json,
}

impl Format {
    /// A table on a terminal, TSV elsewhere.
    pub(super) fn usual() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Tsv }
    }
}

/// The longest part of a word that a reason keeps in one piece, in columns of the terminal: longer ones are hardly
/// words, and would take the room of all other columns.
const WORD: usize = 16;

/// A value in a column: printed for people in tables, exactly elsewhere.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    /// Nothing is known, or there is none.
    None,
    /// A word or a name.
    Text(&'a str),
    /// A word or a name that was put together.
    Made(String),
    /// Sentences, which may be broken into lines.
    Prose(&'a str),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A number of octets.
    Octets(u64),
    /// A moment.
    Time(Timestamp),
    /// A setting.
    Setting(Cow<'a, Setting>),
}

impl<'a> Cell<'a> {
    /// A cell for what may be absent.
    pub(super) fn of<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell<'a>) -> Self {
        value.map_or(Self::None, cell)
    }

    /// A cell for a setting that the row has.
    pub(super) fn setting(setting: &'a Setting) -> Self {
        Self::Setting(Cow::Borrowed(setting))
    }

    /// As a table shows it.
    pub(super) fn for_people(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) | Self::Prose(text) => text::visible(text).into_owned(),
            Self::Made(text) => text::visible(text).into_owned(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Number(number) => text::grouped(*number),
            Self::Octets(number) => text::octets(*number),
            Self::Time(at) => text::minute(*at),
            Self::Setting(setting) => text::setting(setting),
        }
    }

    fn for_programs(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) | Self::Octets(number) => number.to_string(),
            Self::Time(at) => at.to_string(),
            Self::Setting(setting) => text::setting_exact(setting),
            _ => self.for_people(),
        }
    }

    /// What has to stay in one piece, a line for each: names, times and numbers are not broken.
    pub(super) fn pieces(&self) -> String {
        let shown = self.for_people();
        match self {
            Self::Setting(_) => shown.replace(' ', "\n"),
            Self::Prose(_) => {
                let words = shown.split(' ').map(|word| word.chars().take(WORD).collect::<String>());
                words.collect::<Vec<_>>().join("\n")
            }
            _ => shown,
        }
    }

    /// Do columns of it stand on the right?
    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Octets(_))
    }
}

/// What can be a row.
pub(super) trait Row: Serialize {
    /// The columns, in their order.
    const COLUMNS: &'static [Column];

    /// One value for each column.
    fn cells(&self) -> Vec<Cell<'_>>;
}

/// Prints rows, as many as come: in tables page by page, in JSON as one array.
pub(super) struct Rows<'a> {
    format: Format,
    out: &'a mut dyn Write,
    begun: bool,
    printed: u64,
}

impl<'a> Rows<'a> {
    /// Nothing is printed yet.
    pub(super) fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self { format, out, begun: false, printed: 0 }
    }

    /// Some rows.
    pub(super) fn page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Table => self.table(rows),
            Format::Tsv => self.tsv(rows),
            Format::Json => self.json(rows),
        }?;
        self.begun = true;
        self.printed += rows.len() as u64;
        Ok(())
    }

    /// There are no more.
    pub(super) fn end<R: Row>(mut self) -> io::Result<()> {
        if !self.begun {
            // A header line alone is an answer too.
            self.page::<R>(&[])?;
        }
        match self.format {
            Format::Json if self.printed == 0 => self.out.write_all(b"[]\n"),
            Format::Json => self.out.write_all(b"\n]\n"),
            Format::Table if self.printed == 0 => self.out.write_all(b"(none)\n"),
            _ => Ok(()),
        }?;
        self.out.flush()
    }

    fn table<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "{}", table(rows, width()).trim_fmt())
    }

    fn tsv<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        if !self.begun {
            let names: Vec<_> = R::COLUMNS.iter().map(|column| column.name()).collect();
            writeln!(self.out, "{}", names.join("\t"))?;
        }
        for row in rows {
            let cells: Vec<_> = row.cells().iter().map(Cell::for_programs).collect();
            writeln!(self.out, "{}", cells.join("\t"))?;
        }
        Ok(())
    }

    fn json<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        for (at, row) in rows.iter().enumerate() {
            let before = if self.printed == 0 && at == 0 { "[\n" } else { ",\n" };
            write!(self.out, "{before}{}", safe(serde_json::to_string(row)?))?;
        }
        Ok(())
    }
}

/// Prints rows of which all are here.
pub(super) fn all<R: Row>(format: Format, rows: &[R], out: &mut dyn Write) -> io::Result<()> {
    let mut printed = Rows::new(format, out);
    printed.page(rows)?;
    printed.end::<R>()
}

/// Prints one thing: in a table with a line for each column, none left out.
pub(super) fn one<R: Row>(format: Format, row: &R, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => {
            let mut table = plain();
            for (column, cell) in R::COLUMNS.iter().zip(row.cells()) {
                table.add_row([column.heading(), cell.for_people()]);
            }
            writeln!(out, "{}", table.trim_fmt())
        }
        Format::Tsv => {
            let mut rows = Rows::new(format, out);
            rows.page(std::slice::from_ref(row))
        }
        Format::Json => json(row, out),
    }?;
    out.flush()
}

/// Prints one JSON document.
pub(super) fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", safe(serde_json::to_string_pretty(value)?))?;
    out.flush()
}

/// JSON says the same when characters that a terminal would obey are escaped (RFC 8259 §7).
fn safe(json: String) -> String {
    let obeyed = |c: char| c != '\n' && text::is_unseen(c);
    if !json.chars().any(obeyed) {
        return json;
    }
    // All of these are in the first plane, so one escape is enough.
    json.chars().map(|c| if obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Says something to whoever is at the terminal, beside the output.
pub(super) fn note(what: &str) {
    // If nobody can read it, nobody can be told.
    let _ = writeln!(io::stderr(), "lastpop: {}", text::visible(what));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        user: &'static str,
        octets: u64,
    }

    impl Row for Sample {
        const COLUMNS: &'static [Column] = &[main("user"), main("last_seen"), more("octets")];

        fn cells(&self) -> Vec<Cell<'_>> {
            vec![Cell::Text(self.user), Cell::Time(Timestamp::UNIX_EPOCH), Cell::Octets(self.octets)]
        }
    }

    const ROWS: [Sample; 2] = [Sample { user: "a\tb\u{9b}", octets: 2048 }, Sample { user: "ķ", octets: 7 }];

    fn printed(format: Format, pages: &[&[Sample]]) -> String {
        let mut out = Vec::new();
        let mut rows = Rows::new(format, &mut out);
        for page in pages {
            rows.page(page).expect("a buffer");
        }
        rows.end::<Sample>().expect("a buffer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tab_separated_values() {
        let header = "user\tlast_seen\toctets\n";
        assert_eq!(printed(Format::Tsv, &[]), header);
        assert_eq!(printed(Format::Tsv, &[&[]]), header);
        let all = "a\\tb\\u{9b}\t1970-01-01T00:00:00Z\t2048\nķ\t1970-01-01T00:00:00Z\t7\n";
        assert_eq!(printed(Format::Tsv, &[&ROWS]), format!("{header}{all}"));
        assert_eq!(printed(Format::Tsv, &[&ROWS[..1], &ROWS[1..]]), format!("{header}{all}"));
    }

    #[test]
    fn json_is_one_document() {
        for pages in [&[][..], &[&ROWS[..]], &[&ROWS[..1], &ROWS[1..]], &[&[], &ROWS[..1]]] {
            let text = printed(Format::Json, pages);
            let all: Vec<serde_json::Value> = serde_json::from_str(&text).expect(&text);
            assert_eq!(all.len(), pages.iter().map(|page| page.len()).sum::<usize>());
            assert!(!text.contains('\u{9b}'), "{text}");
            if let Some(first) = all.first() {
                assert_eq!(first["user"], "a\tb\u{9b}");
            }
        }
    }

    #[test]
    fn tables() {
        let text = printed(Format::Table, &[&ROWS]);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        let expected: [&[&str]; 3] = [
            &["user", "last", "seen"],
            &["a\\tb\\u{9b}", "1970-01-01", "00:00Z"],
            &["ķ", "1970-01-01", "00:00Z"],
        ];
        assert_eq!(lines, expected);
        assert_eq!(printed(Format::Table, &[]), "(none)\n");
        assert_eq!(printed(Format::Table, &[&[]]), "(none)\n");
        let mut out = Vec::new();
        one(Format::Table, &ROWS[0], &mut out).expect("a buffer");
        assert!(String::from_utf8(out).expect("text").contains("2.0 KiB"), "no column is left out");
    }
}
