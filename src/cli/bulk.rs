//! Many users at once: import and export, the members of a wave, and taking such a change back.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hyper::Method;

use super::change::{Ordered, unchanged};
use super::client::Call;
use super::failure::{Failure, Others};
use super::options::{Confirm, Options, Why, stdout};
use super::output::{self, Format, note};
use super::text::{grouped, lines, visible};
use super::user::Filter;
use super::{stream, url};
use crate::api::{BatchUndone, BulkFormat, ExportQuery, ImportQuery, ImportReport, MembersQuery, UserFilter};

/// What is imported, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file; - for standard input.
    file: PathBuf,
    /// The file is NDJSON, one JSON object a line. Without it that is so if the name ends in .ndjson or
    /// .jsonl.
    #[arg(long)]
    ndjson: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    confirm: Confirm,
}

impl Import {
    /// Sends the file, and prints what came of it.
    pub(super) async fn run(&self, options: &Options) -> Result<(), Failure> {
        let Self { file, ndjson, why, confirm } = self;
        let format = if *ndjson || is_ndjson(file) { BulkFormat::Ndjson } else { BulkFormat::Csv };
        let query = ImportQuery {
            format,
            reason: why.reason.clone(),
            dry_run: why.dry_run,
            confirm_redownload: confirm.confirm_redownload,
        };
        let mut call = Call::new(Method::POST, &["import"]).of_many();
        call.path += &url::query(&query);
        let report: ImportReport = stream::upload(&options.client()?, &call, format, file).await?;
        print(options.format(), &report)
    }
}

fn is_ndjson(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "ndjson" || ending == "jsonl")
}

/// Sends the members of a wave, and prints what came of it.
pub(super) async fn members(options: &Options, wave: &str, file: &Path, why: &Why) -> Result<(), Failure> {
    let mut call = Call::new(Method::PUT, &["waves", wave, "members"]).of_many();
    let format = if is_ndjson(file) { BulkFormat::Ndjson } else { BulkFormat::Csv };
    call.path += &url::query(&MembersQuery { format, reason: why.reason.clone(), dry_run: why.dry_run });
    let report: ImportReport = stream::upload(&options.client()?, &call, format, file).await?;
    print(options.format(), &report)
}

/// Lines that cannot be used are a failure, though the others were taken: nobody should overlook them.
fn print(format: Format, report: &ImportReport) -> Result<(), Failure> {
    let ImportReport { dry_run, rows, changed, unchanged: same, never_seen, bad_lines, bad, batch } = report;
    let mut out = stdout();
    match format {
        Format::Json => output::json(report, &mut out)?,
        Format::Tsv => {
            writeln!(out, "rows\tchanged\tunchanged\tbad_lines\tdry_run\tbatch")?;
            let batch = visible(batch.as_deref().unwrap_or_default());
            writeln!(out, "{rows}\t{changed}\t{same}\t{bad_lines}\t{dry_run}\t{batch}")?;
        }
        Format::Table => {
            let [changed, same, bad] = [*changed, *same, *bad_lines].map(grouped);
            writeln!(out, "{}: {changed} changed, {same} as they were, {bad} not usable", lines(*rows))?;
            if let Some(batch) = batch {
                let batch = visible(batch);
                writeln!(out, "audit trail: lastpop audit --batch {batch}")?;
                writeln!(out, "undo: lastpop user undo --batch {batch} --reason TEXT")?;
            }
        }
    }
    out.flush()?;
    if format != Format::Json {
        for line in bad {
            note(&format!("line {}: {}", line.line, line.problem));
        }
        let told = bad.len() as u64;
        if *bad_lines > told {
            note(&format!("beside these: {} that cannot be used", lines(bad_lines - told)));
        }
        if *never_seen > 0 {
            note(&format!(
                "users of the list who have never logged in: {}; are they spelled right?",
                grouped(*never_seen)
            ));
        }
    }
    if *dry_run {
        unchanged();
    }
    let others = match (rows.saturating_sub(*bad_lines), dry_run) {
        (0, _) => Others::None,
        (_, true) => Others::WouldBeTaken,
        (_, false) => Others::Taken,
    };
    match *bad_lines {
        0 => Ok(()),
        bad => Err(Failure::BadLines { bad, others }),
    }
}

/// Undoes a change of many users, and prints what came of it.
pub(super) async fn undo(options: &Options, batch: &str, ordered: &Ordered) -> Result<(), Failure> {
    let call = Call::new(Method::POST, &["batches", batch, "undo"]).of_many();
    let undone: BatchUndone = options.client()?.tell(&call, &ordered.order()).await?;
    let BatchUndone { dry_run, restored, left_alone, batch } = &undone;
    let batch = visible(batch.as_deref().unwrap_or_default());
    let mut out = stdout();
    match options.format() {
        Format::Json => output::json(&undone, &mut out)?,
        Format::Tsv => {
            writeln!(out, "restored\tleft_alone\tdry_run\tbatch")?;
            writeln!(out, "{restored}\t{left_alone}\t{dry_run}\t{batch}")?;
        }
        Format::Table => {
            let [restored, left_alone] = [*restored, *left_alone].map(grouped);
            let (have, stay) = if *dry_run { ("would have", "would stay") } else { ("have", "stay") };
            writeln!(
                out,
                "users who {have} again what they had: {restored}; who were changed since, and {stay}: {left_alone}"
            )?;
            if !batch.is_empty() {
                writeln!(out, "audit trail: lastpop audit --batch {batch}")?;
            }
        }
    }
    out.flush()?;
    if *dry_run {
        unchanged();
    }
    Ok(())
}

/// What is exported, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,
    /// Write to this file, which appears when it is whole. Without it, or with -, to standard output.
    #[arg(long, short, default_value = "-", hide_default_value = true, value_name = "FILE")]
    output: PathBuf,
    /// NDJSON, one JSON object a line, rather than CSV. --format json means the same.
    #[arg(long)]
    ndjson: bool,
}

impl Export {
    /// Saves the answer.
    pub(super) async fn run(&self, options: &Options) -> Result<(), Failure> {
        let format = match options.asked_format() {
            Some(Format::Table | Format::Tsv) => {
                return Err(Failure::Usage("an export is CSV, or NDJSON with --format json".to_owned()));
            }
            Some(Format::Json) => BulkFormat::Ndjson,
            None if self.ndjson => BulkFormat::Ndjson,
            None => BulkFormat::Csv,
        };
        let UserFilter { search, domain, mode, seen_before, seen_after, family } = self.filter.fields();
        let query = ExportQuery { format, search, domain, mode, seen_before, seen_after, family };
        stream::download(&options.client()?, &Call::get(&["export"], &query), &self.output).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_file() {
        for (name, ndjson) in
            [("a.csv", false), ("a.ndjson", true), ("a.jsonl", true), ("-", false), ("a", false)]
        {
            assert_eq!(is_ndjson(Path::new(name)), ndjson, "{name}");
        }
    }
}
