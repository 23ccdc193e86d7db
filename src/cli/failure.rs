//! Why a command did not do what it was asked, in a sentence that says what to do, and the exit code for it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use hyper::StatusCode;

use super::bearer::Origin;
use super::text::{lines, visible};
use super::token_edit::EditError;
use crate::api::Problem;
use crate::config::ConfigError;
use crate::store::StoreError;

/// Exit codes: 0 fine, 2 usage (as clap's), 78 bad configuration, 69 cannot be reached, so that nothing was changed,
/// 1 anything else.
pub(super) mod exit {
    pub(in crate::cli) const FAILURE: u8 = 1;
    pub(in crate::cli) const USAGE: u8 = 2;
    pub(in crate::cli) const UNAVAILABLE: u8 = 69;
    pub(in crate::cli) const CONFIG: u8 = 78;
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments make no sense together.
    #[error("{0}; see --help")]
    Usage(String),
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The configuration cannot be used, of which nothing is wanted but where lastpop is.
    #[error("{0}; or say where lastpop is with --url")]
    Place(ConfigError),
    /// The token file cannot be used, or holds no such token.
    #[error("{0}")]
    TokenFile(#[from] EditError),
    /// The state cannot be used.
    #[error("{0}")]
    State(#[from] StoreError),
    /// Nobody answers there, so nothing was changed.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was lost, or nothing more came, after a change was asked for.
    #[error("{0}")]
    Unsure(String),
    /// There is no token, or none that can be used or was seen.
    #[error("{0}")]
    Token(String),
    /// lastpop said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What lastpop answered cannot be understood.
    #[error("{0}")]
    Misunderstood(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}; what was asked for may be done all the same")]
    Output(#[from] io::Error),
    /// Several were asked for, and some failed; each was named.
    #[error("{failed} of {all} could not be changed; the reasons are above")]
    Some {
        /// How many failed.
        failed: usize,
        /// How many were asked for.
        all: usize,
    },
    /// Lines of a file could not be used; they were named.
    #[error("{} cannot be used; {}. Mend {} and send {} again", lines(*.bad), .others, them(*.bad), them(*.bad))]
    BadLines {
        /// How many.
        bad: u64,
        /// What became of the others.
        others: Others,
    },
}

/// What became of the lines of a file that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// There are none.
    None,
    /// They were taken.
    Taken,
    /// They would be, but it was only asked.
    WouldBeTaken,
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "there are no others, so nothing was changed",
            Self::Taken => "all others were taken",
            Self::WouldBeTaken => "all others would be taken",
        })
    }
}

const fn them(bad: u64) -> &'static str {
    if bad == 1 { "it" } else { "them" }
}

impl Failure {
    /// The exit code.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Config(_) | Self::Place(_) | Self::TokenFile(EditError::Config(_)) => exit::CONFIG,
            Self::Unreachable(_) => exit::UNAVAILABLE,
            _ => exit::FAILURE,
        }
    }

    /// Whoever read the output has seen enough (`lastpop user list | head`): nothing is wrong.
    pub(super) fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// It concerns what was asked for, and not the way to lastpop: the next one may succeed.
    pub(super) fn is_about_the_subject(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        matches!(
            refusal.status,
            StatusCode::NOT_FOUND
                | StatusCode::CONFLICT
                | StatusCode::BAD_REQUEST
                | StatusCode::UNPROCESSABLE_ENTITY
        )
    }
}

/// What lastpop said when it said no.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The answer's problem details, if it had any.
    pub(super) problem: Option<Problem>,
    /// Where lastpop was asked.
    pub(super) place: String,
    /// Where the token came from.
    pub(super) token: Origin,
    /// The role that the request needs.
    pub(super) role: &'static str,
}

/// One sentence from lastpop, and one about what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, problem, place, token, role } = self;
        let said = problem.as_ref().and_then(|problem| problem.detail.as_deref().or(Some(&problem.title)));
        let said = visible(said.unwrap_or_default().trim().trim_end_matches('.')).into_owned();
        match *status {
            StatusCode::UNAUTHORIZED => write!(
                f,
                "lastpop at {place} does not take the token from {token}{}. `lastpop token create --name NAME \
                 --role {role}` makes one on its machine; keep it in ~/.config/lastpop/token or in a file that \
                 --token-file names",
                behind(&said)
            ),
            StatusCode::FORBIDDEN => write!(
                f,
                "the token from {token} may not do this{}. Use another token, or make one with `lastpop token \
                 create --name NAME --role {role}` on lastpop's machine",
                behind(&said)
            ),
            _ if problem.is_none() => write!(
                f,
                "{place} answered {status}, but not as lastpop does. Is that address right, and is it \
                 served by a lastpop of this version?"
            ),
            status if said.is_empty() => write!(f, "lastpop answered {status}{}", self.request()),
            status if status.is_server_error() => write!(f, "{said}{}", self.request()),
            _ => f.write_str(&said),
        }
    }
}

impl Refusal {
    /// Where to look for more: the server's log has the id.
    fn request(&self) -> String {
        let id = self.problem.as_ref().and_then(|problem| problem.instance.as_deref());
        id.map(|id| format!(" (its log knows this request as {})", visible(id))).unwrap_or_default()
    }
}

fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, detail: Option<&str>) -> String {
        let problem = detail.map(|detail| Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status,
            detail: Some(detail.to_owned()),
            instance: Some("req-1".to_owned()),
        });
        let refusal = Refusal {
            status: StatusCode::from_u16(status).expect("a status"),
            problem,
            place: "http://127.0.0.1:9110".to_owned(),
            token: Origin::Environment,
            role: "operator",
        };
        Failure::Refused(Box::new(refusal)).to_string()
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let said = refusal(401, Some("This token has expired."));
        assert!(said.contains("LASTPOP_TOKEN (This token has expired). `lastpop token create"), "{said}");
        assert!(said.contains("lastpop token create --name NAME --role operator` makes one"), "{said}");
        let said = refusal(403, Some("Your role is viewer."));
        assert!(said.contains("may not do this (Your role is viewer). Use another"), "{said}");
        assert!(said.contains("--role operator` on lastpop's machine"), "{said}");
        assert_eq!(refusal(404, Some("There is no user x.")), "There is no user x");
        let said = refusal(500, Some("Something failed."));
        assert_eq!(said, "Something failed (its log knows this request as req-1)");
        assert_eq!(
            refusal(503, Some("")),
            "lastpop answered 503 Service Unavailable (its log knows this request as req-1)"
        );
    }

    #[test]
    fn lines_that_cannot_be_used_are_a_failure_that_says_what_became_of_the_others() {
        let said = |bad, others| Failure::BadLines { bad, others }.to_string();
        assert_eq!(
            said(1, Others::Taken),
            "1 line cannot be used; all others were taken. Mend it and send it again"
        );
        assert_eq!(
            said(1200, Others::WouldBeTaken),
            "1,200 lines cannot be used; all others would be taken. Mend them and send them again"
        );
        assert!(said(2, Others::None).contains("there are no others, so nothing was changed."));
    }

    #[test]
    fn what_is_not_lastpop_is_named() {
        let said = refusal(404, None);
        assert!(
            said.starts_with("http://127.0.0.1:9110 answered 404 Not Found, but not as lastpop does"),
            "{said}"
        );
    }

    #[test]
    fn a_terminal_is_not_written_to_by_others() {
        assert_eq!(refusal(404, Some("no \u{1b}[31mred\u{7}")), "no \\u{1b}[31mred\\u{7}");
    }
}
