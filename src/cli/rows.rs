//! Users and changes as rows: which columns, in which order, and which of them tables leave out.

use super::output::{Cell, Column, Row, key, main, more};
use crate::api::{Change, Unhidden, User};

/// A word that may be absent.
pub(super) fn text(value: Option<&String>) -> Cell<'_> {
    Cell::of(value, |text| Cell::Text(text))
}

impl Row for User {
    const COLUMNS: &'static [Column] = &[
        key("user"),
        more("domain"),
        key("mode"),
        main("rule"),
        more("setting"),
        more("set_since"),
        more("language"),
        more("first_seen"),
        main("last_seen"),
        main("client"),
        more("address"),
        main("tls"),
        more("method"),
        main("sessions"),
        main("messages"),
        more("octets"),
        more("deleted"),
        main("refused"),
        more("last_refused"),
        more("maildrop_messages"),
        more("maildrop_octets"),
        main("hidden_messages"),
        more("hidden_octets"),
        more("quota_used"),
        more("quota_limit"),
        more("quota_at"),
        more("poll_interval"),
        more("keeps_mail"),
        more("notice_dismissed"),
        more("farewell_dismissed"),
        more("unhide_since"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        let usage = &self.usage;
        vec![
            Cell::Text(&self.user),
            Cell::Text(&self.domain),
            Cell::Text(self.effective.mode.as_str()),
            Cell::Text(self.effective.rule.as_str()),
            Cell::setting(&self.setting),
            Cell::of(self.setting.since, Cell::Time),
            text(self.language.as_ref()),
            Cell::of(usage.first_seen, Cell::Time),
            Cell::of(usage.last_seen, Cell::Time),
            text(usage.family.as_ref()),
            text(usage.address.as_ref()),
            text(usage.tls.as_ref()),
            text(usage.method.as_ref()),
            Cell::Number(usage.sessions),
            Cell::Number(usage.messages),
            Cell::Octets(usage.octets),
            Cell::Number(usage.deleted),
            Cell::Number(usage.refused),
            Cell::of(usage.last_refused, Cell::Time),
            Cell::of(usage.maildrop_messages, Cell::Number),
            Cell::of(usage.maildrop_octets, Cell::Octets),
            Cell::of(usage.hidden_messages, Cell::Number),
            Cell::of(usage.hidden_octets, Cell::Octets),
            Cell::of(usage.quota, |quota| Cell::Octets(quota.used)),
            Cell::of(usage.quota, |quota| Cell::Octets(quota.limit)),
            Cell::of(usage.quota, |quota| Cell::Time(quota.at)),
            Cell::of(usage.poll_interval, Cell::Number),
            Cell::of(usage.keeps_mail, Cell::Flag),
            text(self.notice_dismissed.as_ref()),
            text(self.farewell_dismissed.as_ref()),
            Cell::of(self.unhide_since, |day| Cell::Made(day.to_string())),
        ]
    }
}

impl Row for Change {
    const COLUMNS: &'static [Column] = &[
        key("subject"),
        main("before"),
        key("after"),
        main("in_force"),
        main("rule"),
        main("followers"),
        more("dry_run"),
    ];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Text(&self.subject),
            Cell::setting(&self.before),
            Cell::setting(&self.after),
            Cell::Text(self.effective.mode.as_str()),
            Cell::Text(self.effective.rule.as_str()),
            Cell::of(self.followers, Cell::Number),
            Cell::Flag(self.dry_run),
        ]
    }
}

impl Row for Unhidden {
    const COLUMNS: &'static [Column] =
        &[key("user"), main("since"), main("messages"), main("done"), more("dry_run")];

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            Cell::Text(&self.user),
            Cell::of(self.since, |day| Cell::Made(day.to_string())),
            Cell::of(self.messages, Cell::Number),
            Cell::Flag(self.done),
            Cell::Flag(self.dry_run),
        ]
    }
}
