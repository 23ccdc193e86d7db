//! INBOX is opened: who asks, who the user is, SELECT, and what is in it. In one flight, everything is said at once and
//! answered at once, which needs knowledge of the server from an earlier session; in lock-step each answer is waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::capability::{Capabilities, Capability};
use super::client::Client;
use super::command::{Command, Login};
use super::error::Error;
use super::flag::Keyword;
use super::listing::{Mailbox, Told, counts_changes};
use super::snapshot::{Listed, Snapshot};
use super::tag::Tag;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Whose session it is (RFC 2971).
    pub id: &'a [(&'a str, String)],
    /// The user.
    pub login: Login<'a>,
    /// The keyword that hides messages.
    pub keyword: &'a Keyword,
    /// What is to be told of its messages.
    pub list: List<'a>,
    /// Becomes true when INBOX is open. What is told from then on takes as long as the mailbox is large.
    pub is_open: &'a AtomicBool,
}

/// What is to be told of the messages of INBOX.
#[derive(Debug, Clone, Copy)]
pub enum List<'a> {
    /// Nothing.
    Nothing,
    /// All of them.
    Whole,
    /// What has changed since.
    Since(&'a Snapshot),
}

/// What came of it.
#[derive(Debug)]
pub struct Inbox {
    /// What SELECT said.
    pub mailbox: Mailbox,
    /// The messages, ascending by UID; `None` if they were not asked for, or what was told of them is doubtful.
    pub listing: Option<Listing>,
}

/// A listing of INBOX.
#[derive(Debug)]
pub struct Listing {
    /// The messages, ascending by UID.
    pub rows: Vec<Listed>,
    /// Is it that of the snapshot?
    pub unchanged: bool,
}

/// How long a server that has accepted a login may take to open INBOX when it was asked for both together. Some drop
/// what stands behind a login, and would be waited for in vain.
const SILENCE: Duration = Duration::from_secs(10);

impl Client {
    /// Opens INBOX in lock-step, for a user who is logged in already.
    pub async fn open(&mut self, opening: &Opening<'_>) -> Result<Inbox, Error> {
        let opening = &opening.on(self.capabilities);
        let mut told = Told::new(opening.keyword, self.capabilities);
        for command in opening.commands(self.capabilities) {
            if told.is_empty() {
                // There is no message to ask about, and some servers say so.
                break;
            }
            let tag = self.send(&command).await?;
            match self.answer(&command, tag, &mut told, opening).await {
                // It offers what it refuses. Without the snapshot it has nothing to refuse.
                Err(Error::No { .. } | Error::Bad { .. }) if command.asks_for_changes() => {
                    let mailbox = self.select(opening.keyword).await?;
                    return Ok(Inbox { mailbox, listing: None });
                }
                answer => answer?,
            }
        }
        opening.inbox(told)
    }

    /// Opens INBOX in one flight, on a server that has these `capabilities` once somebody is logged in. `None`: this
    /// login cannot be said in one piece, and nothing was said. After an error other than
    /// [`Error::Credentials`] the server may be one that does not like to be asked so.
    pub async fn open_at_once(
        &mut self,
        opening: &Opening<'_>,
        capabilities: Capabilities,
    ) -> Result<Option<Inbox>, Error> {
        let opening = &opening.on(capabilities);
        let id = self.capabilities.has(Capability::Id).then_some(Command::Id(opening.id));
        let login = self.login_command(opening.login)?;
        let rest = opening.commands(capabilities);
        let mut said = Vec::with_capacity(5);
        let encode = |command: &Command<'_>, client: &mut Self| {
            let tag = client.next_tag();
            (tag, command.encode(tag))
        };
        let id = id.map(|id| {
            let (tag, encoded) = encode(&id, self);
            said.push(encoded);
            tag
        });
        let (login_tag, encoded) = encode(&login, self);
        if !encoded.pauses.is_empty() {
            return Ok(None);
        }
        said.push(encoded);
        let mut tags = Vec::with_capacity(rest.len());
        for command in &rest {
            let (tag, encoded) = encode(command, self);
            said.push(encoded);
            tags.push(tag);
        }
        self.send_together(&said).await?;
        if let Some(tag) = id {
            self.id_answer(tag).await?;
        }
        self.login_answer(&login, login_tag).await?;
        self.capabilities = capabilities;
        let mut told = Told::new(opening.keyword, capabilities);
        for (command, tag) in rest.iter().zip(tags) {
            let is_open = told.selected.is_some();
            let answer = self.answer(command, tag, &mut told, opening);
            if is_open {
                answer.await?;
            } else {
                timeout(SILENCE, answer).await.unwrap_or(Err(Error::Timeout))?;
            }
        }
        opening.inbox(told).map(Some)
    }

    async fn answer(
        &mut self,
        command: &Command<'_>,
        tag: Tag,
        told: &mut Told<'_>,
        opening: &Opening<'_>,
    ) -> Result<(), Error> {
        let answer = self.read_to_end(tag, command.label(), &mut |response| told.take(response)).await;
        match (command, answer) {
            (Command::SelectInbox | Command::SelectCounted | Command::SelectSince(..), Ok(())) => {
                told.selected()?;
                opening.is_open.store(true, Ordering::Relaxed);
                Ok(())
            }
            // As above.
            (
                Command::FetchListing(_) | Command::FetchChanged(..) | Command::SearchKeyword(_),
                Err(Error::No { .. } | Error::Bad { .. }),
            ) if told.is_empty() => Ok(()),
            (_, answer) => answer,
        }
    }
}

impl<'a> Opening<'a> {
    /// The same on a server with these `capabilities`. One that had mod-sequences and has them no more can tell
    /// nothing since then.
    fn on(&self, capabilities: Capabilities) -> Self {
        let list = match self.list {
            List::Since(before) if before.state().modseq.is_some() && !counts_changes(capabilities) => {
                List::Whole
            }
            list => list,
        };
        Self { list, ..*self }
    }

    /// What is said after the login.
    fn commands(&self, capabilities: Capabilities) -> Vec<Command<'a>> {
        let Self { keyword, list, .. } = *self;
        let has = |capability| capabilities.has(capability);
        let select = if has(Capability::CondStore) { Command::SelectCounted } else { Command::SelectInbox };
        match list {
            List::Nothing => vec![select],
            List::Whole => vec![select, Command::FetchListing(1)],
            List::Since(before) => {
                let state = before.state();
                let new = Command::FetchListing(state.uidnext);
                match state.modseq {
                    Some(modseq) if has(Capability::QResync) => {
                        vec![Command::EnableQresync, Command::SelectSince(state.uidvalidity, modseq), new]
                    }
                    Some(modseq) => {
                        vec![select, Command::FetchChanged(state.uidnext, modseq), new]
                    }
                    None => vec![select, Command::SearchKeyword(keyword), new],
                }
            }
        }
    }

    fn inbox(&self, told: Told<'_>) -> Result<Inbox, Error> {
        let mailbox = told.selected.ok_or(Error::Protocol("SELECT was not answered"))?;
        let listing = match self.list {
            List::Nothing => None,
            List::Whole => match told.whole() {
                Ok(rows) => Some(Listing { rows, unchanged: false }),
                Err(Error::Incomplete) => None,
                Err(error) => return Err(error),
            },
            List::Since(before) => {
                told.since(before).map(|(rows, changed)| Listing { rows, unchanged: !changed })
            }
        };
        Ok(Inbox { mailbox, listing })
    }
}
