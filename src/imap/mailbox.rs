//! INBOX once it is open: reading messages as streams, changing flags, asking how full it is.

use std::borrow::Cow;

use super::ahead::Awaited;
use super::capability::Capability;
use super::client::{Client, ended};
use super::command::{Command, Section};
use super::error::Error;
use super::flag::{Change, Keyword};
use super::quota::Quota;
use super::reader::Event;
use super::response::{Kind, Reason, Response};
use super::set::UidSet;
use super::tag::Tag;

/// A body that is being read.
#[derive(Debug)]
pub struct Body {
    tag: Option<Tag>,
    wanted: u32,
    uid: Option<u32>,
    /// A body that is here already: it came as a quoted string, or before it was wanted.
    inline: Option<Vec<u8>>,
    octets: u64,
}

impl Client {
    /// Asks for octets of one message, and if it is asked for as a whole, for those that are likely to be wanted `next`
    /// as well. `None`: the server says OK and gives nothing.
    pub async fn body(&mut self, uid: u32, section: Section, next: &[u32]) -> Result<Option<Body>, Error> {
        let (mut tag, mut early) = match section {
            Section::Header | Section::Window { .. } => {
                (self.send(&Command::FetchBody(uid, section)).await?, false)
            }
            Section::Whole => match self.ask_for(uid, next).await? {
                Awaited { tag, octets: Some(octets), ended, .. } => {
                    let tag = if ended.is_some() { None } else { Some(tag) };
                    return Ok(Some(Body { tag, ..Body::inline(uid, octets) }));
                }
                Awaited { tag, early, .. } => (tag, early),
            },
        };
        let mut foreign = 0;
        let mut inline = None;
        loop {
            match self.reader.next().await? {
                Event::Body(follows) if follows.uid.is_none_or(|theirs| theirs == uid) => {
                    let (tag, uid_before) = (Some(tag), follows.uid);
                    return Ok(Some(Body { tag, wanted: uid, uid: uid_before, inline: None, octets: 0 }));
                }
                Event::Body(follows) => self.hold(follows).await?,
                Event::Response(Response::Fetch(fetch)) if fetch.uid == Some(uid) => {
                    inline = fetch.body.flatten().map(Cow::into_owned).or(inline);
                }
                Event::Response(Response::Tagged(theirs, status)) if self.ahead.ends(theirs, &status) => {}
                Event::Response(response) => {
                    let Some(status) = ended(&response, tag, &mut foreign)? else { continue };
                    if early && inline.is_none() {
                        // It was passed over when nobody waited for it, or had its time.
                        early = false;
                        drop(response);
                        tag = self.send(&Command::FetchBody(uid, section)).await?;
                        continue;
                    }
                    return match status.kind {
                        Kind::Ok => Ok(inline.map(|octets| Body::inline(uid, octets))),
                        // The message may be gone; whoever asked finds out (RFC 5530 §3).
                        _ if status.reason() == Some(Reason::ExpungeIssued) => Ok(None),
                        _ => Err(Error::refused("FETCH", &status)),
                    };
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
        if body.inline.is_none() {
            let uid = self.reader.tail().await?.uid.or(body.uid);
            if uid != Some(body.wanted) {
                return Err(Error::Protocol("the body is another message's"));
            }
        }
        // One that was held may have come to its end already.
        let Some(tag) = body.tag else { return Ok(body.octets) };
        self.read_to_end(tag, "FETCH", &mut |_| {}).await?;
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
        Self { tag: None, wanted: uid, uid: Some(uid), inline: Some(octets), octets: 0 }
    }
}
