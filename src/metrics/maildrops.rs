//! Maildrop snapshots: how often they save a listing, and what they take.

use prometheus::{Error, IntCounterVec, IntGauge};

use super::Register;

/// What a snapshot was good for at a login.
const RESULTS: [&str; 4] = ["unchanged", "changed", "doubtful", "none"];

/// Maildrop snapshots.
#[derive(Debug)]
pub struct Maildrops {
    /// Logins whose listing was wanted, by what came of the snapshot.
    pub snapshots: IntCounterVec,
    /// Octets that all of them take.
    pub octets: IntGauge,
    /// How many there are.
    pub mailboxes: IntGauge,
}

impl Maildrops {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        Ok(Self {
            snapshots: to.counters(
                "maildrop_snapshots_total",
                "Logins by what their maildrop's snapshot was good for: the maildrop of now was as then, or became so \
                 by the changes that the upstream told; it left doubts, so that everything was listed anew; there was \
                 none.",
                ("result", &RESULTS),
            )?,
            octets: to.gauge("maildrop_snapshots_bytes", "Memory that maildrop snapshots take.")?,
            mailboxes: to.gauge("maildrop_snapshots_kept", "Maildrop snapshots in memory, one a mailbox.")?,
        })
    }
}
