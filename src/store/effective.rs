//! The mode that is in force for many users at once, in SQL: the same rules in the same order as for one login
//! (user, domain, domain in the configuration, everyone, configuration).

use std::collections::BTreeMap;

use super::batch::own_mode;
use super::database::rows;
use super::{Store, domains};
use crate::policy::{Mode, Rules};

/// The modes that the configuration names: they hold where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// `policy.mode`.
    pub mode: Mode,
    /// `[domains."…"] mode`, by domain.
    pub domains: BTreeMap<String, Mode>,
}

impl Configured {
    /// The table `configured` for a WITH: its parameters are numbered from `first` on, and are [`Self::bound`].
    pub(super) fn table(&self, first: usize) -> String {
        format!("configured (domain, mode) AS (VALUES {})", rows("", self.domains.len() + 1, 2, first))
    }

    /// What is bound for [`Self::table`], in pairs.
    pub(super) fn bound(&self) -> impl Iterator<Item = [&str; 2]> {
        let domains = self.domains.iter().map(|(domain, mode)| [domain.as_str(), mode.as_str()]);
        domains.chain([[domains::EVERYONE, self.mode.as_str()]])
    }
}

/// The joins that [`effective`] needs, for a column `domain`. They need [`Configured::table`].
pub(super) fn domain_rules(domain: &str) -> String {
    format!(
        "LEFT JOIN domains d ON d.domain = {domain} AND d.domain <> '*'
        LEFT JOIN configured f ON f.domain = {domain} AND f.domain <> '*'"
    )
}

/// The mode in force at the time of the parameter `now`, for the row `u` of `users`, which may be missing. It needs
/// [`domain_rules`].
pub(super) fn effective(now: &str) -> String {
    let [user, domain, everyone] = ["u.", "d.", "e."].map(|columns| own_mode(columns, now));
    format!(
        "COALESCE({user}, {domain}, f.mode, (SELECT {everyone} FROM domains e WHERE e.domain = '*'),
            (SELECT c.mode FROM configured c WHERE c.domain = '*'))"
    )
}

impl Store {
    /// The mode in force for a user of `domain` who has this mode of their own, as far as this proxy knows. `now` is
    /// in Unix seconds.
    pub fn in_force(&self, own: Option<Mode>, domain: &str, configured: &Configured, now: i64) -> Mode {
        let rules = Rules {
            user: None,
            domain: self.domains.get(domain).filter(|_| domain != domains::EVERYONE),
            domain_config: configured.domains.get(domain).copied(),
            everyone: self.domains.everyone(),
            default: configured.mode,
        };
        own.unwrap_or_else(|| rules.decide(now).mode)
    }
}
