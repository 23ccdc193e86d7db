//! Connections from clients, up to their login, and their traffic.

use prometheus::{Error, Histogram, IntCounter, IntCounterVec, IntGaugeVec};

use super::{LATENCY, Register};
use crate::policy::Mode;
use crate::pop3::authorization::Method;

/// Why a connection was not served.
const REJECTED: [&str; 3] = ["max_total", "max_per_address", "gone"];
/// How a TLS handshake ended.
const HANDSHAKE: [&str; 4] = ["TLSv1.2", "TLSv1.3", "failed", "timeout"];
/// How a login ended.
const LOGIN: [&str; 6] = ["ok", "bad_credentials", "mode", "too_many", "permanent", "upstream_unavailable"];
/// Modes that refuse.
const REFUSING: [&str; 2] = [Mode::Brownout.as_str(), Mode::ImapOnly.as_str()];

/// Connections from clients, up to their login.
#[derive(Debug)]
pub struct Clients {
    /// Connections accepted, by listener.
    pub accepted: IntCounterVec,
    /// Connections that are open, by listener.
    pub active: IntGaugeVec,
    /// Connections that were not served, by listener and reason.
    pub rejected: IntCounterVec,
    /// TLS handshakes, by listener and result.
    pub tls_handshakes: IntCounterVec,
    /// Login attempts that went as far as a user name and a password, by method and result.
    pub auth_attempts: IntCounterVec,
    /// Logins that the user's mode refused.
    pub refused_logins: IntCounterVec,
    /// Accepted logins whose password came without TLS.
    pub plaintext_logins: IntCounter,
    /// From the password to its answer.
    pub login_duration: Histogram,
    /// Octets received, without TLS's own.
    pub received: IntCounter,
    /// Octets sent, without TLS's own.
    pub sent: IntCounter,
}

impl Clients {
    pub(super) fn new(to: &Register, listeners: &[String]) -> Result<Self, Error> {
        let listeners: Vec<&str> = listeners.iter().map(String::as_str).collect();
        let listener = ("listener", listeners.as_slice());
        Ok(Self {
            accepted: to.counters("connections_accepted_total", "Connections accepted.", listener)?,
            active: to.gauges("connections_active", "Connections that are open.", listener)?,
            rejected: to.counters_by(
                "connections_rejected_total",
                "Connections that were not served.",
                listener,
                ("reason", &REJECTED),
            )?,
            tls_handshakes: to.counters_by(
                "tls_handshakes_total",
                "TLS handshakes with clients, by version or failure.",
                listener,
                ("result", &HANDSHAKE),
            )?,
            auth_attempts: to.counters_by(
                "auth_attempts_total",
                "Login attempts with a user name and a password.",
                ("method", &Method::ALL.map(Method::label)),
                ("result", &LOGIN),
            )?,
            refused_logins: to.counters(
                "refused_logins_total",
                "Logins that the user's mode refused; with policy.verify_before_refusing = false whatever the password.",
                ("mode", &REFUSING),
            )?,
            plaintext_logins: to
                .counter("plaintext_logins_total", "Accepted logins whose password came without TLS.")?,
            login_duration: to.histogram(
                "login_duration_seconds",
                "From the password to its answer.",
                &LATENCY,
            )?,
            received: to.counter("client_received_bytes_total", "Octets received from clients.")?,
            sent: to.counter("client_sent_bytes_total", "Octets sent to clients.")?,
        })
    }
}
