//! What is in INBOX: what SELECT says of it, and its messages, listed whole or by what has changed since a snapshot.

use super::capability::{Capabilities, Capability};
use super::client::Client;
use super::command::Command;
use super::error::Error;
use super::fetch::Fetch;
use super::flag::Keyword;
use super::response::{Code, Response, Status, Vanished};
use super::set;
use super::snapshot::{Changes, Listed, Snapshot, State};

/// What SELECT said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailbox {
    /// Never zero.
    pub uidvalidity: u32,
    /// How many messages there are.
    pub exists: u32,
    /// UIDNEXT, where the server tells it.
    pub uidnext: Option<u32>,
    /// HIGHESTMODSEQ, if the mailbox has mod-sequences.
    pub modseq: Option<u64>,
    /// May the keyword that was asked about be stored, now and for good?
    pub keyword: bool,
    /// May `\Seen`?
    pub seen: bool,
}

impl Mailbox {
    /// What a snapshot needs to be of use later.
    pub fn state(&self) -> Option<State> {
        let Self { uidvalidity, modseq, .. } = *self;
        self.uidnext.map(|uidnext| State { uidvalidity, uidnext, modseq })
    }
}

/// Are mod-sequences to be relied on? Some servers name them and do not offer to look for changes by them.
pub(super) fn counts_changes(capabilities: Capabilities) -> bool {
    capabilities.has(Capability::CondStore) || capabilities.has(Capability::QResync)
}

/// Most messages of a mailbox that are served, by what a listing costs in memory (16 octets each, twice
/// while it is sorted). Far above any mailbox that POP3 clients can handle.
pub const MAX_MESSAGES: usize = 1_000_000;

/// What the server has told about INBOX since SELECT was said.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is something else that the server said")]
pub(super) struct Told<'a> {
    keyword: &'a Keyword,
    /// Does HIGHESTMODSEQ count?
    modseqs: bool,
    uidvalidity: u32,
    uidnext: Option<u32>,
    modseq: Option<u64>,
    permanent: bool,
    seen: bool,
    read_only: bool,
    /// As of now.
    exists: Option<i64>,
    /// What SELECT said, once it has come to its end.
    pub(super) selected: Option<Mailbox>,
    /// Messages came or went after SELECT.
    moved: bool,
    /// Rows with UID, size and flags.
    rows: Vec<Listed>,
    too_many: bool,
    changes: Changes,
    /// A set of UIDs that cannot be read.
    unreadable: bool,
    /// What SEARCH found.
    pub(super) found: Option<Vec<u32>>,
}

impl<'a> Told<'a> {
    /// Of a server with these capabilities.
    pub(super) fn new(keyword: &'a Keyword, capabilities: Capabilities) -> Self {
        Self {
            keyword,
            modseqs: counts_changes(capabilities),
            uidvalidity: 0,
            uidnext: None,
            modseq: None,
            // Without PERMANENTFLAGS all flags can be stored (RFC 3501 §7.1); STORE's echo has the last word.
            permanent: true,
            seen: true,
            read_only: false,
            exists: None,
            selected: None,
            moved: false,
            rows: Vec::new(),
            too_many: false,
            changes: Changes::default(),
            unreadable: false,
            found: None,
        }
    }

    /// Goes on where SELECT ended.
    fn of(keyword: &'a Keyword, mailbox: &Mailbox) -> Self {
        let new = Self::new(keyword, Capabilities::default());
        Self { exists: Some(i64::from(mailbox.exists)), selected: Some(*mailbox), ..new }
    }

    /// Takes in one response.
    pub(super) fn take(&mut self, response: &Response<'_>) {
        match response {
            Response::Exists(count) => self.now_are(i64::from(*count)),
            Response::Expunge => self.now_are(self.exists.unwrap_or(0) - 1),
            Response::Vanished(vanished) => self.vanished(vanished),
            Response::Fetch(fetch) => self.fetched(fetch),
            Response::Search(uids) => {
                let uids = uids.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
                let uids =
                    uids.map(|word| str::from_utf8(word).ok()?.parse().ok()).collect::<Option<Vec<u32>>>();
                match uids {
                    Some(uids) => self.found.get_or_insert_default().extend(uids),
                    None => self.unreadable = true,
                }
            }
            Response::Status(Status { code: Some(code), .. })
            | Response::Tagged(_, Status { code: Some(code), .. })
                if self.selected.is_none() =>
            {
                match code {
                    Code::UidValidity(value) => self.uidvalidity = *value,
                    Code::UidNext(value) => self.uidnext = Some(*value),
                    Code::HighestModSeq(value) => self.modseq = Some(*value).filter(|value| *value > 0),
                    Code::PermanentFlags(flags) => {
                        self.permanent = flags.contains("\\*") || flags.contains(self.keyword.as_str());
                        self.seen = flags.contains("\\Seen");
                    }
                    Code::ReadOnly => self.read_only = true,
                    Code::Capability(_) | Code::Reason(_) | Code::Other => {}
                }
            }
            _ => {}
        }
    }

    fn now_are(&mut self, count: i64) {
        self.moved |= self.selected.is_some();
        self.exists = Some(count);
    }

    fn vanished(&mut self, vanished: &Vanished<'_>) {
        let Some(mut uids) = set::ranges(vanished.uids) else {
            self.unreadable = true;
            return;
        };
        if vanished.earlier {
            self.changes.gone.append(&mut uids);
        } else {
            let gone = uids.iter().map(|range| i64::from(range.end() - range.start()) + 1).sum::<i64>();
            self.now_are(self.exists.unwrap_or(0) - gone);
        }
    }

    fn fetched(&mut self, fetch: &Fetch<'_>) {
        let (Some(uid), Some(flags)) = (fetch.uid, fetch.flags) else { return };
        let hidden = flags.contains(self.keyword.as_str());
        if self.rows.len() + self.changes.flags.len() >= MAX_MESSAGES {
            self.too_many = true;
        } else if let Some(octets) = fetch.size {
            self.rows.push(Listed { uid, octets, hidden });
        } else {
            // Without its size it is a change of flags, perhaps one that somebody else made, and not a row.
            self.changes.flags.push((uid, hidden));
        }
    }

    /// Is there no message?
    pub(super) fn is_empty(&self) -> bool {
        self.exists == Some(0)
    }

    /// SELECT has come to its end.
    pub(super) fn selected(&mut self) -> Result<Mailbox, Error> {
        let exists = self.exists.and_then(|exists| u32::try_from(exists).ok());
        let exists = exists.ok_or(Error::Protocol("SELECT did not say how many messages there are"))?;
        if self.uidvalidity == 0 {
            return Err(Error::Protocol("SELECT gave no UIDVALIDITY"));
        }
        let mailbox = Mailbox {
            uidvalidity: self.uidvalidity,
            exists,
            uidnext: self.uidnext,
            modseq: self.modseq.filter(|_| self.modseqs),
            keyword: self.permanent && !self.read_only,
            seen: self.seen && !self.read_only,
        };
        self.selected = Some(mailbox);
        Ok(mailbox)
    }

    /// All rows have been told: the listing, ascending by UID. One that is not complete, or names a UID twice, is
    /// an error: a client that is shown less than there is forgets what it has read.
    pub(super) fn whole(self) -> Result<Vec<Listed>, Error> {
        let Self { mut rows, exists, too_many, .. } = self;
        if too_many {
            return Err(Error::Unusable("the mailbox holds more than a million messages"));
        }
        if !rows.is_sorted_by_key(|row| row.uid) {
            rows.sort_unstable_by_key(|row| row.uid);
        }
        let unique = rows.is_sorted_by(|one, next| one.uid < next.uid);
        if !unique || i64::try_from(rows.len()).ok() != exists {
            return Err(Error::Incomplete);
        }
        Ok(rows)
    }

    /// All changes since `before` have been told: the listing, and whether it is another one than before. `None` when
    /// there is any doubt.
    pub(super) fn since(self, before: &Snapshot) -> Option<(Vec<Listed>, bool)> {
        let Self { mut changes, rows, selected, moved, too_many, unreadable, found, exists, .. } = self;
        let (now, then) = (selected?.state()?, before.state());
        let goes_on = now.uidvalidity == then.uidvalidity
            && now.uidnext >= then.uidnext
            // `None` is less than any number.
            && now.modseq >= then.modseq;
        if !goes_on || moved || too_many || unreadable {
            return None;
        }
        if then.modseq.is_none() {
            // The flags of all messages: SEARCH has found those that are hidden.
            let mut hidden = found?;
            hidden.sort_unstable();
            let flags = before.listing().map(|row| (row.uid, hidden.binary_search(&row.uid).is_ok()));
            changes.flags = flags.collect();
        }
        // `n:*` gives the last message even if it is below `n`.
        changes.new = rows.into_iter().filter(|row| row.uid >= then.uidnext).collect();
        changes.new.sort_unstable_by_key(|row| row.uid);
        let (listing, changed) = before.with(changes)?;
        // An old message that is gone and was not told makes it one too many: messages come, but never back.
        (i64::try_from(listing.len()).ok() == exists).then_some((listing, changed))
    }
}

impl Client {
    /// Selects INBOX (RFC 3501 §6.3.1) and learns whether `keyword` can be stored there.
    pub async fn select(&mut self, keyword: &Keyword) -> Result<Mailbox, Error> {
        let mut told = Told::new(keyword, self.capabilities);
        self.run(&Command::SelectInbox, |response| told.take(response)).await?;
        told.selected()
    }

    /// Lists the whole mailbox, ascending by UID.
    pub async fn list(&mut self, mailbox: &Mailbox, keyword: &Keyword) -> Result<Vec<Listed>, Error> {
        if mailbox.exists == 0 {
            return Ok(Vec::new());
        }
        let mut told = Told::of(keyword, mailbox);
        self.run(&Command::FetchListing(1), |response| told.take(response)).await?;
        told.whole()
    }

    /// The messages that carry `keyword`, as SEARCH finds them, ascending; `None` if it cannot be asked so.
    pub async fn search(&mut self, mailbox: &Mailbox, keyword: &Keyword) -> Result<Option<Vec<u32>>, Error> {
        let mut told = Told::of(keyword, mailbox);
        match self.run(&Command::SearchKeyword(keyword), |response| told.take(response)).await {
            Ok(()) if !told.unreadable => Ok(told.found.map(|mut found| {
                found.sort_unstable();
                found
            })),
            Ok(()) | Err(Error::No { .. } | Error::Bad { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
