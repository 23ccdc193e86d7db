//! The mode that is in force for many users at once, in SQL: the same rules in the same order as for one login
//! (user, domain, domain in the configuration, everyone, configuration).

use super::batch::own_mode;
use super::database::rows;
use crate::policy::Mode;

/// The modes that the configuration names: they hold where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// `policy.mode`.
    pub mode: Mode,
    /// `[domains."…"] mode`, by domain.
    pub domains: Vec<(String, Mode)>,
}

impl Configured {
    /// The table `configured` for a WITH: its parameters are numbered from `first` on, and bound by [`Self::bound`].
    pub(super) fn table(&self, first: usize) -> String {
        format!("configured (domain, mode) AS (VALUES {})", rows("", self.domains.len() + 1, 2, first))
    }

    /// What is bound for [`Self::table`], in pairs.
    pub(super) fn bound(&self) -> impl Iterator<Item = [&str; 2]> {
        let domains = self.domains.iter().map(|(domain, mode)| [domain.as_str(), mode.as_str()]);
        domains.chain([[super::domains::EVERYONE, self.mode.as_str()]])
    }
}

/// The mode in force at the time of the parameter `now`, for the row `u` of `users`, which may be missing, and
/// `domain`. Needs [`Configured::table`].
pub(super) fn effective(domain: &str, now: &str) -> String {
    let [user, set, everyone] = ["u.", "d.", "e."].map(|columns| own_mode(columns, now));
    format!(
        "COALESCE({user},
            (SELECT {set} FROM domains d WHERE d.domain = {domain} AND d.domain <> '*'),
            (SELECT f.mode FROM configured f WHERE f.domain = {domain} AND f.domain <> '*'),
            (SELECT {everyone} FROM domains e WHERE e.domain = '*'),
            (SELECT f.mode FROM configured f WHERE f.domain = '*'))"
    )
}
