//! Many users at once: import and export, as CSV or as NDJSON (one JSON object a line).

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Reason, Setting, User, UserFilter};
use crate::policy::Mode;

/// The form of a stream of users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkFormat {
    /// Comma-separated values with a header line (RFC 4180).
    #[default]
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl BulkFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Ndjson];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// What the columns of an import mean. Columns may come in any order; `user` and `mode` are required.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImportRow {
    /// The name of the user, in any spelling.
    pub user: String,
    /// A mode, or `inherit` for none of its own (in NDJSON also `null`).
    #[serde(deserialize_with = "to_mode_or_inherit")]
    pub mode: Option<Mode>,
    /// From when on; empty: at once.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// The language of notices and refusals; empty: as it was.
    #[serde(default)]
    pub language: Option<String>,
}

/// A line of an export in NDJSON: what an import of it says, and all that is known of the user besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportRow {
    /// The mode that is set, or that is planned.
    #[serde(serialize_with = "mode_or_inherit")]
    pub mode: Option<Mode>,
    /// From when on, where it is planned.
    pub from: Option<Timestamp>,
    /// The user.
    #[serde(flatten)]
    pub user: User,
}

impl From<User> for ExportRow {
    fn from(user: User) -> Self {
        let (mode, from) = match &user.setting {
            Setting { planned: Some(planned), .. } => (planned.mode, Some(planned.from)),
            Setting { mode, .. } => (*mode, None),
        };
        Self { mode, from, user }
    }
}

/// The word for no mode of one's own.
pub const INHERIT: &str = "inherit";

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signature is serde's")]
fn mode_or_inherit<S: Serializer>(mode: &Option<Mode>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(mode.map_or(INHERIT, Mode::as_str))
}

fn to_mode_or_inherit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mode>, D::Error> {
    struct Words;
    impl Visitor<'_> for Words {
        type Value = Option<Mode>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mode (pop3, notice, brownout, imap-only) or inherit")
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
            if word == INHERIT {
                return Ok(None);
            }
            word.parse().map(Some).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(word), &self))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Words)
}

/// How to take an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// The form of the body.
    #[serde(default)]
    #[param(inline, required = false)]
    pub format: BulkFormat,
    /// Why.
    #[param(inline)]
    pub reason: Reason,
    /// Only say what would change.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
    /// Yes, customers may download their mail again (see `SetMode`).
    #[serde(default)]
    #[param(required = false)]
    pub confirm_redownload: bool,
}

/// How to take the members of a wave: lines with a `user`, and whatever else they say does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// The form of the body.
    #[serde(default)]
    #[param(inline, required = false)]
    pub format: BulkFormat,
    /// Why.
    #[param(inline)]
    pub reason: Reason,
    /// Only say what would change.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
}

/// Which users to export, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The form of the answer.
    #[serde(default)]
    #[param(inline, required = false)]
    pub format: BulkFormat,
    /// Only users whose name contains this.
    pub search: Option<String>,
    /// Only users of this domain; empty: only those without one.
    pub domain: Option<String>,
    /// Only users for whom this mode is in force.
    #[param(inline)]
    pub mode: Option<Mode>,
    /// Only users whose last login over POP3 was before this, or who never logged in.
    pub seen_before: Option<Timestamp>,
    /// Only users whose last login over POP3 was at this time or later.
    pub seen_after: Option<Timestamp>,
    /// Only users with this client family.
    pub family: Option<String>,
}

impl ExportQuery {
    /// Which users.
    pub fn filter(self) -> UserFilter {
        let Self { format: _, search, domain, mode, seen_before, seen_after, family } = self;
        UserFilter { search, domain, mode, seen_before, seen_after, family }
    }
}

/// What became of an import (or of the members of a wave), or what would have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportReport {
    /// True: nothing was changed, it was only asked.
    pub dry_run: bool,
    /// Lines with a user that were read, the bad ones included.
    pub rows: u64,
    /// Users whose setting changed (or who became members).
    pub changed: u64,
    /// Users for whom nothing changed, lines that repeat a user included.
    pub unchanged: u64,
    /// Users of the list who have never logged in through lastpop: where there are more than expected, names may be
    /// misspelt.
    pub never_seen: u64,
    /// Lines that could not be used.
    pub bad_lines: u64,
    /// The first hundred of these.
    #[schema(max_items = 100)]
    pub bad: Vec<BadLine>,
    /// What the audit trail has as `batch` for all that changed; `null`: nothing did.
    pub batch: Option<String>,
}

impl ImportReport {
    /// How many bad lines are told one by one.
    pub const BAD_MOST: usize = 100;

    /// So many users changed; all others that could be read did not.
    pub(crate) fn changed(&mut self, changed: u64) {
        self.changed = changed;
        self.unchanged = self.rows.saturating_sub(self.bad_lines).saturating_sub(changed);
    }
}

/// Which change of many users.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BatchPath {
    /// What the audit trail has as `batch`.
    #[param(pattern = r"^[0-9]{12}$", example = "000000000001")]
    pub batch: String,
}

/// What became of the undoing of a change of many users, or what would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BatchUndone {
    /// True: nothing was changed, it was only asked.
    pub dry_run: bool,
    /// Users who have again what they had before.
    pub restored: u64,
    /// Users who were changed in another way since, and stay as they are.
    pub left_alone: u64,
    /// What the audit trail has as `batch` for the undoing; `null`: nothing changed.
    pub batch: Option<String>,
}

/// A line of an import that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BadLine {
    /// Its number, from 1, the header line counted.
    pub line: u64,
    /// What is wrong with it, in a sentence.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::super::{Effective, Planned, Rule, Usage};
    use super::*;

    #[test]
    fn a_mode_of_an_import_is_a_word_and_never_left_out() {
        let mode = |text: &str| {
            let row: Result<ImportRow, _> = serde_json::from_str(text);
            row.map(|row| row.mode).map_err(|error| error.to_string())
        };
        assert_eq!(mode(r#"{"user":"a@x","mode":"imap-only"}"#), Ok(Some(Mode::ImapOnly)));
        for none in [r#""inherit""#, "null"] {
            assert_eq!(mode(&format!(r#"{{"user":"a@x","mode":{none}}}"#)), Ok(None));
        }
        assert!(mode(r#"{"user":"a@x"}"#).is_err(), "no mode");
        let error = mode(r#"{"user":"a@x","mode":"POP3"}"#).expect_err("no mode");
        assert!(error.contains("a mode (pop3, notice, brownout, imap-only) or inherit"), "{error}");
    }

    #[test]
    fn an_export_says_what_an_import_of_it_has_to() {
        let export = |setting| {
            let effective = Effective { mode: Mode::Pop3, rule: Rule::User };
            let user = User {
                user: "a@x".to_owned(),
                domain: "x".to_owned(),
                setting,
                effective,
                language: Some("lv".to_owned()),
                notice_dismissed: None,
                farewell_dismissed: None,
                unhide_since: None,
                usage: Usage::default(),
            };
            let line = serde_json::to_string(&ExportRow::from(user)).expect("JSON");
            let row: ImportRow = serde_json::from_str(&line).expect(&line);
            assert_eq!((row.user.as_str(), row.language.as_deref()), ("a@x", Some("lv")));
            (row.mode, row.from)
        };
        let from = "2026-12-01T00:00:00Z".parse().expect("a time");
        let planned = Some(Planned { mode: None, from });
        assert_eq!(export(Setting::default()), (None, None));
        let set = Setting { mode: Some(Mode::Notice), ..Setting::default() };
        assert_eq!(export(set.clone()), (Some(Mode::Notice), None));
        assert_eq!(export(Setting { planned, ..set }), (None, Some(from)));
    }
}
