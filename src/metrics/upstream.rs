//! Connections to the upstream and what is asked of it.

use prometheus::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::{LATENCY, Register};
use crate::imap;

/// What is asked of an upstream.
const STEPS: [&str; 10] =
    ["OPEN", "ID", "LOGIN", "SELECT", "LIST", "SEARCH", "UNHIDE", "FETCH", "STORE", "GETQUOTAROOT"];

/// What became of an order to bring hidden mail back at once.
pub const AT_ONCE: [&str; 13] = [
    "done",
    "done_elsewhere",
    "incomplete",
    "name",
    "busy",
    "full",
    "draining",
    "refused",
    "read_only",
    "other_mailbox",
    "upstream",
    "timeout",
    "store",
];

/// Connections to the upstream.
#[derive(Debug)]
pub struct Upstream {
    /// 1 if the last connection to the upstream worked.
    pub up: IntGauge,
    /// 1 if the upstream's certificate is not checked.
    pub unverified: IntGauge,
    /// Open connections.
    pub active: IntGauge,
    /// Connections, by result: `ok` or an error's label.
    pub connects: IntCounterVec,
    /// Connecting, TLS and greeting.
    pub connect_duration: Histogram,
    /// Steps, by result: `ok` or an error's label.
    pub commands: IntCounterVec,
    /// How long each took.
    pub command_duration: HistogramVec,
    /// Orders to bring hidden mail back that were tried at once, with the master credentials, by result.
    pub unhides_at_once: IntCounterVec,
    /// Octets received, without TLS's own.
    pub received: IntCounter,
    /// Octets sent, without TLS's own.
    pub sent: IntCounter,
}

impl Upstream {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let results = [&["ok"], &imap::Error::LABELS[..]].concat();
        let result = ("result", results.as_slice());
        let command = ("command", &STEPS[..]);
        Ok(Self {
            up: to.gauge("upstream_up", "1 if the last connection to the upstream worked.")?,
            unverified: to
                .gauge("upstream_tls_unverified", "1 if the upstream's certificate is not checked.")?,
            active: to.gauge("upstream_connections_active", "Open connections to the upstream.")?,
            connects: to.counters(
                "upstream_connects_total",
                "Connections to the upstream, by result.",
                result,
            )?,
            connect_duration: to.histogram(
                "upstream_connect_duration_seconds",
                "Connecting, TLS and greeting.",
                &LATENCY,
            )?,
            commands: to.counters_by(
                "upstream_commands_total",
                "What was asked of the upstream, by result.",
                command,
                result,
            )?,
            command_duration: to.histograms(
                "upstream_command_duration_seconds",
                "How long the upstream took.",
                command,
                &LATENCY,
            )?,
            unhides_at_once: to.counters(
                "unhides_at_once_total",
                "Orders to bring hidden mail back that were tried at once, with the master credentials, by result.",
                ("result", &AT_ONCE),
            )?,
            received: to.counter("upstream_received_bytes_total", "Octets received from the upstream.")?,
            sent: to.counter("upstream_sent_bytes_total", "Octets sent to the upstream.")?,
        })
    }
}
