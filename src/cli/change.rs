//! Changes of one or more settings: each is asked for, and what became of all is printed, before and after.

use hyper::Method;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::Call;
use super::failure::Failure;
use super::options::{Confirm, Options, Why, stdout};
use super::output::{self, Format, Row, note};
use super::when;
use crate::api::{Change, INHERIT, Order, SetMode, Unhidden};
use crate::policy::Mode;

/// From when on a mode is set, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Setting {
    /// From when on: RFC 3339, "2026-12-01 10:00 Europe/Riga", or "2026-12-01" for midnight in UTC. Without
    /// it at once; until then what is in force stays.
    #[arg(long, value_name = "DATE", value_parser = when::moment)]
    from: Option<Timestamp>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    confirm: Confirm,
}

/// An order with nothing but a reason.
#[derive(Debug, clap::Args)]
pub(super) struct Ordered {
    #[command(flatten)]
    pub(super) why: Why,
    #[command(flatten)]
    pub(super) confirm: Confirm,
}

impl Ordered {
    /// As the API takes it.
    pub(super) fn order(&self) -> Order {
        Order { confirm_redownload: self.confirm.confirm_redownload, ..self.why.order() }
    }
}

/// What becomes of one order.
pub(super) trait Outcome: Row + DeserializeOwned {
    /// Whom it is about.
    fn subject(&self) -> &str;

    /// What became of it, where the columns do not say all.
    fn outcome(&self) -> Option<&str> {
        None
    }

    /// What may surprise.
    fn warnings(&self) -> &[String];
}

impl Outcome for Change {
    fn subject(&self) -> &str {
        &self.subject
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Outcome for Unhidden {
    fn subject(&self) -> &str {
        &self.user
    }

    fn outcome(&self) -> Option<&str> {
        Some(&self.outcome)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Names, and behind them the mode that they get.
///
/// It is one list of words for clap as well: with two it takes a name for the mode when an option stands
/// between them.
fn names_and_mode(words: &[String]) -> Result<(&[String], Option<Mode>), Failure> {
    let Some((mode, names)) = words.split_last().filter(|(_, names)| !names.is_empty()) else {
        return Err(Failure::Usage("expected one name or more, and behind them the mode".to_owned()));
    };
    if mode == INHERIT {
        return Ok((names, None));
    }
    match mode.parse() {
        Ok(mode) => Ok((names, Some(mode))),
        Err(error) => Err(Failure::Usage(format!("{error}, or {INHERIT}; it stands behind the names"))),
    }
}

/// Sets the mode of each; the last word is the mode.
pub(super) async fn set(
    options: &Options,
    kind: &str,
    words: &[String],
    setting: &Setting,
) -> Result<(), Failure> {
    let (names, mode) = names_and_mode(words)?;
    let Setting { from, why, confirm } = setting;
    let body = SetMode {
        mode,
        from: *from,
        reason: why.reason.clone(),
        dry_run: why.dry_run,
        confirm_redownload: confirm.confirm_redownload,
    };
    let call = |name: &str| Call::new(Method::PUT, &[kind, name, "mode"]);
    each::<Change>(options, names, call, &body, why.dry_run).await
}

/// Undoes the newest change of each.
pub(super) async fn undo(
    options: &Options,
    kind: &str,
    names: &[String],
    ordered: &Ordered,
) -> Result<(), Failure> {
    let call = |name: &str| Call::new(Method::POST, &[kind, name, "undo"]);
    each::<Change>(options, names, call, &ordered.order(), ordered.why.dry_run).await
}

/// Gives the same order for each name. What lastpop refuses for one does not keep it from the others.
pub(super) async fn each<O: Outcome>(
    options: &Options,
    names: &[String],
    call: impl Fn(&str) -> Call,
    body: &impl Serialize,
    dry_run: bool,
) -> Result<(), Failure> {
    let client = options.client()?;
    let mut done: Vec<O> = Vec::with_capacity(names.len());
    let mut stopped = None;
    let mut failed = 0;
    for name in names {
        match client.tell::<O>(&call(name), body).await {
            Ok(outcome) => done.push(outcome),
            Err(error) if names.len() > 1 && error.is_about_the_subject() => {
                failed += 1;
                note(&format!("{name}: {error}"));
            }
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    // What was done is told, whatever came after it.
    if !done.is_empty() {
        print(options.format(), &done, dry_run)?;
    }
    match stopped {
        Some(error) if names.len() > 1 => {
            note(&format!("{} of {} were done; this stopped the others:", done.len(), names.len()));
            Err(error)
        }
        Some(error) => Err(error),
        None if failed > 0 => Err(Failure::Some { failed, all: names.len() }),
        None => Ok(()),
    }
}

fn print<O: Outcome>(format: Format, done: &[O], dry_run: bool) -> Result<(), Failure> {
    output::all(format, done, &mut stdout())?;
    for outcome in done {
        for sentence in outcome.outcome().into_iter().chain(outcome.warnings().iter().map(String::as_str)) {
            note(&format!("{}: {sentence}", outcome.subject()));
        }
    }
    if dry_run {
        unchanged();
    }
    Ok(())
}

/// What `--dry-run` says at the end.
pub(super) fn unchanged() {
    note("nothing was changed (--dry-run)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_mode() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (names, mode) = (words(&["a", "b", "imap-only"]), Some(Mode::ImapOnly));
        assert_eq!(names_and_mode(&names).expect("a mode"), (&names[..2], mode));
        assert_eq!(names_and_mode(&words(&["a", "inherit"])).expect("a mode").1, None);
        for wrong in [&["imap-only"][..], &["imap-only", "a"], &["a", "imap"]] {
            let error = names_and_mode(&words(wrong)).expect_err("no mode");
            assert!(error.code() == 2 && error.to_string().contains("behind"), "{error}");
        }
    }
}
