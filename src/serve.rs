//! The life of the process: bind, say READY, serve, reload on SIGHUP, drain on SIGTERM.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::background::Background;
use crate::config::{self, Config, Verify};
use crate::fleet;
use crate::listener::{self, Bound, Gate};
use crate::metrics::Metrics;
use crate::session::Context;
use crate::store::Store;
use crate::usage;
use crate::waves;

/// How long an UPDATE may go on after everything else has ended.
const UPDATE: Duration = Duration::from_secs(30);

/// How long sessions have to notice that they are closed.
const CLOSE: Duration = Duration::from_secs(10);

/// What takes no longer than this needs no word in the log.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a step of a wave that has begun may take at last; one that moves a million users takes a minute.
const WAVES: Duration = Duration::from_mins(3);

/// How long writing what was learnt about users may take at last.
const USAGE: Duration = Duration::from_mins(3);

/// Why the process cannot start, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(#[from] config::ConfigError),
    /// A certificate or a CA file cannot be used.
    #[error("{0}")]
    Tls(#[from] crate::net::tls::TlsError),
    /// A file that the configuration names cannot be used.
    #[error("{0}")]
    Settings(#[from] crate::session::context::SettingsError),
    /// `log.level` cannot be understood.
    #[error("{0}")]
    Log(String),
    /// The state store cannot be used.
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {source}{}", advice(source))]
    Bind {
        /// The address.
        address: String,
        /// Its key in the configuration.
        key: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was found out cannot be told.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
    /// A task ended that should not have.
    #[error(
        "{0} ended by itself, so lastpop has ended as well, as on SIGTERM; the log may say why. Start it again: \
        a service manager does so by itself"
    )]
    Ended(&'static str),
    /// Something that should not fail.
    #[error("{0}")]
    Internal(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// What to do about an address that cannot be listened on, where it is clear.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; is another lastpop running, or another server? Stop it, or take another port"
        }
        std::io::ErrorKind::AddrNotAvailable => "; it is no address of this machine",
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE"
        }
        _ => "",
    }
}

/// Serves until SIGTERM or SIGINT. An error when it could not start, or has ended for another reason.
pub async fn serve(path: &Path) -> Result<(), StartError> {
    let config = config::load(path)?;
    let logging = crate::logging::start(&config.log).map_err(StartError::Log)?;

    // 1. Everything that can fail, fails before READY.
    let bound = config.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let admin = admin::bind(&config).await?;
    let labels: Vec<String> = bound.iter().map(|bound| bound.label.clone()).collect();
    let store = Store::open(&config.state.url, now()).await?;
    let metrics = Metrics::new(&labels).map_err(internal)?;
    let cx = Arc::new(Context::new(&config, metrics, store)?);
    loaded(&cx, &config);
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(internal)?;

    // 2. Serve.
    announce(&bound, &admin).map_err(internal)?;
    let mut background = Background::default();
    let gate = Gate::new(sessions(config.limits.sessions));
    let sessions = TaskTracker::new();
    for bound in bound {
        let run =
            listener::run(bound, config.login.plaintext, gate.clone(), Arc::clone(&cx), sessions.clone());
        sessions.spawn(background.watched("a listener", run));
    }
    let stop_usage = CancellationToken::new();
    let usage = usage::run::run(Arc::clone(&cx), stop_usage.clone());
    let usage = tokio::spawn(background.watched("the task that writes usage", usage));
    let admin = admin::run(admin, &config, Arc::clone(&cx), logging.dropped.clone())?;
    let stop_following = CancellationToken::new();
    let following = fleet::follow(Arc::clone(&cx), stop_following.clone());
    let following = tokio::spawn(background.watched("the task that follows other proxies", following));
    let waves = carry_out_waves(Arc::clone(&cx));
    let waves = tokio::spawn(background.watched("the task that carries out waves", waves));
    notify(&[sd_notify::NotifyState::Ready]);
    let ended = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            () = cx.drain.cancelled() => break None,
            task = background.ended() => break Some(task),
            _ = hangup.recv() => reload(path, &config, &cx),
        }
    };
    if let Some(task) = ended {
        tracing::error!(
            task,
            "something ended that lastpop cannot do without: it ends as well, to be started again"
        );
    }

    // 3. Drain.
    let drain = cx.settings.load().limits.drain_timeout;
    tracing::info!(?drain, "shutdown: no new connections; sessions may finish");
    notify(&[sd_notify::NotifyState::Stopping]);
    cx.metrics.process.draining.set(1);
    cx.drained_at.get_or_init(now);
    cx.draining.cancel();
    cx.store.hand_over();
    sessions.close();
    tokio::select! {
        ended = timeout(drain, sessions.wait()) => if ended.is_err() {
            tracing::info!(sessions = sessions.len(), "shutdown: the time is over; closing what is left");
        },
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cx.closing.cancel();
    // First those that are not in UPDATE: after that no further UPDATE can begin.
    let _ = timeout(CLOSE, sessions.wait()).await;
    cx.updates.close();
    if timeout(UPDATE, cx.updates.wait()).await.is_err() {
        tracing::error!(updates = cx.updates.len(), "shutdown: the upstream does not finish hiding messages");
    }
    // And their replies.
    let _ = timeout(CLOSE, sessions.wait()).await;
    // A file has one writer: usage comes after the step.
    end_waves(waves).await;
    stop_usage.cancel();
    if timeout(USAGE, usage).await.is_err() {
        tracing::error!(
            "shutdown: the state takes too long to write what was learnt about users; some of it is lost"
        );
    }
    stop_following.cancel();
    let _ = following.await;
    // Last of those that use the state: until now the API shows how far the drain is.
    admin.end().await;
    // Who was broken off in the middle of a statement may hold it up.
    let _ = timeout(CLOSE, cx.store.close()).await;
    tracing::info!("shutdown: done");
    ended.map_or(Ok(()), |task| Err(StartError::Ended(task)))
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Internal(Box::new(error))
}

fn bind(listen: &config::Listen) -> Result<Bound, StartError> {
    listener::bind(listen).map_err(|source| StartError::Bind {
        address: listen.address.to_string(),
        key: "listen.address",
        source,
    })
}

/// Tells whoever started us where we are, on stdout: one line for each listener, then READY.
fn announce(bound: &[Bound], admin: &admin::Bound) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for bound in bound {
        writeln!(out, "LISTEN pop3 {} {}", bound.label, bound.listen.tls.label())?;
    }
    for (name, address) in admin.addresses() {
        writeln!(out, "LISTEN {name} {address}")?;
    }
    writeln!(out, "READY")?;
    out.flush()
}

/// Replaces what can be replaced; a file that cannot be used changes nothing.
fn reload(path: &Path, running: &Config, cx: &Context) {
    notify(&[sd_notify::NotifyState::Reloading]);
    let result = config::load(path).map_err(StartError::from).and_then(|config| {
        cx.reload(&config)?;
        Ok(config)
    });
    match result {
        Ok(config) => {
            let fixed = [
                ("listen", config.listen != running.listen),
                ("login", config.login != running.login),
                ("limits.sessions", config.limits.sessions != running.limits.sessions),
                ("users", config.users != running.users),
                ("state", config.state != running.state),
                ("usage", config.usage != running.usage),
                ("admin", config.admin != running.admin),
                ("metrics", config.metrics != running.metrics),
                ("log", config.log != running.log),
                ("tls.certificates", cx.acceptor.is_none() && !config.tls.certificates.is_empty()),
            ];
            for (key, _) in fixed.iter().filter(|(_, changed)| *changed) {
                tracing::warn!(key, "this was changed, and takes effect only at a restart");
            }
            // Last: who reads that it was reloaded can rely on all of it, metrics included.
            loaded(cx, &config);
            tracing::info!(path = %path.display(), "the configuration and the certificates were reloaded");
        }
        Err(error) => {
            cx.metrics.process.reload_successful.set(0);
            tracing::error!(%error, "the configuration was not reloaded; the old one stays in force");
        }
    }
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Carries out waves until the drain.
async fn carry_out_waves(cx: Arc<Context>) {
    let configured = || cx.settings.load().configured();
    Box::pin(waves::run(&cx.store, &cx.metrics, configured, now, &cx.draining)).await;
}

/// A step that has begun is carried out to its end, if that comes soon; otherwise nothing of it is done, and whoever
/// looks next begins anew.
async fn end_waves(mut waves: JoinHandle<()>) {
    if timeout(AT_ONCE, &mut waves).await.is_ok() {
        return;
    }
    tracing::info!(longest = ?WAVES, "shutdown: a step of a wave that has begun is carried out to its end");
    if timeout(WAVES, &mut waves).await.is_err() {
        tracing::error!(
            "shutdown: the step takes too long and is broken off; it will be carried out by whoever is next"
        );
        waves.abort();
    }
}

/// Unix seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn loaded(cx: &Context, config: &Config) {
    cx.metrics.process.reload_time.set(now());
    cx.metrics.process.reload_successful.set(1);
    let unverified = config.upstream.verify == Verify::Off;
    cx.metrics.upstream.unverified.set(i64::from(unverified));
    if unverified {
        tracing::warn!(
            "upstream.verify is \"off\": whoever stands between lastpop and the IMAP server reads every password"
        );
    }
    if let Some(master) = &config.upstream.master {
        tracing::info!(user = master.user, "hidden mail is shown again at once, with the master credentials");
    }
}

/// The configured number, or as many as the descriptors allow: two for each session, and some for us.
fn sessions(configured: u32) -> u32 {
    const OURS: u64 = 64;
    let allowed = open_files().map_or(u64::from(configured), |files| files.saturating_sub(OURS) / 2);
    let allowed = u32::try_from(allowed).unwrap_or(u32::MAX).max(1);
    if allowed < configured {
        tracing::warn!(
            configured,
            allowed,
            "limits.sessions is more than the limit of open files allows; raise LimitNOFILE (ulimit -n)"
        );
    }
    configured.min(allowed)
}

/// The soft limit of open files, as the kernel shows it.
fn open_files() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(state);
}
