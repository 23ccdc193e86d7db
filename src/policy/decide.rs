//! Which mode holds for a user: the rules in their order; the first one that says something decides.

use super::{Mode, Planned, Setting};

/// Who can have a rule, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The user, in the state.
    User,
    /// The user's domain, in the state.
    Domain,
    /// The user's domain, in the configuration: `[domains."…"] mode`.
    DomainConfig,
    /// Everyone (`*`), in the state.
    Everyone,
    /// `policy.mode` in the configuration, which always says something.
    Default,
}

impl Rule {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::User, Self::Domain, Self::DomainConfig, Self::Everyone, Self::Default];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Domain => "domain",
            Self::DomainConfig => "domain-config",
            Self::Everyone => "everyone",
            Self::Default => "default",
        }
    }

    /// Does it need a domain in the user's name?
    pub(super) const fn is_of_a_domain(self) -> bool {
        matches!(self, Self::Domain | Self::DomainConfig)
    }
}

/// All rules that can say something about one user. A rule that is not there is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The user's own.
    pub user: Option<Setting>,
    /// The domain's, from the state.
    pub domain: Option<Setting>,
    /// The domain's, from the configuration.
    pub domain_config: Option<Mode>,
    /// Everyone's, from the state.
    pub everyone: Option<Setting>,
    /// `policy.mode`.
    pub default: Mode,
}

/// What the rules come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What POP3 does for the user.
    pub mode: Mode,
    /// Which rule says so.
    pub rule: Rule,
    /// Since when that rule decides, in Unix seconds; nobody knows it of a rule in the configuration.
    pub since: Option<i64>,
    /// The next change of the mode that is planned already, if there is one.
    pub next: Option<Next>,
}

/// A change of the mode to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// What POP3 will do for the user.
    pub mode: Mode,
    /// Which rule will say so.
    pub rule: Rule,
    /// From when on, in Unix seconds.
    pub from: i64,
}

impl Rules {
    /// The mode at `now`, in Unix seconds.
    pub fn decide(&self, now: i64) -> Decision {
        let (mode, rule) = self.at(now);
        // A rule that was taken back made room for the weaker ones only then.
        let asked = Rule::ALL.into_iter().take_while(|asked| *asked != rule).chain([rule]);
        let since =
            asked.filter_map(|asked| self.setting(asked)).map(|setting| setting.settled(now).since).max();
        let since = self.setting(rule).and(since);
        // Between two plans nothing changes, so the first change is the first plan that makes one.
        let plans = Rule::ALL.into_iter().filter_map(|rule| self.setting(rule)?.planned);
        let next = plans
            .filter(|planned| planned.from > now)
            .map(|Planned { from, .. }| (from, self.at(from)))
            .filter(|(_, (then, _))| *then != mode)
            .min_by_key(|(from, _)| *from)
            .map(|(from, (mode, rule))| Next { mode, rule, from });
        Decision { mode, rule, since, next }
    }

    /// The first rule that says something at `now`, and what.
    fn at(&self, now: i64) -> (Mode, Rule) {
        let first = Rule::ALL.into_iter().find_map(|rule| Some((self.mode(rule, now)?, rule)));
        first.unwrap_or((self.default, Rule::Default))
    }

    /// What a rule says at `now`.
    pub(super) fn mode(&self, rule: Rule, now: i64) -> Option<Mode> {
        match rule {
            Rule::DomainConfig => self.domain_config,
            Rule::Default => Some(self.default),
            Rule::User | Rule::Domain | Rule::Everyone => self.setting(rule)?.at(now),
        }
    }

    /// A rule of the state.
    pub(super) const fn setting(&self, rule: Rule) -> Option<Setting> {
        match rule {
            Rule::User => self.user,
            Rule::Domain => self.domain,
            Rule::Everyone => self.everyone,
            Rule::DomainConfig | Rule::Default => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::instant;

    const NONE: Rules =
        Rules { user: None, domain: None, domain_config: None, everyone: None, default: Mode::Pop3 };

    fn set(text: &str, since: i64) -> Option<Setting> {
        Setting::parse(text, since).map(Some).unwrap()
    }

    fn planned(text: &str, since: i64, from: i64) -> Option<Setting> {
        set(&format!("{text}@{}", instant(from)), since)
    }

    #[test]
    fn the_first_rule_that_says_something_decides() {
        let all = Rules {
            user: set("imap-only", 4),
            domain: set("brownout", 3),
            domain_config: Some(Mode::Notice),
            everyone: set("imap-only", 1),
            default: Mode::Pop3,
        };
        let table = [
            (all, Mode::ImapOnly, Rule::User, Some(4)),
            (Rules { user: None, ..all }, Mode::Brownout, Rule::Domain, Some(3)),
            (Rules { user: set("-", 9), ..all }, Mode::Brownout, Rule::Domain, Some(9)),
            (Rules { user: None, domain: None, ..all }, Mode::Notice, Rule::DomainConfig, None),
            (Rules { user: set("-", 9), domain: set("-", 8), ..all }, Mode::Notice, Rule::DomainConfig, None),
            (Rules { everyone: all.everyone, ..NONE }, Mode::ImapOnly, Rule::Everyone, Some(1)),
            (NONE, Mode::Pop3, Rule::Default, None),
            (Rules { default: Mode::ImapOnly, ..NONE }, Mode::ImapOnly, Rule::Default, None),
        ];
        for (rules, mode, rule, since) in table {
            assert_eq!(rules.decide(10), Decision { mode, rule, since, next: None }, "{rules:?}");
        }
    }

    #[test]
    fn what_comes_next_is_what_changes_the_mode() {
        let next = |mode, rule, from| Some(Next { mode, rule, from });
        let table = [
            // The user's exception ends, and the domain's mode is in force again.
            (
                Rules { user: planned("pop3>-", 1, 20), domain: set("imap-only", 2), ..NONE },
                (Mode::Pop3, Some(1)),
                next(Mode::ImapOnly, Rule::Domain, 20),
            ),
            // The domain's plan comes first, but the user's rule hides it.
            (
                Rules {
                    user: planned("notice>imap-only", 1, 30),
                    domain: planned("->brownout", 2, 20),
                    ..NONE
                },
                (Mode::Notice, Some(1)),
                next(Mode::ImapOnly, Rule::User, 30),
            ),
            // A plan for a mode that holds anyway changes nothing.
            (
                Rules { user: planned("->notice", 1, 20), everyone: set("notice", 2), ..NONE },
                (Mode::Notice, Some(2)),
                None,
            ),
            // Two plans for one moment: the stronger rule's.
            (
                Rules {
                    domain: planned("->brownout", 1, 20),
                    everyone: planned("->imap-only", 2, 20),
                    ..NONE
                },
                (Mode::Pop3, None),
                next(Mode::Brownout, Rule::Domain, 20),
            ),
            // A plan whose time has come is the rule.
            (Rules { user: planned("->imap-only", 1, 10), ..NONE }, (Mode::ImapOnly, Some(10)), None),
        ];
        for (rules, (mode, since), next) in table {
            let decision = rules.decide(10);
            assert_eq!((decision.mode, decision.since, decision.next), (mode, since, next), "{rules:?}");
        }
    }

    fn mode() -> impl Strategy<Value = Mode> {
        proptest::sample::select(&Mode::ALL[..])
    }

    fn setting() -> impl Strategy<Value = Option<Setting>> {
        use proptest::option::of;
        let setting = (of(mode()), -5..0i64, of((of(mode()), -5..15i64)));
        of(setting.prop_map(|(mode, since, planned)| Setting {
            mode,
            since,
            planned: planned.map(|(mode, from)| Planned { mode, from }),
        }))
    }

    proptest! {
        /// Second by second: the mode stays until `next`, and is then what `next` said.
        #[test]
        fn next_is_the_first_change(
            (user, domain, everyone) in (setting(), setting(), setting()),
            domain_config in proptest::option::of(mode()),
            default in mode(),
        ) {
            let rules = Rules { user, domain, domain_config, everyone, default };
            let now = rules.decide(0);
            let change = (1..20).map(|at| (at, rules.decide(at))).find(|(_, then)| then.mode != now.mode);
            let change = change.map(|(from, then)| Next { mode: then.mode, rule: then.rule, from });
            prop_assert_eq!(now.next, change);
            prop_assert!(now.since.is_none_or(|since| since <= 0));
        }
    }
}
