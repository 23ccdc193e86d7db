//! What is counted, as one value that is passed around: no statics, so that two proxies can run in one
//! process. Every label comes from a closed set, and every known series is there from the start with 0, so
//! that a dashboard never waits for a first event. No label ever names a user; the newest waves are named, and
//! come and go.

mod admin;
mod clients;
mod maildrops;
mod policy;
mod process;
mod register;
mod sessions;
mod store;
mod upstream;
mod usage;
mod waves;

use prometheus::{Encoder, Registry, TextEncoder};

pub use admin::{Admin, OTHER};
pub use clients::Clients;
pub use maildrops::Maildrops;
pub use policy::Policy;
pub use process::Process;
use register::Register;
pub use sessions::Sessions;
pub use store::Store;
pub use upstream::{AT_ONCE, Upstream};
pub use usage::{FAMILIES, TLS_VERSIONS, Usage};
pub use waves::{WaveShown, Waves};

/// Buckets for what a person waits for, in seconds.
const LATENCY: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// All metrics of one proxy.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections from clients, up to their login.
    pub clients: Clients,
    /// Sessions that are logged in.
    pub sessions: Sessions,
    /// Connections to the upstream.
    pub upstream: Upstream,
    /// Maildrop snapshots.
    pub maildrops: Maildrops,
    /// Changes of policy.
    pub policy: Policy,
    /// The state store.
    pub store: Store,
    /// Waves.
    pub waves: Waves,
    /// Who uses POP3.
    pub usage: Usage,
    /// Requests over HTTP.
    pub admin: Admin,
    /// The process itself.
    pub process: Process,
}

impl Metrics {
    /// All metrics, at zero. `listeners` are the labels of the listeners.
    pub fn new(listeners: &[String]) -> Result<Self, prometheus::Error> {
        let to = Register(Registry::new());
        Ok(Self {
            clients: Clients::new(&to, listeners)?,
            sessions: Sessions::new(&to)?,
            upstream: Upstream::new(&to)?,
            maildrops: Maildrops::new(&to)?,
            policy: Policy::new(&to)?,
            store: Store::new(&to)?,
            waves: Waves::new(&to)?,
            usage: Usage::new(&to)?,
            admin: Admin::new(&to)?,
            process: Process::new(&to)?,
            registry: to.0,
        })
    }

    /// All of them in Prometheus's text format 0.0.4.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_start() {
        let metrics = Metrics::new(&["127.0.0.1:110".to_owned()]).expect("metrics");
        let text = String::from_utf8(metrics.encode().expect("text")).expect("UTF-8");
        for series in [
            "lastpop_connections_accepted_total{listener=\"127.0.0.1:110\"} 0",
            "lastpop_auth_attempts_total{method=\"plain\",result=\"bad_credentials\"} 0",
            "lastpop_commands_total{command=\"RETR\",result=\"err\"} 0",
            "lastpop_messages_marked_results_total{result=\"confirmed\"} 0",
            "lastpop_upstream_connects_total{result=\"timeout\"} 0",
            "lastpop_upstream_commands_total{command=\"STORE\",result=\"ok\"} 0",
            "lastpop_maildrop_snapshots_total{result=\"doubtful\"} 0",
            "lastpop_build_info{version=",
        ] {
            assert!(text.contains(series), "{series}");
        }
    }
}
