//! What keys must agree on with each other. Each message names both and says what to do.

use std::time::Duration;

use super::{Admin, AdminAddress, Config, ListenTls, Master, Plaintext};
use crate::policy::refusal::this_account;
use crate::policy::sentence::{Place, ROOM};
use crate::policy::window::MAX_WINDOWS;
use crate::policy::{Language, Mode, Occasion, Sentences, Url};

/// RFC 1939 §3: the autologout timer must be of at least ten minutes.
const SHORTEST_IDLE: Duration = Duration::from_mins(10);

/// The first disagreement.
pub(super) fn check(config: &Config) -> Result<(), String> {
    if config.listen.is_empty() {
        return Err("there is no [[listen]], so nobody could connect: add at least one".to_owned());
    }
    if config.upstream.address.is_empty() {
        return Err("upstream.address is missing: set it to the host:port of your IMAP server".to_owned());
    }
    config.upstream.master.as_ref().map_or(Ok(()), Master::check)?;
    for (at, listen) in config.listen.iter().enumerate() {
        let which = format!("listen[{at}] ({})", listen.address);
        if listen.tls != ListenTls::None && config.tls.certificates.is_empty() {
            return Err(format!(
                "{which} has tls = \"{}\", but tls.certificates is empty: name a certificate and its key there",
                listen.tls.label()
            ));
        }
        if listen.tls == ListenTls::None
            && listen.plaintext.unwrap_or(config.login.plaintext) == Plaintext::TlsOnly
        {
            return Err(format!(
                "{which} has tls = \"none\" while login.plaintext is \"tls-only\", so nobody could log in there: \
                 offer TLS, or set plaintext = \"always\" on that listener"
            ));
        }
    }
    admin(config)?;
    if config.limits.idle_timeout < SHORTEST_IDLE {
        return Err(
            "limits.idle_timeout is under 10m: RFC 1939 section 3 forbids that, and clients that work \
            on a message between two commands would lose their session"
                .to_owned(),
        );
    }
    modes(config)?;
    refusals(config)
}

/// A brownout needs windows, and not too many.
fn modes(config: &Config) -> Result<(), String> {
    let windows = config.policy.brownout.len();
    if windows > MAX_WINDOWS {
        return Err(format!(
            "there are {windows} windows in [[policy.brownout]], and at most {MAX_WINDOWS} are possible: give one \
             window several days (\"mon-fri\") or a span of dates (\"2026-12-01..2026-12-14\")"
        ));
    }
    if config.policy.windows().are_endless() {
        return Err(
            "the windows in [[policy.brownout]] leave no moment of the week outside, so nobody in the mode \
            \"brownout\" could ever log in: that is the mode \"imap-only\"; leave a gap"
                .to_owned(),
        );
    }
    let everyone = ("policy.mode".to_owned(), Some(config.policy.mode));
    let domains =
        config.domains.iter().map(|(name, domain)| (format!("domains.\"{name}\".mode"), domain.mode));
    let needs = std::iter::once(everyone).chain(domains).find(|(_, mode)| *mode == Some(Mode::Brownout));
    match needs {
        Some((key, _)) if windows == 0 => Err(format!(
            "{key} is \"brownout\", but there is no [[policy.brownout]] that says when: add a window"
        )),
        _ => Ok(()),
    }
}

/// Every sentence that can be told must be one that can be filled in, and fit.
fn refusals(config: &Config) -> Result<(), String> {
    let policy = &config.policy;
    let checked = |whose: &str, sentences: &Sentences, url: Option<&Url>, url_key: &str| {
        sentences_fit(whose, sentences, url, url_key, policy.verify_before_refusing)
    };
    let built_in = "in the built-in sentences, ";
    checked(built_in, Sentences::built_in(policy.url.as_ref()), policy.url.as_ref(), "policy.url")?;
    checked("policy.refusals.", &policy.refusals, policy.url.as_ref(), "policy.url")?;
    speaks(config, "policy.language", &policy.language, &[&policy.refusals])?;
    for (name, domain) in config.domains.iter() {
        let url = policy.url(Some(domain));
        let section = format!("domains.\"{name}\"");
        let url_key = if domain.url.is_some() { format!("{section}.url") } else { "policy.url".to_owned() };
        if domain.url.is_some() {
            checked(built_in, Sentences::built_in(url), url, &url_key)?;
            checked("policy.refusals.", &policy.refusals, url, &url_key)?;
        }
        checked(&format!("{section}.refusals."), &domain.refusals, url, &url_key)?;
        if let Some(language) = &domain.language {
            speaks(config, &format!("{section}.language"), language, &[&domain.refusals, &policy.refusals])?;
        }
    }
    Ok(())
}

/// `whose` and the rest of a key name a sentence.
fn sentences_fit(
    whose: &str,
    sentences: &Sentences,
    url: Option<&Url>,
    url_key: &str,
    names_are_told: bool,
) -> Result<(), String> {
    for occasion in Occasion::ALL {
        for (language, sentence) in sentences.of(occasion) {
            let key = format!("{whose}{}.{language}", occasion.as_str());
            if occasion == Occasion::ImapOnly && sentence.uses(Place::Until) {
                return Err(format!("{key} uses {{until}}, but imap-only has no end: leave it out"));
            }
            if sentence.uses(Place::Url) && url.is_none() {
                return Err(format!(
                    "{key} uses {{url}}, but {url_key} is empty: set it, or leave {{url}} out"
                ));
            }
            if sentence.uses(Place::User) && !names_are_told && this_account(language.as_str()).is_none() {
                return Err(format!(
                    "{key} uses {{user}}, but with policy.verify_before_refusing = false no name is told, and \
                     lastpop does not know what \"this account\" is in that language: leave {{user}} out"
                ));
            }
            let longest = sentence.longest(url);
            if longest > ROOM {
                return Err(format!(
                    "{key} can come to {longest} octets with the longest user name and the address in {url_key}, and \
                     a POP3 reply has room for {ROOM}: shorten either by {}",
                    longest - ROOM
                ));
            }
        }
    }
    Ok(())
}

/// There must be sentences in a language that is chosen, or English would be told without a word about it.
fn speaks(config: &Config, key: &str, language: &Language, layers: &[&Sentences]) -> Result<(), String> {
    for occasion in Occasion::ALL {
        if occasion == Occasion::Brownout && config.policy.brownout.is_empty() {
            continue;
        }
        let all = || layers.iter().copied().chain([Sentences::built_in(None)]);
        let has = |tag: &str| all().any(|sentences| sentences.of(occasion).contains_key(tag));
        if !Language::lookup(language.as_str()).any(has) {
            let occasion = occasion.as_str();
            return Err(format!(
                "{key} is \"{language}\", but there is no sentence for {occasion} in it, only in en and lv: write \
                 policy.refusals.{occasion}.{language}"
            ));
        }
    }
    Ok(())
}

/// A token that crosses a network in the clear is everybody's.
fn admin(config: &Config) -> Result<(), String> {
    let Admin { address, tls, .. } = &config.admin;
    if address.is_remote() && !tls {
        return Err(format!(
            "admin.address ({address}) can be reached from other machines while admin.tls is false, so tokens \
             would cross the network in the clear: set admin.tls = true, or admin.address to 127.0.0.1 or \
             unix:/path; metrics.address can serve /metrics to others"
        ));
    }
    if *tls && matches!(address, AdminAddress::Unix(_)) {
        return Err(format!(
            "admin.tls is true, but admin.address ({address}) is a unix socket, which nothing can listen in on: \
             set admin.tls = false"
        ));
    }
    if *tls && config.tls.certificates.is_empty() {
        return Err("admin.tls is true, but tls.certificates is empty: name a certificate and its key there"
            .to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[listen]]\naddress = \"127.0.0.1:110\"\ntls = \"none\"\nplaintext = \"always\"\n\
        [upstream]\naddress = \"imap.example.net:993\"\n";

    #[test]
    fn what_policy_says_in_one_place_must_fit_the_others() {
        const WINDOW: &str = "[[policy.brownout]]\ndays = \"daily\"\nfrom = \"09:00\"\nto = \"11:00\"\n";
        let long = |octets: usize| "x".repeat(octets);
        let table = [
            (
                "[policy]\nmode = \"brownout\"\n".to_owned(),
                "policy.mode is \"brownout\", but there is no [[policy.brownout]]",
            ),
            (
                "[domains.\"example.net\"]\nmode = \"brownout\"\n".to_owned(),
                "domains.\"example.net\".mode is \"brownout\", but there is no",
            ),
            (
                "[[policy.brownout]]\ndays = \"daily\"\nfrom = \"00:00\"\nto = \"00:00\"\n".to_owned(),
                "leave no moment of the week outside",
            ),
            (
                WINDOW.repeat(101),
                "there are 101 windows in [[policy.brownout]], and at most 100 are possible",
            ),
            (
                "[policy.refusals.imap-only]\nlv = \"Lasiet {url}\"\n".to_owned(),
                "policy.refusals.imap-only.lv uses {url}, but policy.url is empty: set it",
            ),
            (
                "[domains.\"example.net\"]\nrefusals.brownout.en = \"Read {url}\"\n".to_owned(),
                "domains.\"example.net\".refusals.brownout.en uses {url}, but policy.url is empty",
            ),
            (
                "[policy.refusals.imap-only]\nen = \"Not until {until}\"\n".to_owned(),
                "policy.refusals.imap-only.en uses {until}, but imap-only has no end",
            ),
            (
                format!("[policy.refusals.imap-only]\nen = \"{{user}} {}\"\n", long(240)),
                "policy.refusals.imap-only.en can come to 496 octets with the longest user name and the address in \
                policy.url, and a POP3 reply has room for 494: shorten either by 2",
            ),
            (
                format!("[policy]\nurl = \"https://example.net/{}\"\n", long(200)),
                "in the built-in sentences, imap-only.en can come to",
            ),
            (
                format!("[domains.\"example.net\"]\nurl = \"https://example.net/{}\"\n", long(200)),
                "and the address in domains.\"example.net\".url",
            ),
            (
                "[policy]\nlanguage = \"de\"\n".to_owned(),
                "policy.language is \"de\", but there is no sentence for imap-only in it, only in en and lv: write \
                policy.refusals.imap-only.de",
            ),
            (
                format!("{WINDOW}[policy]\nlanguage = \"de\"\nrefusals.imap-only.de = \"IMAP bitte.\"\n"),
                "there is no sentence for brownout in it",
            ),
            (
                "[domains.\"example.net\"]\nlanguage = \"de-at\"\n".to_owned(),
                "domains.\"example.net\".language is \"de-at\", but there is no sentence",
            ),
            (
                "[policy]\nverify_before_refusing = false\nrefusals.imap-only.de = \"IMAP bitte, {user}.\"\n"
                    .to_owned(),
                "policy.refusals.imap-only.de uses {user}, but with policy.verify_before_refusing = false",
            ),
        ];
        for (mistake, expected) in table {
            let config = toml::from_str(&format!("{GOOD}{mistake}")).unwrap();
            let message = check(&config).unwrap_err();
            assert!(message.contains(expected), "{mistake:?} gives {message:?}");
        }
    }
}
