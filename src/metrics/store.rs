//! The state store, and what is learnt from it.

use prometheus::{Error, IntCounter, IntGauge};

use super::Register;

/// The state store.
#[derive(Debug)]
pub struct Store {
    /// 1 while it answers.
    pub up: IntGauge,
    /// The newest change of policy that is in force here.
    pub generation: IntGauge,
    /// What it could not do for sessions.
    pub errors: IntCounter,
    /// Users whose mailbox has another UIDVALIDITY than before.
    pub uidvalidity_changes: IntCounter,
}

impl Store {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        Ok(Self {
            up: to.gauge("store_up", "1 while the state store answers.")?,
            generation: to.gauge(
                "policy_generation",
                "Number of the newest change of policy that is in force; soon the same on every proxy.",
            )?,
            errors: to.counter(
                "store_errors_total",
                "What the state store could not do for sessions: let a login in, make a notice, keep that one was deleted \
                or that hidden mail was brought back.",
            )?,
            uidvalidity_changes: to.counter(
                "uidvalidity_changes_total",
                "Users whose mailbox had another UIDVALIDITY than before: they download everything again.",
            )?,
        })
    }
}
