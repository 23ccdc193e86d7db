//! What can be wrong with a line of an import, in sentences for the person who wrote it.

use super::LINE_LONGEST;
use crate::users::NAME_LONGEST;

/// Characters of a word that are repeated to whoever wrote it.
const REPEATED: usize = 40;

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "The line is longer than {LINE_LONGEST} octets; are its columns separated by commas, its lines by LF?"
    )]
    TooLong,
    #[error("The line is not UTF-8; save the file in that encoding.")]
    NotUtf8,
    #[error("A quote is not closed in this line; a field cannot go over several lines.")]
    Quote,
    #[error("The line has too many fields; the columns are user, mode, from and language.")]
    ManyFields,
    #[error("The header has a column user and no column mode, so nothing was read; add that column.")]
    NoModeColumn,
    #[error(
        "The first line names no column user, so nothing was read; write user above the names, or if the file is \
        NDJSON, say so."
    )]
    NoUserColumn,
    #[error("The line names no user.")]
    NoUser,
    #[error(
        "Nobody can log in with such a name: it has more than {NAME_LONGEST} octets, or line ends or NUL in it."
    )]
    User,
    #[error(
        "The line has no mode; write pop3, notice, brownout or imap-only, or inherit for none of its own."
    )]
    NoMode,
    #[error("{0:?} is no mode; write pop3, notice, brownout or imap-only, or inherit for none of its own.")]
    Mode(String),
    #[error("{0:?} is no time; write it as 2026-12-01T00:00:00+02:00, or nothing for at once.")]
    Time(String),
    #[error("{0:?} is no language tag, such as en, lv or pt-br.")]
    Language(String),
    #[error("The line cannot be understood as a JSON object with user and mode: {0}.")]
    Json(String),
}

impl Problem {
    pub(super) fn mode(word: &str) -> Self {
        Self::Mode(cut(word))
    }

    pub(super) fn time(text: &str) -> Self {
        Self::Time(cut(text))
    }

    pub(super) fn language(tag: &str) -> Self {
        Self::Language(cut(tag))
    }

    pub(super) fn json(error: &serde_json::Error) -> Self {
        // Its own line number is always 1, and its text may repeat the line.
        let text = error.to_string();
        Self::Json(text.split(" at line ").next().unwrap_or_default().chars().take(4 * REPEATED).collect())
    }
}

fn cut(word: &str) -> String {
    word.chars().take(REPEATED).collect()
}
