//! From what the state holds to what the API shows: settings as times that people read, and which rule decides.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Shared;
use crate::api::{Effective, Planned, Quota, Rule, Setting, Usage, User, UserFilter};
use crate::notice::Kind;
use crate::policy::{self, Rules, instant};
use crate::session::context::Settings;
use crate::store::{InForce, Select, StoreError, UserRow};

/// One moment's rules, for everything that one answer says.
pub(super) struct View {
    settings: Arc<Settings>,
    domains: Arc<HashMap<String, policy::Setting>>,
    /// Unix seconds.
    pub(super) now: i64,
}

impl View {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            settings: shared.cx.settings.load_full(),
            domains: shared.cx.store.domains().all(),
            now: Shared::now(),
        }
    }

    /// The configuration.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is set for a domain; `*` is everyone.
    pub(super) fn domain(&self, domain: &str) -> Option<policy::Setting> {
        self.domains.get(domain).copied()
    }

    /// Domains that have a setting.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(String::as_str)
    }

    /// The rules for a user of a domain who has this setting of their own, if any.
    pub(super) fn rules(&self, domain: &str, own: Option<policy::Setting>) -> Rules {
        Rules {
            user: own.filter(|setting| *setting != policy::Setting::default()),
            domain: self.domain(domain).filter(|_| !domain.is_empty()),
            domain_config: self.configured(domain),
            everyone: self.domain(crate::api::EVERYONE),
            default: self.settings.policy.mode,
        }
    }

    /// What the configuration says of a domain.
    pub(super) fn configured(&self, domain: &str) -> Option<policy::Mode> {
        self.settings.domains.get(domain).and_then(|domain| domain.mode)
    }

    /// What is in force by these rules.
    pub(super) fn effective(&self, rules: &Rules) -> Effective {
        let decision = rules.decide(self.now);
        Effective { mode: decision.mode, rule: rule(decision.rule) }
    }

    pub(super) fn user(&self, row: UserRow) -> Result<User, StoreError> {
        let own = row.setting()?;
        let effective = self.effective(&self.rules(&row.domain, Some(own)));
        let usage = usage(&row);
        let dismissed = |kind| row.dismissed(kind).map(str::to_owned);
        let (notice_dismissed, farewell_dismissed) = (dismissed(Kind::Notice), dismissed(Kind::Farewell));
        Ok(User {
            user: row.username,
            domain: row.domain,
            setting: setting(own),
            effective,
            language: row.language,
            notice_dismissed,
            farewell_dismissed,
            unhide_since: row.unhide_since.map(|since| instant(since).to_zoned(TimeZone::UTC).date()),
            usage,
        })
    }

    /// Why the mode is what it is, in sentences.
    pub(super) fn explain(&self, row: &UserRow) -> Result<Vec<String>, StoreError> {
        let rules = self.rules(&row.domain, Some(row.setting()?));
        let zone = &self.settings.policy.time_zone;
        let text = rules.explain(&row.username, &row.domain, zone, self.now);
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What is asked for, as conditions on the rows.
    pub(super) fn select(&self, filter: UserFilter) -> Select {
        let UserFilter { search, domain, mode, seen_before, seen_after, family } = filter;
        // As names are kept: beyond ASCII the databases know no case.
        let all_lower = self.settings.names.lower_case;
        let name = |text: String| if all_lower { text.to_lowercase() } else { text.to_ascii_lowercase() };
        Select {
            search: search.map(name),
            domain: domain.map(|domain| domain.to_lowercase()),
            seen_before: seen_before.map(jiff::Timestamp::as_second),
            seen_after: seen_after.map(jiff::Timestamp::as_second),
            family,
            mode: mode.map(|mode| {
                let configured = Arc::new(self.settings.configured());
                InForce { mode, now: self.now, configured }
            }),
        }
    }
}

/// A setting with times that people read.
pub(super) fn setting(setting: policy::Setting) -> Setting {
    Setting {
        mode: setting.mode,
        since: setting.set_at().map(instant),
        planned: setting.planned.map(|planned| Planned { mode: planned.mode, from: instant(planned.from) }),
    }
}

const fn rule(rule: policy::Rule) -> Rule {
    match rule {
        policy::Rule::User => Rule::User,
        policy::Rule::Domain => Rule::Domain,
        policy::Rule::DomainConfig => Rule::DomainConfig,
        policy::Rule::Everyone => Rule::Everyone,
        policy::Rule::Default => Rule::Config,
    }
}

fn usage(row: &UserRow) -> Usage {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let some = |number: Option<i64>| number.map(count);
    let quota = match (row.quota_used, row.quota_limit, row.quota_at) {
        (Some(used), Some(limit), Some(at)) => {
            Some(Quota { used: count(used), limit: count(limit), at: instant(at) })
        }
        _ => None,
    };
    Usage {
        first_seen: row.first_seen.map(instant),
        last_seen: row.last_seen.map(instant),
        address: row.address.clone(),
        tls: row.tls.clone(),
        method: row.method.clone(),
        sessions: count(row.sessions),
        messages: count(row.messages),
        octets: count(row.octets),
        deleted: count(row.deleted),
        refused: count(row.refused),
        last_refused: row.last_refused.map(instant),
        maildrop_messages: some(row.maildrop_messages),
        maildrop_octets: some(row.maildrop_octets),
        hidden_messages: some(row.hidden_messages),
        hidden_octets: some(row.hidden_octets),
        quota,
        poll_interval: some(row.poll_interval),
        keeps_mail: row.keeps_mail.map(|keeps| keeps != 0),
        family: row.family.clone(),
    }
}
