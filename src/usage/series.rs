//! `/metrics/users`: one user, some series. Written from memory.

use std::collections::HashSet;
use std::io::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::summary::{Snapshot, User};
use super::totals::OTHER;
use crate::config::UserSeries;
use crate::users::UserName;

/// Octets of a hash that are shown: enough that no two of a billion users share one.
const HASH: usize = 15;

/// A metric: its name, its type, what it says, and which of a user's numbers it is.
type Metric = (&'static str, &'static str, &'static str, fn(&User) -> i64);

/// The first has the domain and the mode as labels; others can be joined with it by user.
const METRICS: [Metric; 4] = [
    (
        "lastpop_user_last_pop3_session_timestamp_seconds",
        "gauge",
        "When the user's last session over POP3 began.",
        |user| user.last_seen,
    ),
    ("lastpop_user_pop3_sessions_total", "counter", "The user's sessions over POP3.", |user| {
        big(user.sessions)
    }),
    ("lastpop_user_pop3_messages_total", "counter", "Messages that the user retrieved.", |user| {
        big(user.messages)
    }),
    ("lastpop_user_hidden_bytes", "gauge", "Octets in the mailbox that are hidden from POP3.", |user| {
        big(user.hidden_octets)
    }),
];

/// The text, in Prometheus's format 0.0.4.
pub(super) fn encode(snapshot: &Snapshot, form: UserSeries, most: usize) -> Vec<u8> {
    let shown = if form == UserSeries::Off { 0 } else { most };
    let users = &snapshot.recent.users;
    let users = &users[..users.len().min(shown)];
    let names = Names::new(snapshot, form);
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = write(&mut text, snapshot, users, &names);
    text
}

fn write(text: &mut Vec<u8>, snapshot: &Snapshot, users: &[User], names: &Names) -> std::io::Result<()> {
    let (exported, known) = (users.len(), snapshot.recent.users.len());
    let beyond = usize::try_from(snapshot.recent.left_out).unwrap_or(usize::MAX);
    let left_out = (known - exported).saturating_add(beyond);
    writeln!(text, "# HELP lastpop_user_series Users with series here, and users left out.")?;
    writeln!(text, "# TYPE lastpop_user_series gauge")?;
    writeln!(text, "lastpop_user_series{{state=\"exported\"}} {exported}")?;
    writeln!(text, "lastpop_user_series{{state=\"left_out\"}} {left_out}")?;
    if users.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = users.iter().map(|user| names.user(user)).collect();
    for (index, (name, kind, help, number)) in METRICS.iter().enumerate() {
        writeln!(text, "# HELP {name} {help}")?;
        writeln!(text, "# TYPE {name} {kind}")?;
        for (user, shown) in users.iter().zip(&shown) {
            write!(text, "{name}{{user=\"{shown}\"")?;
            if index == 0 {
                write!(text, ",domain=\"{}\",mode=\"{}\"", names.domain(user), user.mode.as_str())?;
            }
            writeln!(text, "}} {}", number(user))?;
        }
    }
    Ok(())
}

/// How users are called.
enum Names<'a> {
    Full,
    /// By a keyed hash; and only the domains are named that `/metrics` names.
    Hashed(Box<hmac::Key>, HashSet<&'a str>),
}

impl<'a> Names<'a> {
    fn new(snapshot: &'a Snapshot, form: UserSeries) -> Self {
        match form {
            UserSeries::Full | UserSeries::Off => Self::Full,
            UserSeries::Hashed => {
                let domains = snapshot.summary.domains.iter().map(|domain| domain.domain.as_str()).collect();
                Self::Hashed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, snapshot.key.as_bytes())), domains)
            }
        }
    }

    fn user(&self, user: &User) -> String {
        match self {
            Self::Full => escaped(&user.user),
            Self::Hashed(key, _) => {
                let hash = hmac::sign(key, user.user.as_bytes());
                URL_SAFE_NO_PAD.encode(&hash.as_ref()[..HASH])
            }
        }
    }

    fn domain(&self, user: &User) -> String {
        let user = UserName::stored(&user.user);
        match self {
            Self::Hashed(_, named) if !named.contains(user.domain()) => OTHER.to_owned(),
            _ => escaped(user.domain()),
        }
    }
}

/// A label's value between quotes.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            character => escaped.push(character),
        }
    }
    escaped
}

fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
