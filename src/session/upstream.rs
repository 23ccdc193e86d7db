//! The upstream's side of a session: a connection that can be made again, under the same UIDVALIDITY.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Settings};
use super::enter::{Connected, Early, Entrant, enter, show_size, timed, timed_within};
use crate::imap::opening::Inbox;
use crate::imap::{Client, Error, Listed, Mailbox, Quota, Unhidden};
use crate::pop3::Credentials;

/// Whose session this is, told to the upstream (ID, RFC 2971): to it, all customers share our address.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client.
    pub peer: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// The session's id, as in our log.
    pub session: String,
}

/// A session's upstream. The password stays until the session ends, because making the connection again
/// needs it.
#[derive(Debug)]
pub struct Upstream {
    client: Option<Connected>,
    mailbox: Mailbox,
    /// What INBOX held when it was opened, until somebody takes it.
    listing: Option<Vec<Listed>>,
    /// Connecting again would fail again.
    hopeless: bool,
    credentials: Credentials,
    origin: Origin,
    settings: Arc<Settings>,
    cx: Arc<Context>,
}

impl Upstream {
    /// Logs in and selects INBOX. Only then is the password known to be right: some servers say OK to any LOGIN. With
    /// `list`, what INBOX holds is asked together with it.
    pub async fn enter(
        credentials: Credentials,
        origin: Origin,
        list: bool,
        early: Early,
        settings: Arc<Settings>,
        cx: Arc<Context>,
    ) -> Result<Self, Error> {
        let entrant = Entrant { credentials: &credentials, origin: &origin, list };
        let (connected, Inbox { mailbox, listing }) = enter(entrant, early, &settings, &cx).await?;
        let listing = listing.map(|listing| listing.rows);
        Ok(Self {
            client: Some(connected),
            mailbox,
            listing,
            hopeless: false,
            credentials,
            origin,
            settings,
            cx,
        })
    }

    /// What INBOX holds.
    pub async fn list(&mut self) -> Result<Vec<Listed>, Error> {
        match self.listing.take() {
            Some(listing) => {
                let mailbox = self.mailbox;
                self.try_search(&mailbox, &listing).await?;
                Ok(listing)
            }
            None => self.list_now().await,
        }
    }

    /// What INBOX holds, as of now.
    pub async fn list_now(&mut self) -> Result<Vec<Listed>, Error> {
        self.listing = None;
        let (cx, settings) = (Arc::clone(&self.cx), Arc::clone(&self.settings));
        let keyword = &settings.maildrop.hide_keyword;
        let mut mailbox = self.mailbox;
        let client = self.client().await?;
        let mut listing = timed(&cx, "LIST", client.list(&mailbox, keyword)).await;
        if matches!(listing, Err(Error::Incomplete)) {
            // Mail that comes or goes while the listing is under way makes it incomplete: once more.
            mailbox = timed(&cx, "SELECT", client.select(keyword)).await?;
            listing = timed(&cx, "LIST", client.list(&mailbox, keyword)).await;
        }
        self.mailbox = mailbox;
        let listing = listing?;
        self.try_search(&mailbox, &listing).await?;
        settings.server.maildrops.listed(self.credentials.user(), &mailbox, &listing);
        show_size(&settings, &cx);
        Ok(listing)
    }

    /// On a server without mod-sequences a snapshot is of use only where SEARCH finds who is hidden. Some answer that there
    /// is nobody, so it is tried once, where there is somebody.
    async fn try_search(&mut self, mailbox: &Mailbox, listing: &[Listed]) -> Result<(), Error> {
        let (cx, settings) = (Arc::clone(&self.cx), Arc::clone(&self.settings));
        if mailbox.modseq.is_some() || settings.server.habits.search().is_some() {
            return Ok(());
        }
        let hidden: Vec<u32> = listing.iter().filter(|row| row.hidden).map(|row| row.uid).collect();
        if hidden.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        let found = timed(&cx, "SEARCH", client.search(mailbox, &settings.maildrop.hide_keyword)).await?;
        settings.server.habits.searched(found == Some(hidden));
        Ok(())
    }

    /// Takes the hiding keyword off messages from `since` (Unix seconds; `None`: all) on, in the mailbox and in the
    /// listing.
    pub async fn unhide(&mut self, listing: &mut [Listed], since: Option<i64>) -> Result<Unhidden, Error> {
        let (cx, settings) = (Arc::clone(&self.cx), Arc::clone(&self.settings));
        let client = self.client().await?;
        timed(&cx, "UNHIDE", client.unhide(listing, since, &settings.maildrop.hide_keyword)).await
    }

    /// The user's password, as the upstream accepted it.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What SELECT said when the session began.
    pub const fn mailbox(&self) -> Mailbox {
        self.mailbox
    }

    /// The session's id, for the log.
    pub fn session(&self) -> &str {
        &self.origin.session
    }

    /// The connection; a new one if it was lost. Under another UIDVALIDITY our UIDs mean nothing, so that
    /// is an error.
    pub async fn client(&mut self) -> Result<&mut Client, Error> {
        let connected = match self.client.take() {
            Some(connected) => connected,
            None => self.reconnect().await?,
        };
        Ok(&mut self.client.insert(connected).client)
    }

    async fn reconnect(&mut self) -> Result<Connected, Error> {
        // A password that was refused once is not tried again: to the upstream all customers share one
        // address, and its penalty for guessing would hit them all.
        if self.hopeless {
            return Err(Error::Unusable("this session's upstream cannot be opened again"));
        }
        let entrant = Entrant { credentials: &self.credentials, origin: &self.origin, list: false };
        let result = enter(entrant, Early::default(), &self.settings, &self.cx).await;
        self.hopeless = matches!(result, Err(Error::Credentials | Error::Unusable(_)));
        let (connected, Inbox { mailbox, .. }) = result?;
        if mailbox.uidvalidity != self.mailbox.uidvalidity {
            self.hopeless = true;
            return Err(Error::Unusable("UIDVALIDITY changed within a session"));
        }
        // Another server of a cluster may allow less than the first.
        self.mailbox.keyword &= mailbox.keyword;
        self.mailbox.seen &= mailbox.seen;
        Ok(connected)
    }

    /// The connection cannot be used any more.
    pub fn lose(&mut self) {
        self.client = None;
    }

    /// What the upstream says of the quota: nothing where it sets no limit, an error where it does not answer. Nothing
    /// depends on it: it is given little time, and no connection is made again for it.
    pub async fn quota(&mut self) -> Result<Option<Quota>, Error> {
        let Some(Connected { client, .. }) = &mut self.client else { return Err(Error::Closed) };
        let result = timed_within(QUOTA, &self.cx, "GETQUOTAROOT", client.quota()).await;
        if let Err(error) = &result {
            tracing::debug!(session = self.session(), %error, "the upstream does not tell how full the mailbox is");
            self.lose();
        }
        result
    }

    /// Logs out, without waiting for the answer.
    pub async fn logout(mut self) {
        if let Some(connected) = self.client.take() {
            connected.logout().await;
        }
    }
}

/// Longest wait for how full a mailbox is: some servers count every message first.
const QUOTA: Duration = Duration::from_secs(10);
