//! Tables for people: which columns a terminal has room for, and what in them may be broken into lines.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::output::{Cell, Row};

/// Columns of a terminal that a table keeps free beside what is in one of its columns.
const PADDING: u16 = 2;

/// A column, by its name in TSV.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    tables: Tables,
}

/// Which tables have a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// All: without it the others say nothing. On a terminal without room for these the lines are too long.
    All,
    /// Those of many rows.
    Most,
    /// Those of many rows where there is room for all.
    Wide,
    /// Those of one thing.
    OfOne,
}

/// A column without which a table says nothing, such as the name of what it is about.
pub(super) const fn key(name: &'static str) -> Column {
    Column { name, tables: Tables::All }
}

/// A column that tables have as well. Where there is no room for all of these, the last one is left out first.
pub(super) const fn main(name: &'static str) -> Column {
    Column { name, tables: Tables::Most }
}

/// The same, but left out before all of those, wherever it stands.
pub(super) const fn minor(name: &'static str) -> Column {
    Column { name, tables: Tables::Wide }
}

/// A column that tables of many rows leave out.
pub(super) const fn more(name: &'static str) -> Column {
    Column { name, tables: Tables::OfOne }
}

impl Column {
    /// Its name in TSV.
    pub(super) const fn name(self) -> &'static str {
        self.name
    }

    /// Its name in tables.
    pub(super) fn heading(self) -> String {
        self.name.replace('_', " ")
    }
}

/// How wide the terminal is. What is no terminal has room for all, and so has one that does not know it (as of
/// containers and of expect).
pub(super) fn width() -> Option<u16> {
    Table::new().width().filter(|width| *width > 0)
}

/// A table of rows with the columns for which there is room. Only settings and sentences are broken into lines.
pub(super) fn table<R: Row>(rows: &[R], width: Option<u16>) -> Table {
    let rows: Vec<Vec<Cell<'_>>> = rows.iter().map(Row::cells).collect();
    let mut pieces = plain();
    pieces.set_header(R::COLUMNS.iter().map(|column| column.heading()));
    for cells in &rows {
        pieces.add_row(cells.iter().map(Cell::pieces));
    }
    let narrowest = pieces.column_max_content_widths();
    let shown = fitting(R::COLUMNS, &narrowest, width);
    let mut table = plain();
    table.set_header(shown.iter().map(|at| R::COLUMNS[*at].heading()));
    for cells in &rows {
        table.add_row(shown.iter().map(|at| aligned(&cells[*at])));
    }
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        let least = |at: &usize| {
            ColumnConstraint::LowerBoundary(Width::Fixed(narrowest[*at].saturating_add(PADDING)))
        };
        table.set_constraints(shown.iter().map(least));
    }
    table
}

/// The columns that a table has, when each is at least so wide.
fn fitting(columns: &[Column], narrowest: &[u16], width: Option<u16>) -> Vec<usize> {
    let mut shown: Vec<usize> =
        (0..columns.len()).filter(|at| columns[*at].tables != Tables::OfOne).collect();
    let Some(width) = width else { return shown };
    let taken = |shown: &[usize]| {
        shown.iter().map(|at| usize::from(narrowest[*at].saturating_add(PADDING))).sum::<usize>()
    };
    let last = |shown: &[usize], of: Tables| shown.iter().rposition(|at| columns[*at].tables == of);
    while taken(&shown) > usize::from(width) {
        let Some(out) = last(&shown, Tables::Wide).or_else(|| last(&shown, Tables::Most)) else { break };
        shown.remove(out);
    }
    shown
}

/// A table that is as wide as what is in it.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn aligned(cell: &Cell<'_>) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(cell.for_people());
    if cell.is_number() { shown.set_alignment(CellAlignment::Right) } else { shown }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Entry(&'static str);

    impl Row for Entry {
        const COLUMNS: &'static [Column] =
            &[key("user"), minor("actor"), main("at"), main("reason"), more("id")];

        fn cells(&self) -> Vec<Cell<'_>> {
            let (at, reason) = (Cell::Time(Timestamp::UNIX_EPOCH), Cell::Prose("as it was agreed with them"));
            vec![Cell::Text(self.0), Cell::Text("an operator"), at, reason, Cell::Number(1)]
        }
    }

    /// Programs that read a screen, and people who copy from it, find names in one piece.
    #[test]
    fn narrow_tables_leave_columns_out_and_break_no_name() {
        let name = "a user with.a.long.name@customers.example.net";
        for (width, columns, broken) in [
            (None, 4, false),
            (Some(200), 4, false),
            // 47 and 13 and 19 and 8 are needed.
            (Some(87), 4, true),
            (Some(86), 3, true),
            (Some(74), 3, true),
            (Some(73), 2, false),
            (Some(66), 2, false),
            (Some(65), 1, false),
            (Some(20), 1, false),
        ] {
            let text = table(&[Entry(name)], width).trim_fmt();
            let mut lines = text.lines();
            let header: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
            let all: &[&str] =
                if columns == 4 { &["user", "actor", "at", "reason"] } else { &["user", "at", "reason"] };
            assert_eq!(header, &all[..columns], "{width:?}: {text}");
            assert!(lines.next().is_some_and(|line| line.contains(name)), "{width:?}: {text}");
            assert_eq!(lines.next().is_some(), broken, "{width:?}: {text}");
            assert_eq!(text.contains("1970-01-01 00:00Z"), columns > 1, "{width:?}: {text}");
            let room = width.map_or(usize::MAX, usize::from);
            assert!(columns == 1 || text.lines().all(|line| line.len() <= room), "{width:?}: {text}");
        }
    }
}
