//! Why a mode holds for a user, in sentences for people.

use jiff::tz::TimeZone;

use super::{Decision, Mode, Next, Planned, Rule, Rules, instant, local};

impl Rules {
    /// The decision in sentences, for people: what holds and why, then what each rule says on a line of its
    /// own, then what comes next. Without a `domain` ("") the rules of domains are left out. Times are told
    /// in `zone`.
    pub fn explain(&self, user: &str, domain: &str, zone: &TimeZone, now: i64) -> String {
        let Decision { mode, rule, since, next } = self.decide(now);
        let since = since.map(|since| format!(" since {}", local(instant(since), zone))).unwrap_or_default();
        let mut lines = vec![format!("{user}: {mode}{since}, because {} says so.", rule.name(domain))];
        let told = Rule::ALL.into_iter().filter(|told| !(told.is_of_a_domain() && domain.is_empty()));
        let mut decided = false;
        for (at, told) in told.enumerate() {
            let (says, something) = self.says(told, zone, now);
            let but = match (decided, something) {
                (_, true) if told == rule => ". This decides".to_owned(),
                (true, true) => format!("; but {} comes first", rule.name(domain)),
                (true, false) => String::new(),
                (false, _) => ", so the next one is asked".to_owned(),
            };
            decided |= told == rule;
            lines.push(format!("{}. {} {says}{but}.", at + 1, capital(&told.name(domain))));
        }
        if let Some(Next { mode, rule, from }) = next {
            let (from, name) = (local(instant(from), zone), rule.name(domain));
            lines.push(format!("From {from} on it will be {mode}, because {name} will say so."));
        }
        lines.join("\n")
    }

    /// What a rule says, in words, and whether that is anything.
    fn says(&self, rule: Rule, zone: &TimeZone, now: i64) -> (String, bool) {
        let word = |mode: Option<Mode>| mode.map_or("nothing", Mode::as_str);
        let setting = self.setting(rule).map(|setting| setting.settled(now));
        let since = setting.and_then(|setting| setting.set_at());
        let since = since.map(|since| format!(" since {}", local(instant(since), zone)));
        let planned = setting.and_then(|setting| setting.planned).map(|Planned { mode, from }| {
            format!(", and {} from {} on", word(mode), local(instant(from), zone))
        });
        let mode = self.mode(rule, now);
        let says = ["says ", word(mode), &since.unwrap_or_default(), &planned.unwrap_or_default()].concat();
        (says, mode.is_some())
    }
}

impl Rule {
    /// Its name within a sentence.
    fn name(self, domain: &str) -> String {
        match self {
            Self::User => "the user's rule".to_owned(),
            Self::Domain => format!("the rule of the domain {domain}"),
            Self::DomainConfig => format!("the configuration for {domain}"),
            Self::Everyone => "the rule for everyone".to_owned(),
            Self::Default => "the configuration's default (policy.mode)".to_owned(),
        }
    }
}

/// The same at the beginning of a sentence.
fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Setting;

    const NONE: Rules =
        Rules { user: None, domain: None, domain_config: None, everyone: None, default: Mode::Pop3 };

    #[test]
    fn explanations() {
        const DAY: i64 = 86_400;
        let rules = Rules {
            user: Setting::parse("imap-only", 3 * DAY).ok(),
            domain: Setting::parse("notice>imap-only@1970-01-31T00:00:00Z", DAY).ok(),
            ..NONE
        };
        let lines = |rules: Rules, domain| {
            let text = rules.explain("anna@example.net", domain, &TimeZone::UTC, 10 * DAY);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(rules, "example.net"),
            [
                "anna@example.net: imap-only since 1970-01-04 00:00 UTC, because the user's rule says so.",
                "1. The user's rule says imap-only since 1970-01-04 00:00 UTC. This decides.",
                "2. The rule of the domain example.net says notice since 1970-01-02 00:00 UTC, and imap-only from \
                    1970-01-31 00:00 UTC on; but the user's rule comes first.",
                "3. The configuration for example.net says nothing.",
                "4. The rule for everyone says nothing.",
                "5. The configuration's default (policy.mode) says pop3; but the user's rule comes first.",
            ]
        );
        let inherits = Rules { user: Setting::parse("-", 5 * DAY).ok(), ..rules };
        let told = lines(inherits, "example.net");
        assert_eq!(
            told[0],
            "anna@example.net: notice since 1970-01-06 00:00 UTC, because the rule of the domain example.net \
                says so."
        );
        assert_eq!(
            told[1],
            "1. The user's rule says nothing since 1970-01-06 00:00 UTC, so the next one is asked."
        );
        assert_eq!(
            told[6],
            "From 1970-01-31 00:00 UTC on it will be imap-only, because the rule of the domain example.net will \
                say so."
        );
        let planned = Rules { user: Setting::parse("->imap-only@1970-01-31T00:00:00Z", 0).ok(), ..NONE };
        assert_eq!(
            lines(planned, "")[1],
            "1. The user's rule says nothing, and imap-only from 1970-01-31 00:00 UTC on, so the next one is asked."
        );
        assert_eq!(
            lines(NONE, ""),
            [
                "anna@example.net: pop3, because the configuration's default (policy.mode) says so.",
                "1. The user's rule says nothing, so the next one is asked.",
                "2. The rule for everyone says nothing, so the next one is asked.",
                "3. The configuration's default (policy.mode) says pop3. This decides.",
            ]
        );
    }
}
