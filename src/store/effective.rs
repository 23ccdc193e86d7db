//! The mode that is in force for many users at once, in SQL: the same rules in the same order as for one login
//! (user, domain, domain in the configuration, everyone, configuration).

use std::collections::BTreeMap;
use std::fmt::Write as _;

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
    /// What [`effective`] binds, in its order.
    pub(super) fn bound(&self) -> impl Iterator<Item = &str> {
        let of = |mode| self.domains.iter().filter(move |(_, set)| **set == mode);
        let domains = Mode::ALL.into_iter().flat_map(of).map(|(domain, _)| domain.as_str());
        domains.chain([self.mode.as_str()])
    }

    /// The mode in force, where this is set for a user or else for the domain, and this for everyone: see [`set_modes`].
    pub(super) fn in_force(&self, nearer: Option<Mode>, domain: &str, everyone: Option<Mode>) -> Mode {
        nearer.or_else(|| self.domains.get(domain).copied()).or(everyone).unwrap_or(self.mode)
    }

    /// A WHEN for each mode that domains have. A list is looked up at once, however long; a table of values would be
    /// read from its beginning to its end for each user.
    fn whens(&self, domain: &str, mut first: usize) -> String {
        let mut whens = String::new();
        for mode in Mode::ALL {
            let many = self.domains.values().filter(|set| **set == mode).count();
            if many > 0 {
                // Writing to a String cannot fail.
                let _ = write!(whens, "WHEN {domain} IN {} THEN '{mode}' ", rows("", 1, many, first));
            }
            first += many;
        }
        whens
    }
}

/// The join that [`effective`] needs, for a column `domain`.
pub(super) fn domain_rule(domain: &str) -> String {
    format!("LEFT JOIN domains d ON d.domain = {domain} AND d.domain <> '*'")
}

/// The mode in force at the time of the parameter `now`, for the row `u` of `users`, which may be missing, and a column
/// `domain`. It needs [`domain_rule`]; its own parameters begin at `first`.
pub(super) fn effective(configured: &Configured, domain: &str, now: &str, first: usize) -> String {
    let [user, set, everyone] = ["u.", "d.", "e."].map(|columns| own_mode(columns, now));
    let (whens, default) = (configured.whens(domain, first), first + configured.domains.len());
    format!(
        "COALESCE({user}, {set}, CASE {whens}WHEN 1 = 0 THEN '' END,
            (SELECT {everyone} FROM domains e WHERE e.domain = '*'), ${default})"
    )
}

/// The same as two columns, `nearer` and `everyone`, without what is configured: for rows that are read one by one, of
/// which [`Configured::in_force`] says the rest. Ten thousand domains as parameters take longer than a page of users.
pub(super) fn set_modes(now: &str) -> String {
    let [user, set, everyone] = ["u.", "d.", "e."].map(|columns| own_mode(columns, now));
    format!(
        "COALESCE({user}, {set}) AS nearer, (SELECT {everyone} FROM domains e WHERE e.domain = '*') AS everyone"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_is_in_the_order_of_the_parameters() {
        let domains = [("a", Mode::ImapOnly), ("b", Mode::Notice), ("c", Mode::ImapOnly)];
        let domains = domains.map(|(domain, mode)| (domain.to_owned(), mode)).into();
        let configured = Configured { mode: Mode::Pop3, domains };
        assert_eq!(configured.bound().collect::<Vec<_>>(), ["b", "a", "c", "pop3"]);
        let whens = "WHEN x IN ($5) THEN 'notice' WHEN x IN ($6, $7) THEN 'imap-only' ";
        assert_eq!(configured.whens("x", 5), whens);
        assert!(effective(&configured, "x", "$1", 5).ends_with("$8)"));
    }
}
