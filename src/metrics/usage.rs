//! Who uses POP3: what all proxies know together, and how this one writes it down.

use prometheus::{Error, Histogram, IntCounter, IntGauge, IntGaugeVec, Opts};

use super::{LATENCY, Register};
use crate::policy::Mode;
use crate::usage::days::WINDOWS;

/// Client families that are shown even where nobody has them.
pub const FAMILIES: [&str; 1] = ["unknown"];

/// TLS versions that are.
pub const TLS_VERSIONS: [&str; 3] = ["none", "TLSv1.2", "TLSv1.3"];

/// Who uses POP3. What is summed up is the same on every proxy.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Users about whom something is not written yet.
    pub pending: IntGauge,
    /// Users about whom something was forgotten before it was written.
    pub dropped: IntCounter,
    /// When everything that was due had been written, in Unix seconds.
    pub last_flush: IntGauge,
    /// One transaction that writes users.
    pub flush_duration: Histogram,
    /// Rows that were written.
    pub rows_written: IntCounter,
    /// When the following was summed up, in Unix seconds.
    pub summary_time: IntGauge,
    /// Known users, by mode in force.
    pub users: IntGaugeVec,
    /// Users with a session, by window.
    pub active: IntGaugeVec,
    /// The same by domain.
    pub active_by_domain: IntGaugeVec,
    /// Users of 30 days, by client family.
    pub active_by_family: IntGaugeVec,
    /// Users of 30 days, by TLS version.
    pub active_by_tls: IntGaugeVec,
    /// Users who were refused because of their mode, by window.
    pub knocking: IntGaugeVec,
    /// Messages that are hidden from POP3.
    pub hidden_messages: IntGauge,
    /// Their octets.
    pub hidden_bytes: IntGauge,
    /// Mailboxes over 80 % of their quota.
    pub nearly_full: IntGauge,
}

impl Usage {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let windows = WINDOWS.map(|(label, _)| label);
        let window = ("window", &windows[..]);
        let by_domain = Opts::new(
            "lastpop_pop3_active_users_by_domain",
            "Users with a session over POP3 within a window, by domain; small domains are _other.",
        );
        Ok(Self {
            pending: to.gauge("usage_pending_users", "Users about whom something is not written yet.")?,
            dropped: to.counter(
                "usage_dropped_total",
                "Users about whom something was forgotten before it could be written.",
            )?,
            last_flush: to.gauge(
                "usage_last_flush_timestamp_seconds",
                "When everything that was due had been written.",
            )?,
            flush_duration: to.histogram(
                "usage_flush_duration_seconds",
                "One transaction that writes what was learnt about users.",
                &LATENCY,
            )?,
            rows_written: to.counter("usage_rows_written_total", "Rows that were written.")?,
            summary_time: to.gauge(
                "usage_counted_timestamp_seconds",
                "When the users of all proxies were counted; 0: never.",
            )?,
            users: to.gauges(
                "users",
                "Known users, by the mode in force.",
                ("mode", &Mode::ALL.map(Mode::as_str)),
            )?,
            active: to.gauges(
                "pop3_active_users",
                "Users with a session over POP3 within a window.",
                window,
            )?,
            active_by_domain: to.add(IntGaugeVec::new(by_domain, &["domain", "window"])?)?,
            active_by_family: to.gauges(
                "pop3_active_users_by_family",
                "Users with a session over POP3 in the last 30 days, by client family.",
                ("family", &FAMILIES),
            )?,
            active_by_tls: to.gauges(
                "pop3_active_users_by_tls",
                "Users with a session over POP3 in the last 30 days, by the TLS version of the last one.",
                ("version", &TLS_VERSIONS),
            )?,
            knocking: to.gauges(
                "pop3_refused_users",
                "Users who were refused because of their mode within a window: their clients still knock.",
                window,
            )?,
            hidden_messages: to.gauge("hidden_messages", "Messages that are hidden from POP3.")?,
            hidden_bytes: to.gauge("hidden_bytes", "Octets of messages that are hidden from POP3.")?,
            nearly_full: to.gauge("mailboxes_nearly_full", "Mailboxes over 80 percent of their quota.")?,
        })
    }
}
