//! HTTP: the API for operators, metrics for Prometheus, probes for whoever balances load.
//!
//! A request comes in through [`listen`] and [`connections`], is counted by `count`, wrapped by [`envelope`] and
//! [`hosts`], shown to [`auth`] (with [`tokens`], [`token_file`] and [`rates`]), and answered by one of the [`routes`] or [`probes`]; what takes its time is bounded by `streams`.
//! What goes wrong anywhere leaves as a [`problem`].

pub mod audit;
pub mod auth;
pub mod bulk;
mod change;
pub mod connections;
mod count;
mod document;
pub mod domains;
pub mod drain;
pub mod envelope;
pub mod extract;
pub mod hosts;
pub mod listen;
pub mod probes;
pub mod problem;
pub mod rates;
mod redownload;
pub mod role;
pub mod routes;
pub mod sessions;
mod streams;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod token_file;
pub mod tokens;
pub mod unhide;
pub mod users;
mod view;
mod warnings;
pub mod waves;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tracing_appender::non_blocking::ErrorCounter;

use crate::config::{AdminAddress, Config, UserSeries};
use crate::net::tls::{self, TlsError};
use crate::serve::StartError;
use crate::session::Context;
use crate::store::Moves;
use crate::waves::count_moves;
use change::of_store as store_problem;
use connections::Ends;
use count::Count;
use hosts::Hosts;
use listen::Listener;
use problem::Problem;
use rates::Rates;
use token_file::TokenFile;

/// What all routes share.
#[derive(Clone)]
pub struct Shared {
    /// The proxy.
    pub cx: Arc<Context>,
    log_dropped: ErrorCounter,
    tokens: Arc<TokenFile>,
    rates: Arc<Rates>,
    /// What `/metrics/users` says, and of how many users.
    series: (UserSeries, usize),
}

impl Shared {
    /// Counts what was changed for many users.
    fn count(&self, moves: &[Moves]) {
        let configured = self.cx.settings.load().configured();
        count_moves(&self.cx.store, &self.cx.metrics, &configured, moves, Self::now());
    }
}

/// What a listener offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// The API, metrics and probes.
    Api,
    /// Metrics and probes.
    Metrics,
    /// Metrics of users, and probes.
    MetricsOfUsers,
}

impl Offer {
    /// The word in the LISTEN line, and the key in the configuration.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Api => ("admin", "admin.address"),
            Self::Metrics => ("metrics", "metrics.address"),
            Self::MetricsOfUsers => ("metrics-users", "metrics.users_address"),
        }
    }

    fn router(self, shared: Shared) -> Router {
        let router = match self {
            Self::Api => {
                let (api, _) = routes::api().split_for_parts();
                let api = api.layer(from_fn_with_state(shared.clone(), auth::authenticate));
                let users = probes::user_metrics(true, shared.clone());
                probes::probes().merge(probes::metrics()).merge(users).merge(api)
            }
            Self::Metrics => probes::probes().merge(probes::metrics()),
            Self::MetricsOfUsers => probes::probes().merge(probes::user_metrics(false, shared.clone())),
        };
        router.with_state(shared)
    }
}

/// Sockets that are bound.
#[derive(Debug)]
pub struct Bound(Vec<(Offer, Listener, AdminAddress)>);

/// Binds what the configuration names.
pub async fn bind(config: &Config) -> Result<Bound, StartError> {
    let tcp = |address: Option<_>| address.map(AdminAddress::Tcp);
    let wanted = [
        (Offer::Api, Some(config.admin.address.clone())),
        (Offer::Metrics, tcp(config.metrics.address)),
        (Offer::MetricsOfUsers, tcp(config.metrics.users_address)),
    ];
    let mut bound = Vec::new();
    for (offer, address) in wanted {
        let Some(address) = address else { continue };
        let error = |source| StartError::Bind { address: address.to_string(), key: offer.names().1, source };
        let listener = Listener::bind(&address).await.map_err(error)?;
        let as_bound = listener.address().map_err(error)?;
        bound.push((offer, listener, as_bound));
    }
    Ok(Bound(bound))
}

impl Bound {
    /// What each offers, and where.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &AdminAddress)> {
        self.0.iter().map(|(offer, _, address)| (offer.names().0, address))
    }
}

/// What serves. It outlives the POP3 listeners, so that a drain can be watched.
#[derive(Debug)]
pub struct Running {
    listeners: TaskTracker,
    ends: Ends,
}

impl Running {
    /// Ends it: requests under way are answered, but for those that take longer than a request for one user may take.
    /// When this returns, nobody here uses the state any more.
    pub async fn end(self) {
        self.ends.stop.cancel();
        if tokio::time::timeout(crate::api::DEADLINE, self.listeners.wait()).await.is_err() {
            tracing::warn!(
                "shutdown: requests to the API that take too long are cut off; whether they were carried out, the audit \
                trail says"
            );
            self.ends.cut.cancel();
            self.listeners.wait().await;
        }
    }
}

/// Begins to serve.
pub fn run(
    bound: Bound,
    config: &Config,
    cx: Arc<Context>,
    log_dropped: ErrorCounter,
) -> Result<Running, TlsError> {
    let tls = config.admin.tls.then(|| tls::server(Arc::clone(&cx.certificates), "http/1.1")).transpose()?;
    let tls = tls.map(TlsAcceptor::from);
    let shared = Shared {
        cx,
        log_dropped,
        tokens: Arc::new(TokenFile::open(config.admin.token_file.clone())),
        rates: Arc::new(Rates::new(config.admin.requests_per_second)),
        series: (config.metrics.users, usize::try_from(config.metrics.users_most).unwrap_or(usize::MAX)),
    };
    let count = Count::new(Arc::clone(&shared.cx), routes::names().into_iter().chain(probes::names()));
    let (listeners, ends) = (TaskTracker::new(), Ends::default());
    for (offer, listener, address) in bound.0 {
        let hosts = match address {
            AdminAddress::Tcp(address) => Hosts::of(address.ip()),
            AdminAddress::Unix(_) => Hosts::Any,
        };
        let router = around(offer.router(shared.clone()), hosts, count.clone());
        let tls = tls.clone().filter(|_| offer == Offer::Api);
        listeners.spawn(connections::serve(listener, tls, router, ends.clone()));
    }
    listeners.close();
    Ok(Running { listeners, ends })
}

/// What all listeners have in common.
fn around(router: Router, hosts: Hosts, count: Count) -> Router {
    let cx = Arc::clone(&count.cx);
    let panicked = move |_| -> Response {
        // The panic itself was written to the log by the hook.
        cx.metrics.process.panics.inc();
        Problem::internal().into_response()
    };
    router
        .layer(from_fn_with_state(hosts, hosts::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(envelope::envelope))
        .layer(from_fn_with_state(count, count::count))
}
