//! What is counted, as one value that is passed around: no statics, so that two proxies can run in one
//! process. Every label comes from a closed set, and every known series is there from the start with 0, so
//! that a dashboard never waits for a first event. No label ever names a user.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

/// Buckets for what a person waits for, in seconds.
const LATENCY: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Buckets for whole sessions, in seconds.
const SESSION: [f64; 12] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Buckets for messages, in octets.
const SIZE: [f64; 9] = [1e3, 4e3, 1.6e4, 6.4e4, 2.56e5, 1e6, 4e6, 1.6e7, 6.4e7];

/// Labels that are counted: the names a label can have, all known beforehand.
pub mod labels {
    /// Why a connection was not served.
    pub const REJECTED: [&str; 3] = ["max_total", "max_per_address", "gone"];
    /// How a TLS handshake ended.
    pub const TLS: [&str; 4] = ["TLSv1.2", "TLSv1.3", "failed", "timeout"];
    /// How a login ended.
    pub const AUTH: [&str; 6] =
        ["ok", "bad_credentials", "too_many", "permanent", "upstream_unavailable", "internal"];
    /// How a session ended.
    pub const SESSION: [&str; 7] =
        ["quit", "dropped", "timeout", "shutdown", "upstream_lost", "bad_commands", "refused"];
    /// What became of a message marked by DELE.
    pub const DELE: [&str; 3] = ["confirmed", "failed", "discarded"];
    /// How RETR and TOP ended.
    pub const RETRIEVAL: [&str; 3] = ["complete", "refused", "aborted"];
}

/// All metrics of one proxy.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections accepted, by listener.
    pub connections_accepted: IntCounterVec,
    /// Connections that are open, by listener.
    pub connections_active: IntGaugeVec,
    /// Connections that were not served, by listener and reason.
    pub connections_rejected: IntCounterVec,
    /// TLS handshakes with clients, by listener and result.
    pub tls_handshakes: IntCounterVec,
    /// Login attempts that went as far as a user name and a password, by method and result.
    pub auth_attempts: IntCounterVec,
    /// Accepted logins whose password came without TLS.
    pub plaintext_logins: IntCounter,
    /// From the password to its answer.
    pub login_duration: Histogram,
    /// Sessions that are logged in.
    pub sessions_active: IntGauge,
    /// Connections that ended, by how.
    pub sessions: IntCounterVec,
    /// From accept to close, of sessions that were logged in.
    pub session_duration: Histogram,
    /// POP3 commands, by verb and indicator.
    pub commands: IntCounterVec,
    /// From a whole command line to its reply in the output, by verb.
    pub command_duration: HistogramVec,
    /// RETR and TOP, by end.
    pub retrievals: IntCounterVec,
    /// From RETR to the body's first octets in the output.
    pub first_byte: Histogram,
    /// Size of messages retrieved.
    pub message_size: Histogram,
    /// Messages whose size was not the one that was listed.
    pub size_mismatches: IntCounter,
    /// Messages whose line ends had to be mended.
    pub mended: IntCounter,
    /// Messages marked by DELE.
    pub dele_marked: IntCounter,
    /// Messages marked by DELE in sessions that go on.
    pub dele_pending: IntGauge,
    /// What became of the marked ones: marked = confirmed + failed + discarded + pending.
    pub dele: IntCounterVec,
    /// Octets received from clients, without TLS's own.
    pub client_received: IntCounter,
    /// Octets sent to clients.
    pub client_sent: IntCounter,
    /// Octets received from upstreams.
    pub upstream_received: IntCounter,
    /// Octets sent to upstreams.
    pub upstream_sent: IntCounter,
    /// Connections to the upstream, by result: `ok` or an error's label.
    pub upstream_connects: IntCounterVec,
    /// Connecting, TLS and greeting.
    pub upstream_connect_duration: Histogram,
    /// Open connections to the upstream.
    pub upstream_connections_active: IntGauge,
    /// What was asked of the upstream, by step and result: `ok` or an error's label.
    pub upstream_commands: IntCounterVec,
    /// How long it took, by step.
    pub upstream_command_duration: HistogramVec,
    /// 1 if the last connection to the upstream worked.
    pub upstream_up: IntGauge,
    /// 1 if the upstream's certificate is not checked.
    pub upstream_unverified: IntGauge,
    /// Tasks that ended in a panic.
    pub panics: IntCounter,
    /// 1 once shutdown has begun.
    pub draining: IntGauge,
    /// 1 if the last reload of the configuration worked.
    pub reload_successful: IntGauge,
    /// When the configuration was last loaded, in Unix seconds.
    pub reload_time: IntGauge,
}

/// What is asked of an upstream, as labels.
pub const UPSTREAM_STEPS: [&str; 6] = ["ID", "LOGIN", "SELECT", "LIST", "FETCH", "STORE"];

impl Metrics {
    /// All metrics, at zero. `listeners` are the labels of the listeners.
    pub fn new(listeners: &[String]) -> Result<Self, prometheus::Error> {
        let to = Register(Registry::new());
        let listeners: Vec<&str> = listeners.iter().map(String::as_str).collect();
        let mut errors = vec!["ok"];
        errors.extend(crate::imap::Error::LABELS);
        let methods = crate::pop3::authorization::Method::ALL.map(crate::pop3::authorization::Method::label);
        let mut verbs = crate::pop3::command::LABELS.to_vec();
        verbs.push("other");
        let metrics = Self {
            connections_accepted: to.counters(
                "connections_accepted_total",
                "Connections accepted.",
                &[("listener", &listeners)],
            )?,
            connections_active: to.gauges(
                "connections_active",
                "Connections that are open.",
                ("listener", &listeners),
            )?,
            connections_rejected: to.counters(
                "connections_rejected_total",
                "Connections that were not served.",
                &[("listener", &listeners), ("reason", &labels::REJECTED)],
            )?,
            tls_handshakes: to.counters(
                "tls_handshakes_total",
                "TLS handshakes with clients, by version or failure.",
                &[("listener", &listeners), ("result", &labels::TLS)],
            )?,
            auth_attempts: to.counters(
                "auth_attempts_total",
                "Login attempts with a user name and a password.",
                &[("method", &methods), ("result", &labels::AUTH)],
            )?,
            plaintext_logins: to
                .counter("plaintext_logins_total", "Accepted logins whose password came without TLS.")?,
            login_duration: to.histogram(
                "login_duration_seconds",
                "From the password to the answer.",
                &LATENCY,
            )?,
            sessions_active: to.gauge("sessions_active", "Sessions that are logged in.")?,
            sessions: to.counters(
                "sessions_total",
                "Connections that ended, by how.",
                &[("result", &labels::SESSION)],
            )?,
            session_duration: to.histogram(
                "session_duration_seconds",
                "From accept to close, of sessions that were logged in.",
                &SESSION,
            )?,
            commands: to.counters(
                "commands_total",
                "POP3 commands.",
                &[("command", &verbs), ("result", &["ok", "err"])],
            )?,
            command_duration: to.histograms(
                "command_duration_seconds",
                "From a command to its reply.",
                ("command", &verbs),
                &LATENCY,
            )?,
            retrievals: to.counters(
                "retrievals_total",
                "RETR and TOP commands, by end.",
                &[("command", &["RETR", "TOP"]), ("result", &labels::RETRIEVAL)],
            )?,
            first_byte: to.histogram(
                "retr_first_byte_seconds",
                "From RETR to the first octets of the message.",
                &LATENCY,
            )?,
            message_size: to.histogram(
                "message_size_bytes",
                "Size of messages that were retrieved whole.",
                &SIZE,
            )?,
            size_mismatches: to
                .counter("message_size_mismatches_total", "Messages whose size was not the listed one.")?,
            mended: to
                .counter("messages_mended_total", "Messages with a bare LF or without a final line end.")?,
            dele_marked: to.counter(
                "messages_marked_deleted_total",
                "Messages marked by DELE; RSET takes the mark away and counts as discarded.",
            )?,
            dele_pending: to
                .gauge("messages_marked_pending", "Messages marked by DELE in sessions that go on.")?,
            dele: to.counters(
                "messages_marked_results_total",
                "What became of messages marked by DELE.",
                &[("result", &labels::DELE)],
            )?,
            client_received: to.counter("client_received_bytes_total", "Octets received from clients.")?,
            client_sent: to.counter("client_sent_bytes_total", "Octets sent to clients.")?,
            upstream_received: to
                .counter("upstream_received_bytes_total", "Octets received from the upstream.")?,
            upstream_sent: to.counter("upstream_sent_bytes_total", "Octets sent to the upstream.")?,
            upstream_connects: to.counters(
                "upstream_connects_total",
                "Connections to the upstream, by result.",
                &[("result", &errors)],
            )?,
            upstream_connect_duration: to.histogram(
                "upstream_connect_duration_seconds",
                "Connecting, TLS and greeting.",
                &LATENCY,
            )?,
            upstream_connections_active: to
                .gauge("upstream_connections_active", "Open connections to the upstream.")?,
            upstream_commands: to.counters(
                "upstream_commands_total",
                "What was asked of the upstream, by result.",
                &[("command", &UPSTREAM_STEPS), ("result", &errors)],
            )?,
            upstream_command_duration: to.histograms(
                "upstream_command_duration_seconds",
                "How long the upstream took.",
                ("command", &UPSTREAM_STEPS),
                &LATENCY,
            )?,
            upstream_up: to.gauge("upstream_up", "1 if the last connection to the upstream worked.")?,
            upstream_unverified: to
                .gauge("upstream_tls_unverified", "1 if the upstream's certificate is not checked.")?,
            panics: to.counter("panics_total", "Sessions that ended in a panic.")?,
            draining: to.gauge("draining", "1 once shutdown has begun.")?,
            reload_successful: to.gauge(
                "config_last_reload_successful",
                "1 if the last reload of the configuration worked.",
            )?,
            reload_time: to.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded.",
            )?,
            registry: to.0,
        };
        let info = Opts::new("lastpop_build_info", "Which lastpop this is.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let info = IntGauge::with_opts(info)?;
        info.set(1);
        metrics.registry.register(Box::new(info))?;
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// All of them in Prometheus's text format 0.0.4.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Makes metrics with our prefix, registered, with every series that can be.
struct Register(Registry);

impl Register {
    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(format!("lastpop_{name}"), help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(format!("lastpop_{name}"), help)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(
            HistogramOpts::new(format!("lastpop_{name}"), help).buckets(buckets.to_vec()),
        )?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        (label, values): (&str, &[&str]),
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(format!("lastpop_{name}"), help).buckets(buckets.to_vec());
        let vec = HistogramVec::new(opts, &[label])?;
        for value in values {
            vec.with_label_values(&[value]);
        }
        self.add(vec)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        (label, values): (&str, &[&str]),
    ) -> Result<IntGaugeVec, prometheus::Error> {
        let vec = IntGaugeVec::new(Opts::new(format!("lastpop_{name}"), help), &[label])?;
        for value in values {
            vec.with_label_values(&[value]);
        }
        self.add(vec)
    }

    /// One or two labels.
    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &[&str])],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
        let vec = IntCounterVec::new(Opts::new(format!("lastpop_{name}"), help), &names)?;
        match labels {
            [(_, first), (_, second)] => {
                for one in *first {
                    for two in *second {
                        vec.with_label_values(&[one, two]);
                    }
                }
            }
            [(_, values)] => {
                for value in *values {
                    vec.with_label_values(&[value]);
                }
            }
            _ => {}
        }
        self.add(vec)
    }
}
