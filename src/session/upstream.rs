//! The upstream's side of a session: a connection that can be made again, under the same UIDVALIDITY.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::context::{Context, Settings};
use crate::imap::command::Login;
use crate::imap::mailbox::{Listed, Mailbox};
use crate::imap::{Client, Error, Quota, Unhidden};
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
    /// Connecting again would fail again.
    hopeless: bool,
    credentials: Credentials,
    origin: Origin,
    settings: Arc<Settings>,
    cx: Arc<Context>,
}

/// A client that is counted as long as it is there.
#[derive(Debug)]
struct Connected {
    client: Client,
    open: Open,
}

/// A connection that counts among the open ones as long as this is there.
#[derive(Debug)]
pub(super) struct Open(Arc<Context>);

impl Upstream {
    /// Connects, logs in and selects INBOX. Only then is the password known to be right: some servers say OK to
    /// any LOGIN.
    pub async fn enter(
        credentials: Credentials,
        origin: Origin,
        settings: Arc<Settings>,
        cx: Arc<Context>,
    ) -> Result<Self, Error> {
        let (connected, mailbox) = enter(&credentials, &origin, &settings, &cx).await?;
        Ok(Self { client: Some(connected), mailbox, hopeless: false, credentials, origin, settings, cx })
    }

    /// Lists INBOX.
    pub async fn list(&mut self) -> Result<Vec<Listed>, Error> {
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
        listing
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
        let result = enter(&self.credentials, &self.origin, &self.settings, &self.cx).await;
        self.hopeless = matches!(result, Err(Error::Credentials | Error::Unusable(_)));
        let (connected, mailbox) = result?;
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

/// Longest way from nothing to a selected INBOX. A mail client gives up after 30 to 60 seconds.
const ENTER: Duration = Duration::from_secs(25);

/// Longest wait for the end of a command, or for the begin of a body, however busy the upstream makes itself
/// look meanwhile.
const COMMAND: Duration = Duration::from_mins(2);

/// Longest wait for how full a mailbox is: some servers count every message first.
const QUOTA: Duration = Duration::from_secs(10);

async fn enter(
    credentials: &Credentials,
    origin: &Origin,
    settings: &Settings,
    cx: &Arc<Context>,
) -> Result<(Connected, Mailbox), Error> {
    let work = async {
        let mut connected = connect(credentials, origin, settings, cx).await?;
        let keyword = &settings.maildrop.hide_keyword;
        let mailbox = timed(cx, "SELECT", connected.client.select(keyword)).await?;
        Ok((connected, mailbox))
    };
    timeout(ENTER, work).await.unwrap_or(Err(Error::Timeout))
}

async fn connect(
    credentials: &Credentials,
    origin: &Origin,
    settings: &Settings,
    cx: &Arc<Context>,
) -> Result<Connected, Error> {
    let (client, open) = dial(settings, cx).await?;
    let mut connected = Connected { client, open };
    // Dovecot takes the address from ID if we are in its login_trusted_networks, and only before login.
    let id = [
        ("name", "lastpop".to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("x-originating-ip", origin.peer.ip().to_string()),
        ("x-originating-port", origin.peer.port().to_string()),
        ("x-connected-ip", origin.local.ip().to_string()),
        ("x-connected-port", origin.local.port().to_string()),
        ("x-session-ext-id", origin.session.clone()),
    ];
    timed(cx, "ID", connected.client.id(&id)).await?;
    let login = Login { user: credentials.user(), password: credentials.password() };
    timed(cx, "LOGIN", connected.client.login(login)).await?;
    Ok(connected)
}

/// Connects, and counts it.
pub(super) async fn dial(settings: &Settings, cx: &Arc<Context>) -> Result<(Client, Open), Error> {
    let before = Instant::now();
    let result = Client::connect(&settings.dialer, settings.terms).await;
    cx.metrics.upstream.connect_duration.observe(before.elapsed().as_secs_f64());
    cx.metrics.upstream.connects.with_label_values(&[label(&result)]).inc();
    cx.metrics.upstream.up.set(i64::from(result.is_ok()));
    let client = result?;
    cx.metrics.upstream.active.inc();
    Ok((client, Open(Arc::clone(cx))))
}

/// Runs a step and counts how it went and how long it took.
pub async fn timed<T>(
    cx: &Context,
    step: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timed_within(COMMAND, cx, step, work).await
}

async fn timed_within<T>(
    limit: Duration,
    cx: &Context,
    step: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let before = Instant::now();
    let result = timeout(limit, work).await.unwrap_or(Err(Error::Timeout));
    cx.metrics.upstream.command_duration.with_label_values(&[step]).observe(before.elapsed().as_secs_f64());
    cx.metrics.upstream.commands.with_label_values(&[step, label(&result)]).inc();
    result
}

fn label<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().map_or_else(Error::label, |_| "ok")
}

impl Connected {
    async fn logout(self) {
        let mut guard = self;
        guard.client.logout().await;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.open.count(self.client.traffic());
    }
}

impl Open {
    /// Counts the octets that were received and sent over it.
    pub(super) fn count(&self, (received, sent): (u64, u64)) {
        self.0.metrics.upstream.received.inc_by(received);
        self.0.metrics.upstream.sent.inc_by(sent);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.upstream.active.dec();
    }
}
