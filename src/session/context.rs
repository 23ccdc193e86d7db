//! What all sessions of one process share, and what each takes of the configuration when it begins.

use std::sync::{Arc, Once, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::master::{self, MasterError};
use super::server::Server;
use super::verified::Verified;
use crate::config::{Config, Domains, Limits, Maildrop, Notices, Policy, UpstreamTls};
use crate::imap::Master;
use crate::imap::client::Terms;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::net::Dialer;
use crate::net::tls::{self, Certificates, TlsError};
use crate::notice::Templates;
use crate::policy::Windows;
use crate::slots::Slots;
use crate::store::{Configured, Store};
use crate::templates::{self, TemplatesError};
use crate::usage::Ledger;
use crate::users::{Names, UserName};

/// Shared by all sessions.
pub struct Context {
    /// Replaced as a whole on reload; a session keeps what it began with.
    pub settings: ArcSwap<Settings>,
    /// The certificates, replaced on reload.
    pub certificates: Arc<Certificates>,
    /// TLS for clients, if there is a certificate.
    pub acceptor: Option<TlsAcceptor>,
    /// What is counted.
    pub metrics: Metrics,
    /// What must outlive the process.
    pub store: Store,
    /// Passwords of users whom we refuse.
    pub verified: Verified,
    /// Who uses POP3.
    pub usage: Ledger,
    /// Sessions by user, for `limits.sessions_per_user`.
    pub users: Slots<UserName>,
    /// Sessions that are logged in.
    pub live: Live,
    /// Somebody asks for shutdown, as SIGTERM does.
    pub drain: CancellationToken,
    /// When shutdown began, in Unix seconds.
    pub drained_at: OnceLock<i64>,
    /// Shutdown has begun: who is not logged in is sent away.
    pub draining: CancellationToken,
    /// `limits.drain_timeout` is over: sessions end now, except for their UPDATE.
    pub closing: CancellationToken,
    /// Orders that can still be carried out with master credentials at this moment.
    pub masters: Semaphore,
    /// UPDATE states and such orders under way. The process ends after them.
    pub updates: TaskTracker,
}

/// A file that the configuration names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A certificate or a CA file.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A template of a notice.
    #[error("{0}")]
    Templates(#[from] TemplatesError),
    /// The master password.
    #[error("{0}")]
    Master(#[from] MasterError),
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What of the configuration a session needs.
#[derive(Debug)]
pub struct Settings {
    /// How names become users.
    pub names: Names,
    /// Bounds.
    pub limits: Limits,
    /// How a mailbox is shown.
    pub maildrop: Maildrop,
    /// What POP3 does for whom.
    pub policy: Policy,
    /// When a brownout refuses.
    pub windows: Windows,
    /// What is different for single domains.
    pub domains: Domains,
    /// Which notice there is.
    pub notices: Notices,
    /// How notices read.
    pub templates: Templates,
    /// Called when somebody was told that notices lack their page.
    pub no_page: Once,
    /// Where the upstream is.
    pub dialer: Dialer,
    /// How to speak to it.
    pub terms: Terms,
    /// What sessions know of it between them.
    pub server: Arc<Server>,
    /// What opens any user's mailbox there, for orders and never for a session.
    pub master: Option<Master>,
}

impl Context {
    /// Everything from the configuration. Fails when a certificate or a CA file cannot be used.
    pub fn new(config: &Config, metrics: Metrics, store: Store) -> Result<Self, SettingsError> {
        let certificates = Arc::new(Certificates::load(certificate_files(config))?);
        let acceptor = if config.tls.certificates.is_empty() {
            None
        } else {
            Some(TlsAcceptor::from(tls::server(Arc::clone(&certificates), "pop3")?))
        };
        Ok(Self {
            settings: ArcSwap::from_pointee(Settings::new(config)?),
            certificates,
            acceptor,
            usage: Ledger::new(&config.usage, config.metrics.users_most, metrics.usage.clone()),
            metrics,
            store,
            verified: Verified::default(),
            users: Slots::default(),
            live: Live::default(),
            drain: CancellationToken::new(),
            drained_at: OnceLock::new(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            masters: Semaphore::new(master::MOST),
            updates: TaskTracker::new(),
        })
    }

    /// Takes over a new configuration and the certificates that its files hold now; nothing is changed
    /// when one of them cannot be used.
    pub fn reload(&self, config: &Config) -> Result<(), SettingsError> {
        let mut settings = Settings::new(config)?;
        // What is in the state is under the names of the start.
        settings.names = self.settings.load().names.clone();
        self.certificates.reload(certificate_files(config))?;
        self.settings.store(Arc::new(settings));
        Ok(())
    }
}

impl Settings {
    /// The modes that the configuration names, for what is decided about many users at once.
    pub fn configured(&self) -> Configured {
        let domains = self.domains.iter().filter_map(|(name, domain)| Some((name.to_owned(), domain.mode?)));
        Configured { mode: self.policy.mode, domains: domains.collect() }
    }

    /// From the configuration and the files that it names.
    pub fn new(config: &Config) -> Result<Self, SettingsError> {
        let upstream = &config.upstream;
        Ok(Self {
            names: config.users.clone(),
            limits: config.limits.clone(),
            maildrop: config.maildrop.clone(),
            policy: config.policy.clone(),
            windows: config.policy.windows(),
            domains: config.domains.clone(),
            notices: config.notices.clone(),
            templates: templates::for_config(config)?,
            no_page: Once::new(),
            dialer: Dialer::Network {
                addresses: upstream.address.clone(),
                connect_timeout: upstream.connect_timeout,
                tls: tls::client(upstream.verify, upstream.ca_file.as_deref())?,
                implicit: upstream.tls == UpstreamTls::Implicit,
            },
            terms: Terms {
                starttls: upstream.tls == UpstreamTls::StartTls,
                response_timeout: upstream.response_timeout,
            },
            server: Arc::new(Server::new(upstream, &config.cache)),
            master: upstream.master.as_ref().map(master::load).transpose()?.map(|(master, _)| master),
        })
    }
}

fn certificate_files(config: &Config) -> impl Iterator<Item = (&std::path::Path, &std::path::Path)> {
    config.tls.certificates.iter().map(|files| (files.chain.as_path(), files.key.as_path()))
}
