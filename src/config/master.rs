//! `[upstream.master]`: credentials with which the upstream opens any user's mailbox, for what operators order.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

use crate::imap::{Form, Separator};

/// `[upstream.master]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Master {
    /// The master user's name.
    pub user: String,
    /// The file whose one line is the password. It is read at the start and at each reload.
    pub password_file: PathBuf,
    /// How the upstream is told whose mailbox to open.
    pub style: Style,
    /// What stands between the names with the style `separator`; without it `*`.
    #[serde(default)]
    separator: Option<Written>,
}

/// How the upstream is told whose mailbox to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// The name is `user*master`.
    Separator,
    /// The authorization identity of SASL PLAIN is the user.
    Authzid,
}

/// A separator as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written(Separator);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str =
            "one visible ASCII character that is no letter, no digit and not \"@\", such as \"*\"";
        let text = String::deserialize(from)?;
        let separator = Separator::parse(&text);
        separator.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
    }
}

impl Master {
    /// How the upstream is told whose mailbox to open.
    pub fn form(&self) -> Form {
        match self.style {
            Style::Separator => Form::Separator(self.separator.map(|Written(own)| own).unwrap_or_default()),
            Style::Authzid => Form::Authzid,
        }
    }

    /// What its keys must agree on.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.style == Style::Authzid && self.separator.is_some() {
            return Err(
                "upstream.master.separator is set, but with upstream.master.style = \"authzid\" nothing \
                stands between names: leave it out, or set style = \"separator\""
                    .to_owned(),
            );
        }
        crate::imap::Master::check_user(&self.user, self.form()).map_err(|what| {
            format!("upstream.master.user: {what}: choose another name, or another separator")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "user = \"lastpop\"\npassword_file = \"/etc/lastpop/master\"\n";

    fn parsed(text: &str) -> Result<Form, String> {
        let master: Master = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        master.check().map(|()| master.form())
    }

    #[test]
    fn forms() {
        let form = |more: &str| parsed(&format!("{GOOD}{more}"));
        assert_eq!(form("style = \"separator\""), Ok(Form::Separator(Separator::default())));
        let percent = Separator::parse("%").expect("a separator");
        assert_eq!(form("style = \"separator\"\nseparator = \"%\""), Ok(Form::Separator(percent)));
        assert_eq!(form("style = \"authzid\""), Ok(Form::Authzid));
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            (
                format!("{GOOD}style = \"dovecot\""),
                "unknown variant `dovecot`, expected `separator` or `authzid`",
            ),
            (
                format!("{GOOD}style = \"separator\"\nseparator = \"@\""),
                "expected one visible ASCII character",
            ),
            (
                format!("{GOOD}style = \"authzid\"\nseparator = \"*\""),
                "upstream.master.separator is set, but with",
            ),
            (
                format!("{GOOD}style = \"authzid\"\npassword = \"x\""),
                "unknown field `password`, expected one of",
            ),
            (GOOD.to_owned(), "missing field `style`"),
            ("user = \"lastpop\"\nstyle = \"authzid\"".to_owned(), "missing field `password_file`"),
            (
                format!("{GOOD}style = \"separator\"").replace("lastpop\"", "last*pop\""),
                "upstream.master.user: the name of the master user has the separator '*' in it",
            ),
            (
                format!("{GOOD}style = \"authzid\"").replace("\"lastpop\"", "\"\""),
                "upstream.master.user: the name",
            ),
        ] {
            let message = parsed(&text).expect_err(&text);
            assert!(message.contains(expected), "{text:?} gives {message:?}");
        }
    }
}
