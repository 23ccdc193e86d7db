//! From nothing to an open INBOX upstream: a connection, the login, SELECT, and what is in it. In one flight where the
//! server is known to answer that, else in lock-step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::context::{Context, Settings};
use super::maildrops::Kept;
use super::upstream::Origin;
use crate::imap::command::Login;
use crate::imap::opening::{Inbox, List, Opening};
use crate::imap::response::Reason;
use crate::imap::{Client, Error};
use crate::pop3::Credentials;

/// Longest way from nothing to an open INBOX. A mail client gives up after 30 to 60 seconds.
const ENTER: Duration = Duration::from_secs(25);

/// Longest wait for the end of a command, or for the begin of a body, however busy the upstream makes itself
/// look meanwhile.
const COMMAND: Duration = Duration::from_mins(2);

/// A connection to the upstream that is counted as long as it is there.
#[derive(Debug)]
pub struct Connected {
    pub(super) client: Client,
    open: Open,
}

/// A connection that counts among the open ones as long as this is there.
#[derive(Debug)]
pub(super) struct Open(Arc<Context>);

/// Who enters, and what is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entrant<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) origin: &'a Origin,
    /// Is the listing wanted?
    pub(super) list: bool,
}

/// A connection that is being made while the client still thinks about its password.
#[derive(Debug, Default)]
pub struct Early(Option<Making>);

#[derive(Debug)]
enum Making {
    Done(Box<Connected>),
    Under(JoinHandle<Result<Connected, Error>>),
}

impl Early {
    /// Begins, unless it has begun.
    pub fn begin(&mut self, settings: &Arc<Settings>, cx: &Arc<Context>) {
        // Who wants no reserve wants no connection before its time either.
        if self.0.is_some() || !settings.server.reserve.is_wanted() {
            return;
        }
        self.0 = Some(if let Some(connected) = settings.server.reserve.take(settings, cx) {
            Making::Done(Box::new(connected))
        } else {
            let (settings, cx) = (Arc::clone(settings), Arc::clone(cx));
            Making::Under(tokio::spawn(async move { Connected::dial(&settings, &cx).await }))
        });
    }

    /// The connection, if it was begun and the upstream has not thought better of it.
    async fn end(mut self) -> Option<Result<Connected, Error>> {
        let mut made = match self.0.take()? {
            Making::Done(connected) => *connected,
            Making::Under(task) => match task.await {
                Ok(Ok(connected)) => connected,
                Ok(Err(error)) => return Some(Err(error)),
                Err(_) => return None,
            },
        };
        made.client.is_quiet().then_some(Ok(made))
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        if let Some(Making::Under(task)) = &self.0 {
            task.abort();
        }
    }
}

/// Enters, on a connection that is there already or on one of its own.
pub(super) async fn enter(
    entrant: Entrant<'_>,
    early: Early,
    settings: &Arc<Settings>,
    cx: &Arc<Context>,
) -> Result<(Connected, Inbox), Error> {
    let is_open = AtomicBool::new(false);
    let work = async {
        let connected = match early.end().await {
            Some(connected) => connected?,
            None => match settings.server.reserve.take(settings, cx) {
                Some(connected) => connected,
                None => Connected::dial(settings, cx).await?,
            },
        };
        open(connected, entrant, &is_open, settings, cx).await
    };
    let patience = async {
        sleep(ENTER).await;
        // What is listed together with it has the time that a listing on its own has.
        if is_open.load(Ordering::Relaxed) {
            sleep(COMMAND).await;
        }
    };
    tokio::select! {
        biased;
        entered = work => entered,
        () = patience => Err(Error::Timeout),
    }
}

async fn open(
    mut connected: Connected,
    entrant: Entrant<'_>,
    is_open: &AtomicBool,
    settings: &Settings,
    cx: &Arc<Context>,
) -> Result<(Connected, Inbox), Error> {
    let Entrant { credentials, origin, list } = entrant;
    let server = &settings.server;
    let name = credentials.user();
    let kept = server.maildrops.get(name).filter(|kept| is_of_use(kept, settings));
    let at_once = server.habits.at_once().filter(|_| server.at_once);
    let id = identity(origin);
    let opening = Opening {
        id: &id,
        login: Login { user: name, password: credentials.password() },
        keyword: &settings.maildrop.hide_keyword,
        list: match &kept {
            _ if !list => List::Nothing,
            Some(kept) => List::Since(&kept.snapshot),
            None if at_once.is_some() => List::Whole,
            // What costs a round trip of its own can wait until it is known to be wanted.
            None => List::Nothing,
        },
        is_open,
    };
    let mut surprised = false;
    if let Some(capabilities) = at_once {
        match timed(cx, "OPEN", connected.client.open_at_once(&opening, capabilities)).await {
            Ok(Some(inbox)) => {
                server.habits.worked();
                keep(&inbox, kept.as_deref(), entrant, settings, cx);
                return Ok((connected, inbox));
            }
            // This login needs a pause.
            Ok(None) => {}
            Err(error) if !is_surprise(&error) => return Err(error),
            Err(error) => {
                tracing::info!(session = origin.session, %error, "the upstream did not answer all at once; in lock-step now");
                surprised = true;
                connected = Connected::dial(settings, cx).await?;
            }
        }
    }
    timed(cx, "ID", connected.client.id(&id)).await?;
    timed(cx, "LOGIN", connected.client.login(opening.login)).await?;
    let inbox = timed(cx, "SELECT", connected.client.open(&opening)).await?;
    server.habits.learnt(connected.client.capabilities());
    if surprised && server.habits.did_not_work() {
        tracing::warn!(
            "the upstream does not answer what is said at once; it is spoken to in lock-step for an hour, which costs \
             every login some round trips"
        );
    }
    keep(&inbox, kept.as_deref(), entrant, settings, cx);
    Ok((connected, inbox))
}

/// Keeps what was told for the next login, and counts what the snapshot was good for.
fn keep(inbox: &Inbox, kept: Option<&Kept>, entrant: Entrant<'_>, settings: &Settings, cx: &Context) {
    if !entrant.list {
        return;
    }
    let result = match (kept, &inbox.listing) {
        (None, _) => "none",
        (Some(_), None) => "doubtful",
        (Some(_), Some(listing)) if listing.unchanged => "unchanged",
        (Some(_), Some(_)) => "changed",
    };
    cx.metrics.maildrops.snapshots.with_label_values(&[result]).inc();
    settings.server.maildrops.keep(entrant.credentials.user(), inbox, kept);
    show_size(settings, cx);
}

/// Shows how many snapshots there are, and what they take.
pub(super) fn show_size(settings: &Settings, cx: &Context) {
    let (mailboxes, octets) = settings.server.maildrops.size();
    cx.metrics.maildrops.mailboxes.set(i64::try_from(mailboxes).unwrap_or(i64::MAX));
    cx.metrics.maildrops.octets.set(i64::try_from(octets).unwrap_or(i64::MAX));
}

/// Can the next listing be made from it?
fn is_of_use(kept: &Kept, settings: &Settings) -> bool {
    kept.snapshot.state().modseq.is_some() || settings.server.habits.search() == Some(true)
}

/// Did the server fail to answer what it was asked at once, and would perhaps answer one thing after the other?
const fn is_surprise(error: &Error) -> bool {
    match error {
        Error::No { reason, .. } => !matches!(
            reason,
            Some(Reason::Temporary | Reason::InUse | Reason::PrivacyRequired | Reason::ContactAdmin)
        ),
        Error::Bad { .. }
        | Error::Io(_)
        | Error::Closed
        | Error::Bye(_)
        | Error::Timeout
        | Error::Protocol(_) => true,
        Error::Connect { .. }
        | Error::Tls { .. }
        | Error::ConnectTimeout { .. }
        | Error::Credentials
        | Error::Incomplete
        | Error::Unusable(_) => false,
    }
}

/// Who is behind this connection. Dovecot takes the address from ID if we are in its `login_trusted_networks`, and only
/// before the login.
fn identity(origin: &Origin) -> [(&'static str, String); 7] {
    [
        ("name", "lastpop".to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("x-originating-ip", origin.peer.ip().to_string()),
        ("x-originating-port", origin.peer.port().to_string()),
        ("x-connected-ip", origin.local.ip().to_string()),
        ("x-connected-port", origin.local.port().to_string()),
        ("x-session-ext-id", origin.session.clone()),
    ]
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

pub(super) async fn timed_within<T>(
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
    /// Connects, and counts it.
    pub(super) async fn dial(settings: &Settings, cx: &Arc<Context>) -> Result<Self, Error> {
        let (client, open) = dial(settings, cx).await?;
        Ok(Self { client, open })
    }

    /// Logs out, without waiting for the answer.
    pub(super) async fn logout(mut self) {
        self.client.logout().await;
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
