//! INBOX: selecting it, listing it, reading messages as streams, changing flags.

use std::borrow::Cow;

use super::capability::Capability;
use super::client::{Client, ended};
use super::command::{Change, Command, Keyword, Section};
use super::error::Error;
use super::quota::Quota;
use super::reader::Event;
use super::response::{Code, Kind, Reason, Response, Status};
use super::set::UidSet;

/// What SELECT said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailbox {
    /// Never zero.
    pub uidvalidity: u32,
    /// How many messages there are.
    pub exists: u32,
    /// May the keyword that was asked about be stored, now and for good?
    pub keyword: bool,
    /// May `\Seen`?
    pub seen: bool,
}

/// One message of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its UID.
    pub uid: u32,
    /// RFC822.SIZE, in octets.
    pub octets: u64,
    /// Does it carry the keyword?
    pub hidden: bool,
}

/// Most messages of a mailbox that are served, by what a listing costs in memory (16 octets each, twice
/// while it is sorted). Far above any mailbox that POP3 clients can handle.
pub const MAX_MESSAGES: usize = 1_000_000;

/// A body that is being read.
#[derive(Debug)]
pub struct Body {
    tag: String,
    wanted: u32,
    uid: Option<u32>,
    /// A body that came as a quoted string; it was short enough to be held.
    inline: Option<Vec<u8>>,
    octets: u64,
}

impl Client {
    /// Selects INBOX (RFC 3501 §6.3.1) and learns whether `keyword` can be stored there.
    pub async fn select(&mut self, keyword: &Keyword) -> Result<Mailbox, Error> {
        let (mut uidvalidity, mut exists, mut read_only) = (0, None, false);
        // Without PERMANENTFLAGS all flags can be stored (RFC 3501 §7.1); STORE's echo has the last word.
        let (mut permanent, mut seen) = (true, true);
        self.run(&Command::SelectInbox, |response| match response {
            Response::Exists(count) => exists = Some(*count),
            Response::Status(Status { code: Some(code), .. })
            | Response::Tagged(_, Status { code: Some(code), .. }) => match code {
                Code::UidValidity(value) => uidvalidity = *value,
                Code::PermanentFlags(flags) => {
                    permanent = flags.contains("\\*") || flags.contains(keyword.as_str());
                    seen = flags.contains("\\Seen");
                }
                Code::ReadOnly => read_only = true,
                Code::Capability(_) | Code::Reason(_) | Code::Other => {}
            },
            _ => {}
        })
        .await?;
        let exists = exists.ok_or(Error::Protocol("SELECT did not say how many messages there are"))?;
        if uidvalidity == 0 {
            return Err(Error::Protocol("SELECT gave no UIDVALIDITY"));
        }
        Ok(Mailbox { uidvalidity, exists, keyword: permanent && !read_only, seen: seen && !read_only })
    }

    /// Lists the whole mailbox, ascending by UID. A listing that is not complete, or names a UID twice, is
    /// an error: a client that is shown less than there is forgets what it has read.
    pub async fn list(&mut self, mailbox: &Mailbox, keyword: &Keyword) -> Result<Vec<Listed>, Error> {
        let mut listing: Vec<Listed> = Vec::new();
        // EXISTS is a server's claim: no memory is taken on its word alone.
        let mut exists = i64::from(mailbox.exists);
        let mut too_many = false;
        if exists == 0 {
            return Ok(listing);
        }
        self.run(&Command::FetchListing, |response| match response {
            Response::Exists(count) => exists = i64::from(*count),
            Response::Expunge => exists -= 1,
            Response::Fetch(fetch) => {
                // Without all three it is a change of flags that somebody else made, and not a row.
                if let (Some(uid), Some(octets), Some(flags)) = (fetch.uid, fetch.size, fetch.flags) {
                    too_many = listing.len() >= MAX_MESSAGES;
                    if !too_many {
                        listing.push(Listed { uid, octets, hidden: flags.contains(keyword.as_str()) });
                    }
                }
            }
            _ => {}
        })
        .await?;
        if too_many {
            return Err(Error::Unusable("the mailbox holds more than a million messages"));
        }
        if !listing.is_sorted_by_key(|row| row.uid) {
            listing.sort_unstable_by_key(|row| row.uid);
        }
        if listing.first().is_some_and(|row| row.uid == 0) {
            return Err(Error::Protocol("a message with the UID 0"));
        }
        let unique = listing.windows(2).all(|pair| pair[0].uid < pair[1].uid);
        if !unique || i64::try_from(listing.len()) != Ok(exists) {
            return Err(Error::Incomplete);
        }
        Ok(listing)
    }

    /// Asks for octets of one message. `None`: the server says OK and gives nothing.
    pub async fn body(&mut self, uid: u32, section: Section) -> Result<Option<Body>, Error> {
        let command = Command::FetchBody(uid, section);
        let tag = self.send(&command).await?;
        let mut foreign = 0;
        let mut inline = None;
        loop {
            match self.reader.next().await? {
                Event::Body(follows) if follows.uid.is_none_or(|theirs| theirs == uid) => {
                    return Ok(Some(Body { tag, wanted: uid, uid: follows.uid, inline: None, octets: 0 }));
                }
                Event::Body(_) => {}
                Event::Response(Response::Fetch(fetch)) if fetch.uid == Some(uid) => {
                    inline = fetch.body.flatten().map(Cow::into_owned).or(inline);
                }
                Event::Response(response) => {
                    if let Some(status) = ended(&response, &tag, &mut foreign)? {
                        return match status.kind {
                            Kind::Ok => Ok(inline.map(|octets| Body::inline(uid, octets))),
                            // The message may be gone; whoever asked finds out (RFC 5530 §3).
                            _ if status.reason() == Some(Reason::ExpungeIssued) => Ok(None),
                            _ => Err(Error::refused(command.label(), &status)),
                        };
                    }
                }
            }
        }
    }

    /// The next octets of a body; `None` when all have come.
    pub async fn chunk<'a>(&'a mut self, body: &'a mut Body) -> Result<Option<&'a [u8]>, Error> {
        let chunk = match &body.inline {
            Some(octets) => Some(octets.as_slice()).filter(|octets| body.octets == 0 && !octets.is_empty()),
            None => self.reader.chunk().await?,
        };
        body.octets += chunk.map_or(0, <[u8]>::len) as u64;
        Ok(chunk)
    }

    /// Reads what follows the body, and gives its length in octets. Only then is it known that the body
    /// was whole, and that it was this message's.
    pub async fn body_end(&mut self, body: Body) -> Result<u64, Error> {
        if body.inline.is_some() {
            return Ok(body.octets);
        }
        let uid = self.reader.tail().await?.uid.or(body.uid);
        if uid != Some(body.wanted) {
            return Err(Error::Protocol("the body is another message's"));
        }
        self.read_to_end(&body.tag, "FETCH", &mut |_| {}).await?;
        Ok(body.octets)
    }

    /// Does this message still exist?
    pub async fn exists(&mut self, uid: u32) -> Result<bool, Error> {
        let mut found = false;
        self.run(&Command::FetchUid(uid), |response| {
            found |= matches!(response, Response::Fetch(fetch) if fetch.uid == Some(uid));
        })
        .await?;
        Ok(found)
    }

    /// How full INBOX is, where the server tells (RFC 9208). `None`: it offers no QUOTA, refuses to say, or
    /// sets no limit to octets.
    pub async fn quota(&mut self) -> Result<Option<Quota>, Error> {
        if !self.capabilities.has(Capability::Quota) {
            return Ok(None);
        }
        let mut tightest: Option<Quota> = None;
        let result = self.run(&Command::QuotaRoot, |response| {
            if let Response::Quota(quota) = response {
                tightest = Some(tightest.map_or(*quota, |tightest| tightest.tighter(*quota)));
            }
        });
        match result.await {
            Ok(()) => Ok(tightest),
            Err(Error::No { .. } | Error::Bad { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes flags and gives the UIDs of the set whose echo shows `keyword` (RFC 3501 §6.4.6), ascending.
    pub async fn store(
        &mut self,
        set: &UidSet<'_>,
        change: Change<'_>,
        keyword: &Keyword,
    ) -> Result<Vec<u32>, Error> {
        let shown = self.shown(&Command::Store(set, change), set, keyword).await?;
        Ok(shown.into_iter().filter(|(_, hidden)| *hidden == Some(true)).map(|(uid, _)| uid).collect())
    }

    /// Which messages of the set still exist, and whether each is known to carry `keyword`.
    pub async fn flags(&mut self, set: &UidSet<'_>, keyword: &Keyword) -> Result<Vec<(u32, bool)>, Error> {
        let shown = self.shown(&Command::FetchFlags(set), set, keyword).await?;
        Ok(shown.into_iter().map(|(uid, hidden)| (uid, hidden == Some(true))).collect())
    }

    /// Runs a command that shows flags: which messages of the set exist, and whether each carries `keyword`,
    /// `None` if it was named without its flags. Of several answers about one message the last holds.
    pub(super) async fn shown(
        &mut self,
        command: &Command<'_>,
        set: &UidSet<'_>,
        keyword: &Keyword,
    ) -> Result<Vec<(u32, Option<bool>)>, Error> {
        let mut named = vec![false; set.uids().len()];
        let mut hidden = vec![None; set.uids().len()];
        self.run(command, |response| {
            let Response::Fetch(fetch) = response else { return };
            let Some(at) = fetch.uid.and_then(|uid| set.uids().binary_search(&uid).ok()) else { return };
            named[at] = true;
            hidden[at] = fetch.flags.map(|flags| flags.contains(keyword.as_str())).or(hidden[at]);
        })
        .await?;
        let known = set.uids().iter().zip(hidden).zip(named);
        Ok(known.filter(|(_, named)| *named).map(|((uid, hidden), _)| (*uid, hidden)).collect())
    }
}

impl Body {
    fn inline(uid: u32, octets: Vec<u8>) -> Self {
        Self { tag: String::new(), wanted: uid, uid: Some(uid), inline: Some(octets), octets: 0 }
    }
}
