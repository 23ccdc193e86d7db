//! Sessions that are logged in: commands, messages, and the books on DELE.

use prometheus::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::{LATENCY, Register};
use crate::pop3::command;

/// How a connection ended.
const ENDS: [&str; 9] =
    ["panic", "quit", "dropped", "timeout", "shutdown", "kicked", "upstream_lost", "bad_commands", "refused"];
/// What became of a message marked by DELE.
const DELE: [&str; 3] = ["confirmed", "failed", "discarded"];
/// How RETR and TOP ended.
const RETRIEVAL: [&str; 3] = ["complete", "refused", "aborted"];
/// Whole sessions, in seconds.
const SESSION: [f64; 12] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// Messages, in octets.
const SIZE: [f64; 9] = [1e3, 4e3, 1.6e4, 6.4e4, 2.56e5, 1e6, 4e6, 1.6e7, 6.4e7];

/// Sessions that are logged in.
#[derive(Debug)]
pub struct Sessions {
    /// How many there are.
    pub active: IntGauge,
    /// Connections that ended, logged in or not, by how.
    pub ended: IntCounterVec,
    /// From accept to close.
    pub duration: Histogram,
    /// Commands, by verb and indicator.
    pub commands: IntCounterVec,
    /// From a whole command line to its reply in the output, by verb.
    pub command_duration: HistogramVec,
    /// RETR and TOP, by end.
    pub retrievals: IntCounterVec,
    /// From RETR to the body's first octets in the output.
    pub first_byte: Histogram,
    /// Size of messages retrieved whole.
    pub message_size: Histogram,
    /// Messages whose size was not the one that was listed.
    pub size_mismatches: IntCounter,
    /// Messages whose line ends had to be mended.
    pub mended: IntCounter,
    /// Messages marked by DELE.
    pub marked: IntCounter,
    /// Messages marked by DELE in sessions that go on.
    pub marked_pending: IntGauge,
    /// What became of the marked ones: marked = confirmed + failed + discarded + pending.
    pub marked_results: IntCounterVec,
}

impl Sessions {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let verbs = [&command::LABELS[..], &["other"]].concat();
        let command = ("command", verbs.as_slice());
        Ok(Self {
            active: to.gauge("sessions_active", "Sessions that are logged in.")?,
            ended: to.counters("sessions_total", "Connections that ended, by how.", ("result", &ENDS))?,
            duration: to.histogram(
                "session_duration_seconds",
                "From accept to close, if logged in.",
                &SESSION,
            )?,
            commands: to.counters_by(
                "commands_total",
                "POP3 commands.",
                command,
                ("result", &["ok", "err"]),
            )?,
            command_duration: to.histograms(
                "command_duration_seconds",
                "From a command to its reply.",
                command,
                &LATENCY,
            )?,
            retrievals: to.counters_by(
                "retrievals_total",
                "RETR and TOP commands, by end.",
                ("command", &["RETR", "TOP"]),
                ("result", &RETRIEVAL),
            )?,
            first_byte: to.histogram(
                "retr_first_byte_seconds",
                "From RETR to the first octets of the message.",
                &LATENCY,
            )?,
            message_size: to.histogram("message_size_bytes", "Size of messages retrieved whole.", &SIZE)?,
            size_mismatches: to
                .counter("message_size_mismatches_total", "Messages whose size was not the listed one.")?,
            mended: to
                .counter("messages_mended_total", "Messages with a bare LF or without a final line end.")?,
            marked: to.counter("messages_marked_deleted_total", "Messages marked by DELE.")?,
            marked_pending: to.gauge("messages_marked_pending", "Messages marked in sessions that go on.")?,
            marked_results: to.counters(
                "messages_marked_results_total",
                "What became of messages marked by DELE; RSET discards as the end of a session does.",
                ("result", &DELE),
            )?,
        })
    }
}
