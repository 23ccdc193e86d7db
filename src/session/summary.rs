//! The story of one session: a line at login, a line at the end, with the field names that Dovecot's logs
//! have taught support desks to search for (`rip`, `lip`, `session`, `top`, `retr`, `del`, `size`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::open::{Opened, Refused};
use super::pop::Lost;
use super::retr::{Broken, Sent};
use super::update::Outcome;
use super::{Arrival, answer};
use crate::family::{self, Family, Trace};
use crate::live;
use crate::policy::Mode;
use crate::pop3::authorization::Method;
use crate::pop3::{Portion, Source};
use crate::usage::{Ended, Login, Mailbox, UNKNOWN};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client said QUIT.
    Quit,
    /// It went away without QUIT.
    Dropped,
    /// It was silent for too long.
    Timeout,
    /// We are shutting down.
    Shutdown,
    /// An operator ended it.
    Kicked,
    /// The upstream broke off inside a message.
    UpstreamLost,
    /// It sent too many commands that cannot be carried out.
    BadCommands,
    /// It was sent away before login: TLS failed, wrong passwords, nonsense.
    Refused,
}

impl End {
    const fn label(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Dropped => "dropped",
            Self::Timeout => "timeout",
            Self::Shutdown => "shutdown",
            Self::Kicked => "kicked",
            Self::UpstreamLost => "upstream_lost",
            Self::BadCommands => "bad_commands",
            Self::Refused => "refused",
        }
    }
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Dropped => Self::Dropped,
            Lost::Timeout => Self::Timeout,
        }
    }
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Client(lost) => lost.into(),
            Broken::Upstream(_) => Self::UpstreamLost,
        }
    }
}

/// What happened so far.
#[derive(Debug)]
pub struct Summary {
    /// The session's id.
    pub session: String,
    /// Cancelled when an operator ends this session.
    pub kick: CancellationToken,
    /// What the client said, for a guess at which program it is.
    pub trace: Trace,
    peer: SocketAddr,
    local: SocketAddr,
    listener: String,
    begun: Instant,
    user: Option<String>,
    active: Option<Active>,
    messages: usize,
    octets: u64,
    /// What was in the mailbox at login, unless nobody looked.
    mailbox: Option<Mailbox>,
    /// What earlier sessions told, if they told anything.
    family: Option<Family>,
    retr: (u64, u64),
    top: (u64, u64),
    /// Messages of the mailbox that were retrieved whole, and what was sent for them. The notice is ours: that it is
    /// read says nothing about the use of POP3.
    mail: (u64, u64),
    update: Outcome,
    cx: Arc<Context>,
}

impl Summary {
    /// Begins at accept.
    pub fn new(arrival: &Arrival, cx: Arc<Context>) -> Self {
        Self {
            session: crate::random::session_id(),
            kick: CancellationToken::new(),
            peer: arrival.peer,
            local: arrival.local,
            listener: arrival.listener.clone(),
            trace: Trace::default(),
            begun: Instant::now(),
            user: None,
            active: None,
            messages: 0,
            octets: 0,
            mailbox: None,
            family: None,
            retr: (0, 0),
            top: (0, 0),
            mail: (0, 0),
            update: Outcome::default(),
            cx,
        }
    }

    /// A password was accepted.
    pub fn logged_in(&mut self, user: String, method: Method, tls: Option<&'static str>, opened: &Opened) {
        (self.messages, self.octets) = opened.transaction.maildrop().stat();
        self.mailbox = opened.mailbox;
        self.cx.metrics.clients.auth_attempts.with_label_values(&[method.label(), "ok"]).inc();
        self.active = Some(Active::new(Arc::clone(&self.cx), self.live(opened, tls)));
        tracing::info!(
            user, method = method.label(), rip = %self.peer.ip(), lip = %self.local.ip(),
            session = self.session, tls = tls.unwrap_or("none"),
            messages = self.messages, size = self.octets,
            hidden = self.mailbox.map_or(0, |mailbox| mailbox.hidden_messages),
            "login"
        );
        self.user = Some(user);
        let facts = &opened.facts;
        // A later lastpop may know families that this one does not: they count as told, and are not kept.
        let told = facts.family.as_deref().map(|word| word.parse().unwrap_or_default());
        self.family = told.filter(|_| facts.family.as_deref() != Some(UNKNOWN));
        let (at, address) = (jiff::Timestamp::now().as_second(), self.peer.ip());
        if opened.mode == Mode::ImapOnly {
            // Who is shown nothing but the farewell does not use POP3: it is a refusal in another form.
            return self.cx.usage.refused(&opened.user, at, address);
        }
        let (method, mailbox, previous) = (method.label(), opened.mailbox, facts.last_seen);
        self.cx.usage.login(&opened.user, &Login { at, address, tls, method, mailbox, previous });
    }

    /// What operators see of it.
    fn live(&self, opened: &Opened, tls: Option<&'static str>) -> live::Session {
        live::Session {
            id: self.session.clone(),
            user: opened.user.clone(),
            mode: opened.mode,
            progress: live::Progress::default(),
            peer: self.peer.ip(),
            local: self.local.ip(),
            listener: self.listener.clone(),
            since: jiff::Timestamp::now().as_second(),
            tls,
            kick: self.kick.clone(),
        }
    }

    /// A password was not accepted, for whatever reason.
    pub fn login_failed(&self, user: &str, method: Method, refused: &Refused) {
        let result = answer::login_label(refused);
        self.cx.metrics.clients.auth_attempts.with_label_values(&[method.label(), result]).inc();
        let reason = match refused {
            Refused::TooMany => "too many sessions of this user".to_owned(),
            Refused::Upstream(error) => error.to_string(),
            Refused::Mode(refusal) => {
                self.cx.metrics.clients.refused_logins.with_label_values(&[refusal.mode.as_str()]).inc();
                format!("the user's mode is {}", refusal.mode.as_str())
            }
            Refused::Store(error) => error.to_string(),
        };
        tracing::info!(
            user, method = method.label(), rip = %self.peer.ip(), lip = %self.local.ip(),
            session = self.session, result, reason,
            "login failed"
        );
    }

    /// RETR or TOP was answered, or cut off.
    pub fn sent(&mut self, source: Source, portion: Portion, sent: &Result<Sent, Broken>) {
        let (count, verb) = match portion {
            Portion::Whole => (&mut self.retr, "RETR"),
            Portion::Top(_) => (&mut self.top, "TOP"),
        };
        let result = match sent {
            Ok(Sent::Complete { octets }) => {
                count.0 += 1;
                count.1 += octets;
                if let Some(active) = self.active.as_ref().filter(|_| portion.is_retrieval()) {
                    let progress = active.live.progress();
                    progress.messages.fetch_add(1, Ordering::Relaxed);
                    progress.octets.fetch_add(*octets, Ordering::Relaxed);
                }
                if portion.is_retrieval() && source != Source::Notice {
                    self.mail.0 += 1;
                    self.mail.1 += octets;
                }
                "complete"
            }
            Ok(Sent::Refused | Sent::Vanished) => "refused",
            Err(Broken::Client(_)) => "aborted",
            Err(Broken::Upstream(error)) => {
                let session = self.session.as_str();
                tracing::warn!(session, %error, "the upstream broke off inside a message: the client is reset");
                "aborted"
            }
        };
        self.cx.metrics.sessions.retrievals.with_label_values(&[verb, result]).inc();
    }

    /// So many messages are marked as deleted now.
    pub fn marked(&self, messages: usize) {
        if let Some(active) = &self.active {
            active.live.progress().marked.store(messages as u64, Ordering::Relaxed);
        }
    }

    /// UPDATE is over.
    pub const fn updated(&mut self, outcome: Outcome) {
        self.update = outcome;
    }

    /// What is in the mailbox, if UPDATE has changed it.
    fn left_in_the_mailbox(&self) -> Option<Mailbox> {
        let (messages, octets) = self.update.hidden;
        let before = self.mailbox.filter(|_| messages > 0)?;
        Some(Mailbox {
            messages: before.messages.saturating_sub(messages),
            octets: before.octets.saturating_sub(octets),
            hidden_messages: before.hidden_messages.saturating_add(messages),
            hidden_octets: before.hidden_octets.saturating_add(octets),
        })
    }

    /// The connection is over.
    pub fn ended(self, end: End) {
        let metrics = &self.cx.metrics;
        metrics.sessions.ended.with_label_values(&[end.label()]).inc();
        let Some(user) = &self.user else {
            tracing::debug!(rip = %self.peer.ip(), session = self.session, result = end.label(), "connection ended");
            return;
        };
        let family = family::guess(&self.trace);
        metrics.sessions.duration.observe(self.begun.elapsed().as_secs_f64());
        tracing::debug!(session = self.session, trace = %self.trace, "commands");
        tracing::info!(
            user, rip = %self.peer.ip(), lip = %self.local.ip(), session = self.session, result = end.label(),
            top = format!("{}/{}", self.top.0, self.top.1),
            retr = format!("{}/{}", self.retr.0, self.retr.1),
            del = format!("{}/{}", self.update.confirmed, self.messages),
            size = self.octets, failed = self.update.failed,
            secs = self.begun.elapsed().as_secs(), family = family.as_str(),
            "session ended"
        );
        if let Some(active) = &self.active {
            let session = active.live.session();
            self.cx.usage.ended(
                &session.user,
                &Ended {
                    at: jiff::Timestamp::now().as_second(),
                    messages: self.mail.0,
                    octets: self.mail.1,
                    deleted: self.update.confirmed - usize::from(self.update.notice),
                    family: self.family.unwrap_or_default().remember(family).as_str(),
                    mailbox: self.left_in_the_mailbox(),
                    family_known: self.family.is_some(),
                },
            );
        }
        // Last: who sees that nobody is left can rely on all of the above.
        drop(self.active);
    }
}

/// Counts and is found among the sessions that are logged in, even if the session ends in a panic.
#[derive(Debug)]
struct Active {
    cx: Arc<Context>,
    live: live::Entry,
}

impl Active {
    fn new(cx: Arc<Context>, session: live::Session) -> Self {
        cx.metrics.sessions.active.inc();
        Self { live: cx.live.enter(session), cx }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.cx.metrics.sessions.active.dec();
    }
}
