//! What does an import say? CSV or NDJSON, as it streams in: each line becomes a row, or a sentence about what is
//! wrong with it, and a bad line spoils no other. However long the stream is, one line of it is in memory.

mod fields;
mod lines;
mod problem;

use jiff::Timestamp;
use serde::Deserialize;

use crate::api::{BadLine, BulkFormat, INHERIT, ImportRow};
use crate::policy::Mode;
use crate::users::{Names, UserName};
use crate::words::Language;
use fields::Fields;
pub use lines::LINE_LONGEST;
use lines::Lines;
use problem::Problem;

/// What the lines are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Users and their modes: columns `user`, `mode`, `from`, `language`, of which the last two may be missing.
    Settings,
    /// Users: a column `user`, which has to be named, because any word may be somebody's name.
    Members,
}

/// What is to be set for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub user: UserName,
    /// `None`: the next rule decides. Members of a wave have none.
    pub mode: Option<Mode>,
    /// From when on, in Unix seconds; `None`: at once.
    pub from: Option<i64>,
    /// The language that they are written to in; `None`: as it was.
    pub language: Option<Language>,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// One that can be used.
    Row(Row),
    /// One that cannot.
    Bad(BadLine),
}

/// Reads an import, chunk by chunk.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    rows: Rows,
}

/// Reads single lines.
#[derive(Debug)]
struct Rows {
    format: BulkFormat,
    content: Content,
    names: Names,
    fields: Fields,
    columns: Option<Columns>,
    /// The header cannot be used, and so nothing can.
    given_up: bool,
}

/// Where the fields stand in a line.
#[derive(Debug, Clone, Copy)]
struct Columns {
    user: usize,
    mode: usize,
    from: usize,
    language: usize,
}

/// The order where no header says another.
const WITHOUT_HEADER: Columns = Columns { user: 0, mode: 1, from: 2, language: 3 };

/// Where a field stands that a file does not have.
const NOWHERE: usize = usize::MAX;

impl Reader {
    /// A reader at the beginning of a file. `names` make every spelling of a user one name.
    pub fn new(format: BulkFormat, content: Content, names: Names) -> Self {
        let rows = Rows { format, content, names, fields: Fields::default(), columns: None, given_up: false };
        Self { lines: Lines::default(), rows }
    }

    /// Reads on; gives each line that ends in this chunk to `take`. Blank lines and the header are none.
    pub fn push(&mut self, chunk: &[u8], mut take: impl FnMut(Line)) {
        let rows = &mut self.rows;
        self.lines.push(chunk, |number, line| rows.line(number, line).into_iter().for_each(&mut take));
    }

    /// The file has ended; its last line may have no end.
    pub fn finish(self, mut take: impl FnMut(Line)) {
        let Self { lines, mut rows } = self;
        lines.finish(|number, line| rows.line(number, line).into_iter().for_each(&mut take));
    }
}

impl Rows {
    fn line(&mut self, number: u64, line: Option<&[u8]>) -> Option<Line> {
        if self.given_up {
            return None;
        }
        let read = line.ok_or(Problem::TooLong).and_then(|line| {
            let line = std::str::from_utf8(line).map_err(|_| Problem::NotUtf8)?;
            // At the beginning of a file, and where files were joined.
            let line = line.trim_start_matches('\u{feff}');
            match self.format {
                _ if line.trim().is_empty() => Ok(None),
                BulkFormat::Csv => self.csv(line),
                BulkFormat::Ndjson => self.json(line).map(Some),
            }
        });
        match read {
            Ok(row) => row.map(Line::Row),
            Err(problem) => {
                self.given_up = matches!(problem, Problem::NoModeColumn | Problem::NoUserColumn);
                Some(Line::Bad(BadLine { line: number, problem: problem.to_string() }))
            }
        }
    }

    fn csv(&mut self, line: &str) -> Result<Option<Row>, Problem> {
        let fields = self.fields.of(line)?;
        // As spreadsheets write the rows below the last one.
        if fields.iter().all(|field| field.is_empty()) {
            return Ok(None);
        }
        let Some(columns) = self.columns else {
            let header = header(&fields, self.content)?;
            self.columns = Some(header.unwrap_or(WITHOUT_HEADER));
            return if header.is_some() { Ok(None) } else { self.csv(line) };
        };
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let user = user(&self.names, field(columns.user))?;
        if self.content == Content::Members {
            return Ok(Some(Row { user, mode: None, from: None, language: None }));
        }
        let mode = match field(columns.mode) {
            "" => return Err(Problem::NoMode),
            INHERIT => None,
            word => Some(word.parse::<Mode>().map_err(|_| Problem::mode(word))?),
        };
        let from = match field(columns.from) {
            "" => None,
            text => Some(text.parse::<Timestamp>().map_err(|_| Problem::time(text))?.as_second()),
        };
        let language = language(field(columns.language))?;
        Ok(Some(Row { user, mode, from, language }))
    }

    fn json(&self, line: &str) -> Result<Row, Problem> {
        #[derive(Deserialize)]
        struct Member {
            user: String,
        }
        if self.content == Content::Members {
            let member: Member = serde_json::from_str(line).map_err(|error| Problem::json(&error))?;
            return Ok(Row {
                user: user(&self.names, &member.user)?,
                mode: None,
                from: None,
                language: None,
            });
        }
        let row: ImportRow = serde_json::from_str(line).map_err(|error| Problem::json(&error))?;
        Ok(Row {
            user: user(&self.names, &row.user)?,
            mode: row.mode,
            from: row.from.map(Timestamp::as_second),
            language: language(row.language.as_deref().unwrap_or_default())?,
        })
    }
}

/// Where a header says that the fields stand; `None`: the line is no header.
fn header(fields: &[&str], content: Content) -> Result<Option<Columns>, Problem> {
    let at = |name: &str| fields.iter().position(|field| field.eq_ignore_ascii_case(name));
    let Some(user) = at("user") else {
        return if content == Content::Members { Err(Problem::NoUserColumn) } else { Ok(None) };
    };
    let mode = at("mode");
    if mode.is_none() && content == Content::Settings {
        return Err(Problem::NoModeColumn);
    }
    let [mode, from, language] = [mode, at("from"), at("language")].map(|at| at.unwrap_or(NOWHERE));
    Ok(Some(Columns { user, mode, from, language }))
}

fn user(names: &Names, written: &str) -> Result<UserName, Problem> {
    let written = written.trim();
    if written.is_empty() {
        return Err(Problem::NoUser);
    }
    let user = names.canonical(written.as_bytes());
    if user.can_be_said() { Ok(user) } else { Err(Problem::User) }
}

fn language(tag: &str) -> Result<Option<Language>, Problem> {
    let read = |tag| Language::parse(tag).ok_or_else(|| Problem::language(tag));
    (!tag.is_empty()).then_some(tag).map(read).transpose()
}

#[cfg(test)]
mod tests;
