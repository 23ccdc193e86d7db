//! What commands on the API have in common: where lastpop is, the token, the form of the output, pages,
//! reasons.
#![allow(clippy::doc_markdown, reason = "comments on arguments are what --help prints")]

use std::io::{self, BufWriter, IsTerminal, Stdout};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use tokio_rustls::rustls::ClientConfig;

use super::bearer::Bearer;
use super::client::{Call, Client};
use super::failure::Failure;
use super::output::{Format, Row, Rows, note};
use super::place::{Place, Url};
use crate::api::{self, Order, PAGE_MOST, PageLimit, Reason};
use crate::config::Verify;
use crate::net::tls::{self, TlsError};
use crate::policy::Mode;

/// Where lastpop is, who asks, and how the answer is printed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection and output")]
pub(super) struct Options {
    /// The configuration file; its admin.address says where lastpop is. Without it
    /// /etc/lastpop/lastpop.toml, if there is one.
    #[arg(long, env = "LASTPOP_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where lastpop's API is, whatever the configuration says: http://HOST:PORT, https://HOST:PORT or
    /// unix:/PATH.
    #[arg(long, global = true)]
    url: Option<Url>,
    /// A file with the token. Without it the environment variable LASTPOP_TOKEN, then
    /// $XDG_CONFIG_HOME/lastpop/token or ~/.config/lastpop/token, then /etc/lastpop/token.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// With https: authorities to trust beside the system's, in PEM form.
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The form of what is printed; without it a table on a terminal, TSV elsewhere.
    #[arg(long, global = true, value_name = "FORM")]
    format: Option<Format>,
}

impl Options {
    /// The form of what is printed.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or_else(Format::usual)
    }

    /// The form that was asked for.
    pub(super) const fn asked_format(&self) -> Option<Format> {
        self.format
    }

    /// Speaks to that lastpop.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let place = Place::find(self.url.as_ref(), self.config.as_deref())?;
        let bearer = Bearer::find(self.token_file.as_deref())?;
        if place.url.is_exposed() {
            note(&format!(
                "WARNING: the token crosses the network in the clear, because {} is no https",
                place.url
            ));
        }
        let tls = match place.url {
            Url::Https(_) => self.tls()?,
            // It is not used, and the system's roots take a while to read.
            Url::Http(_) | Url::Unix(_) => None,
        };
        Ok(Client::new(place, bearer, tls))
    }

    fn tls(&self) -> Result<Option<Arc<ClientConfig>>, Failure> {
        let config = tls::client(Verify::Full, self.ca_file.as_deref()).map_err(|error| match error {
            TlsError::File { path, source } => Failure::File { path, source },
            error => Failure::Misunderstood(error.to_string()),
        })?;
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

/// Standard output, in large pieces.
pub(super) fn stdout() -> BufWriter<Stdout> {
    BufWriter::new(io::stdout())
}

/// Why something is changed, and whether it is at all.
#[derive(Debug, clap::Args)]
pub(super) struct Why {
    /// Why, in one line of at most 500 characters: it is kept in the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Reason,
    /// Change nothing, only say what would change.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Why {
    /// As the API takes it.
    pub(super) fn order(&self) -> Order {
        Order { reason: self.reason.clone(), dry_run: self.dry_run, confirm_redownload: false }
    }
}

/// Is the price of going back accepted?
#[derive(Debug, clap::Args)]
pub(super) struct Confirm {
    /// Confirm that customers may download their mail again. Needed to leave imap-only where it shows the
    /// notice: by then clients have forgotten which messages they had.
    #[arg(long)]
    pub(super) confirm_redownload: bool,
}

/// How much of a list is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// Print so many rows at most, 1 to 1000. Without it 100 on a terminal, and all elsewhere.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(PAGE_MOST)), value_name = "ROWS")]
    limit: Option<u16>,
    /// Go on where a page ended, with the word that was printed there.
    #[arg(long, value_name = "WORD")]
    after: Option<String>,
    /// Print all rows, on a terminal as well.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// An answer that is a page of rows.
pub(super) trait List: DeserializeOwned {
    /// A row.
    type Row: Row;

    /// The rows, and where the next page begins.
    fn parts(self) -> (Vec<Self::Row>, Option<String>);
}

macro_rules! lists {
    ($($list:ident of $row:ident in $rows:ident),*) => {$(
        impl List for api::$list {
            type Row = api::$row;

            fn parts(self) -> (Vec<Self::Row>, Option<String>) {
                (self.$rows, self.next)
            }
        }
    )*};
}

lists! {
    UserList of User in users,
    DomainList of DomainRow in domains,
    AuditList of AuditEntry in entries,
    SessionList of Session in sessions
}

impl Page {
    /// The first page alone, when it is for a person who can ask for more.
    const fn limit(&self, on_terminal: bool) -> (Option<u16>, bool) {
        match (self.limit, self.all || !on_terminal) {
            (Some(limit), _) => (Some(limit), false),
            (None, true) => (Some(PAGE_MOST), true),
            (None, false) => (None, false),
        }
    }

    /// The rows of one page.
    pub(super) fn rows(&self) -> Result<PageLimit, Failure> {
        Self::rows_of(self.limit)
    }

    fn rows_of(limit: Option<u16>) -> Result<PageLimit, Failure> {
        let limit = limit.map_or(Ok(PageLimit::default()), PageLimit::try_from);
        limit.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// Prints the rows that `call` asks for, page by page.
    pub(super) async fn print<L: List>(
        &self,
        options: &Options,
        call: impl Fn(PageLimit, Option<String>) -> Call,
    ) -> Result<(), Failure> {
        let client = options.client()?;
        let (limit, all) = self.limit(io::stdout().is_terminal());
        let limit = Self::rows_of(limit)?;
        let mut out = stdout();
        let mut rows = Rows::new(options.format(), &mut out);
        let mut after = self.after.clone();
        loop {
            let (page, next) = client.ask::<L>(&call(limit, after.take())).await?.parts();
            rows.page(&page)?;
            after = next;
            if !all || after.is_none() {
                break;
            }
        }
        rows.end::<L::Row>()?;
        if let Some(after) = after {
            note(&format!("there are more: add --after {} for the next page, or --all", quoted(&after)));
        }
        Ok(())
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Takes the word of a mode.
pub(super) fn mode() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(Mode::ALL.map(Mode::as_str)).try_map(|word| word.parse::<Mode>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_gets_a_page_and_a_program_gets_all() {
        let page = |limit, all| Page { limit, after: None, all };
        assert_eq!(page(None, false).limit(true), (None, false));
        assert_eq!(page(None, false).limit(false), (Some(PAGE_MOST), true));
        assert_eq!(page(None, true).limit(true), (Some(PAGE_MOST), true));
        assert_eq!(page(Some(5), false).limit(false), (Some(5), false));
    }

    #[test]
    fn a_cursor_can_be_pasted() {
        assert_eq!(quoted("o'neil@example.net"), r"'o'\''neil@example.net'");
    }
}
