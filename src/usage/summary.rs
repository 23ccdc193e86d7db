//! How far the migration is: what one proxy sums up for all of them, kept as JSON in the state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::UNKNOWN;
use super::totals::OTHER;
use crate::config::Domains;
use crate::policy::{self, Mode, Setting};
use crate::store::{Group, Recent};

/// Domains that are told apart: each costs four series on every proxy.
pub const DOMAINS: usize = 200;

/// Families, and TLS versions, that are told apart.
const KINDS: usize = 50;

/// Users in the four [`WINDOWS`](super::days::WINDOWS).
pub type Windows = [u64; 4];

/// Everything that is known of all users together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The numbers.
    pub summary: Summary,
    /// The users who were here last.
    pub recent: Recents,
    /// What hashes of names are keyed with; the same on all proxies, and as long as the state lives.
    pub key: String,
}

/// The numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// When they were counted, in Unix seconds; 0: never.
    pub at: i64,
    /// Known users.
    pub users: u64,
    /// By the mode that is in force.
    pub modes: BTreeMap<Mode, u64>,
    /// With a session, by window.
    pub active: Windows,
    /// Refused because of their mode, by window: their clients still knock.
    pub refused: Windows,
    /// The domains with the most users; all others together are the last one, `_other`.
    pub domains: Vec<Domain>,
    /// Users of the last 30 days by client family, the largest first.
    pub families: Vec<(String, u64)>,
    /// The same by TLS version of the last session; `none` without TLS.
    pub tls: Vec<(String, u64)>,
    /// Messages hidden from POP3.
    pub hidden_messages: u64,
    /// Their octets.
    pub hidden_octets: u64,
    /// Mailboxes over 80 % of their quota.
    pub nearly_full: u64,
    /// Users who ever had a session.
    pub seen: u64,
}

/// The users of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Domain {
    /// Known users.
    pub users: u64,
    /// The domain; empty for users without one.
    pub domain: String,
    /// With a session, by window.
    pub active: Windows,
}

/// The users who were here last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recents {
    /// The last one first.
    pub users: Vec<User>,
    /// How many more there are.
    pub left_out: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name.
    pub user: String,
    /// The mode that is in force.
    pub mode: Mode,
    /// The last session, in Unix seconds.
    pub last_seen: i64,
    /// Sessions.
    pub sessions: u64,
    /// Messages that were retrieved.
    pub messages: u64,
    /// Octets that are hidden from POP3.
    pub hidden_octets: u64,
}

/// The rules that decide modes besides users' own.
#[derive(Debug, Clone)]
pub struct Rules<'a> {
    /// Modes of domains and of everyone (`*`) that are set in the state.
    pub state: Arc<HashMap<String, Setting>>,
    /// Domains in the configuration.
    pub configured: &'a Domains,
    /// `policy.mode`
    pub default: Mode,
    /// The moment, in Unix seconds.
    pub now: i64,
}

impl Rules<'_> {
    /// The mode in force for users of a domain with this mode of their own.
    pub fn mode(&self, own: Option<Mode>, domain: &str) -> Mode {
        let rules = policy::Rules {
            user: own.map(|mode| Setting { mode: Some(mode), ..Setting::default() }),
            domain: self.state.get(domain).copied(),
            domain_config: self.configured.get(domain).and_then(|domain| domain.mode),
            everyone: self.state.get("*").copied(),
            default: self.default,
        };
        rules.decide(self.now).mode
    }
}

/// Sums up group by group, those of a domain one after the other.
#[derive(Debug)]
pub struct Sum<'a> {
    rules: &'a Rules<'a>,
    summary: Summary,
    domain: Domain,
    /// The largest so far, the smallest of these on top.
    largest: BinaryHeap<Reverse<Domain>>,
    other: Domain,
}

impl<'a> Sum<'a> {
    /// Nothing yet.
    pub fn new(rules: &'a Rules<'a>) -> Self {
        let summary = Summary {
            at: rules.now,
            modes: Mode::ALL.into_iter().map(|mode| (mode, 0)).collect(),
            ..Summary::default()
        };
        let other = Domain { domain: OTHER.to_owned(), ..Domain::default() };
        Self { rules, summary, domain: Domain::default(), largest: BinaryHeap::new(), other }
    }

    /// One more group.
    pub fn add(&mut self, group: Group) {
        let users = count(group.users);
        let (active, refused) = (group.active.map(count), group.refused.map(count));
        let sum = &mut self.summary;
        sum.users += users;
        sum.seen += count(group.seen);
        *sum.modes.entry(self.rules.mode(group.mode, &group.domain)).or_default() += users;
        add(&mut sum.active, &active);
        add(&mut sum.refused, &refused);
        sum.hidden_messages += count(group.hidden_messages);
        sum.hidden_octets += count(group.hidden_octets);
        sum.nearly_full += count(group.nearly_full);
        if group.domain != self.domain.domain {
            self.next_domain();
            self.domain.domain = group.domain;
        }
        self.domain.users += users;
        add(&mut self.domain.active, &active);
    }

    fn next_domain(&mut self) {
        let done = std::mem::take(&mut self.domain);
        if done.users > 0 {
            self.largest.push(Reverse(done));
        }
        if self.largest.len() > DOMAINS
            && let Some(Reverse(smallest)) = self.largest.pop()
        {
            self.other.users += smallest.users;
            add(&mut self.other.active, &smallest.active);
        }
    }

    /// The end, with users by family and TLS version.
    pub fn end(mut self, kinds: &[(Option<String>, Option<String>, i64)]) -> Summary {
        self.next_domain();
        let largest = std::mem::take(&mut self.largest).into_sorted_vec();
        self.summary.domains = largest.into_iter().map(|Reverse(domain)| domain).collect();
        if self.other.users > 0 {
            self.summary.domains.push(self.other);
        }
        let families = kinds.iter().map(|(family, _, users)| (family.as_deref().unwrap_or(UNKNOWN), *users));
        self.summary.families = ranked(families);
        let versions = kinds.iter().map(|(_, tls, users)| (tls.as_deref().unwrap_or("none"), *users));
        self.summary.tls = ranked(versions);
        self.summary
    }
}

impl Recents {
    /// The users who were here last, of `seen` users who ever were.
    pub fn new(recent: Vec<Recent>, rules: &Rules<'_>, seen: u64) -> Self {
        let user = |recent: Recent| User {
            mode: rules.mode(recent.mode, &recent.domain),
            user: recent.user,
            last_seen: recent.last_seen,
            sessions: count(recent.sessions),
            messages: count(recent.messages),
            hidden_octets: count(recent.hidden_octets),
        };
        let users: Vec<User> = recent.into_iter().map(user).collect();
        let exported = u64::try_from(users.len()).unwrap_or(u64::MAX);
        Self { users, left_out: seen.saturating_sub(exported) }
    }
}

fn add(sum: &mut Windows, more: &Windows) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// No count is negative.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The largest first, those that are too many as one.
fn ranked<'a>(counts: impl Iterator<Item = (&'a str, i64)>) -> Vec<(String, u64)> {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for (name, users) in counts {
        *sums.entry(name).or_default() += count(users);
    }
    let mut ranked: Vec<(String, u64)> =
        sums.into_iter().map(|(name, users)| (name.to_owned(), users)).collect();
    ranked.sort_unstable_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
    let rest: u64 = ranked.iter().skip(KINDS).map(|(_, users)| users).sum();
    ranked.truncate(KINDS);
    if rest > 0 {
        ranked.push((OTHER.to_owned(), rest));
    }
    ranked
}
