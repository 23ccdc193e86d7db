//! The table behind [`guess`](super::guess): which habit gives which program away. Each row was made from
//! sessions in `tests/family`, and held against all others there.

use super::Family as F;
use super::trace::{Kind as K, Trace};

/// One habit.
#[derive(Debug)]
pub(super) struct Rule {
    /// The name for it.
    pub(super) family: F,
    /// All lines of the login, after STLS if there was one; [`ANY`]: whatever they were.
    login: &'static [K],
    /// The first lines after login; twice in a row stands for twice or more.
    mailbox: &'static [K],
    /// Must a command have come ahead of the reply to the one before it? That can be seen only when the network
    /// was quick enough, so no row asks for the opposite.
    ahead: bool,
}

impl Rule {
    const fn new(family: F, login: &'static [K], mailbox: &'static [K]) -> Self {
        Self { family, login, mailbox, ahead: false }
    }

    const fn ahead(self) -> Self {
        Self { ahead: true, ..self }
    }

    pub(super) fn fits(&self, trace: &Trace) -> bool {
        (self.login.is_empty() || trace.login.is(self.login))
            && trace.mailbox.begins(self.mailbox)
            && (trace.ahead || !self.ahead)
    }
}

const ANY: &[K] = &[];
const USER: &[K] = &[K::User, K::Pass];
const CAPA_USER: &[K] = &[K::Capa, K::User, K::Pass];
const CAPA_AUTH: &[K] = &[K::Capa, K::Auth];
const CAPA_AUTH_INITIAL: &[K] = &[K::Capa, K::AuthInitial];

/// The first row that fits decides, so what is most specific stands first.
pub(super) const RULES: &[Rule] = &[
    // fetchmail asks for the size of each message, then for 99999999 lines of it, lest RETR marks it as seen.
    Rule::new(F::Fetchmail, ANY, &[K::Stat, K::Uidl, K::ListOne, K::TopAll]),
    // Without its option uidl it still tries LAST, gone from POP3 since 1994, and UIDL when that is refused.
    Rule::new(F::Fetchmail, CAPA_USER, &[K::Stat, K::Last, K::Uidl]),
    // getmail makes its list of messages twice.
    Rule::new(F::Getmail, USER, &[K::Uidl, K::List, K::Uidl, K::List]),
    // Mutt asks what the server can do again after login, then for size and header of each message in turn before
    // it shows any; or, on its command fetch-mail with pop_last, for STAT twice and LAST. Its beginning alone is
    // also MailKit's.
    Rule::new(
        F::MuttOrNeomutt,
        CAPA_AUTH,
        &[K::Capa, K::Stat, K::Uidl, K::ListOne, K::TopHeader, K::ListOne, K::TopHeader],
    ),
    Rule::new(F::MuttOrNeomutt, CAPA_AUTH, &[K::Capa, K::Stat, K::Stat, K::Last]),
    // c-client asks again, too, and takes the sizes from LIST. PHP's goes on with a header; Alpine sends the
    // initial response at once, and looks whether the server is still there before it goes on.
    Rule::new(F::CClient, CAPA_AUTH, &[K::Capa, K::Stat, K::List, K::TopHeader]),
    Rule::new(F::CClient, CAPA_AUTH_INITIAL, &[K::Capa, K::Stat, K::List, K::Noop]),
    // Camel asks again, too, and needs no STAT.
    Rule::new(F::Evolution, CAPA_USER, &[K::Capa, K::List, K::Uidl]),
    // Mailutils asks after STAT whether there is UIDL or TOP, or reads a header after its message.
    Rule::new(F::Mailutils, USER, &[K::Stat, K::Capa]),
    Rule::new(F::Mailutils, CAPA_USER, &[K::Stat, K::Retr, K::TopHeader]),
    // JavaMail looks whether the server is still there as soon as the folder is open.
    Rule::new(F::JavaMail, CAPA_USER, &[K::Stat, K::Noop]),
    // Mail::Box looks twice before it asks for anything.
    Rule::new(F::PerlMailBox, USER, &[K::Stat, K::Uidl, K::Noop, K::Noop]),
    // Mailfilter asks for STAT twice, then for size and header of each message in turn.
    Rule::new(F::Mailfilter, USER, &[K::Stat, K::Stat, K::ListOne, K::TopHeader, K::ListOne, K::TopHeader]),
    // S-nail asks for the size of every message before the header of every message, one by one.
    Rule::new(F::SNail, USER, &[K::Stat, K::ListOne, K::ListOne, K::TopHeader, K::TopHeader]),
    // fdm says DELE one message late, because it delivers while it fetches.
    Rule::new(F::Fdm, USER, &[K::Stat, K::Uidl, K::ListOne, K::Retr, K::ListOne, K::Retr, K::Dele, K::Dele]),
    // Thunderbird deletes each message as soon as it has it. mpop begins in the same way, but asks for several
    // messages at once and deletes at the end. Over TLS both choose AUTH.
    Rule::new(F::Thunderbird, CAPA_AUTH, &[K::Stat, K::List, K::Uidl, K::Retr, K::Dele, K::Retr, K::Dele]),
    Rule::new(F::Mpop, CAPA_AUTH, &[K::Stat, K::List, K::Uidl]).ahead(),
    Rule::new(F::Mpop, CAPA_USER, &[K::Stat, K::List, K::Uidl]).ahead(),
    Rule::new(F::ThunderbirdOrMpop, CAPA_AUTH, &[K::Stat, K::List, K::Uidl]),
    // Emacs asks for all messages at once, too, after much less.
    Rule::new(F::Emacs, USER, &[K::Stat, K::Retr, K::Retr]).ahead(),
    Rule::new(F::Emacs, CAPA_USER, &[K::Stat, K::Retr, K::Retr]).ahead(),
    Rule::new(F::Emacs, USER, &[K::Uidl, K::List, K::Retr, K::Retr]).ahead(),
    Rule::new(F::Emacs, CAPA_USER, &[K::Uidl, K::List, K::Retr, K::Retr]).ahead(),
    // curl is told a number, so it needs no listing; a mail program needs one. Scripts do without CAPA.
    Rule::new(F::Curl, CAPA_AUTH, &[K::Retr]),
    Rule::new(F::Curl, CAPA_AUTH, &[K::Dele]),
];

#[cfg(test)]
mod tests {
    use super::super::trace::{LOGIN, MAILBOX};
    use super::*;

    #[test]
    fn every_row_can_be_reached() {
        for (at, rule) in RULES.iter().enumerate() {
            assert!(rule.login.len() < LOGIN && rule.mailbox.len() <= MAILBOX, "{rule:?} is too long");
            let thrice = rule.mailbox.windows(3).any(|kinds| kinds.iter().all(|kind| *kind == kinds[0]));
            assert!(!thrice, "{rule:?}: a trace has nothing three times in a row");
            for earlier in &RULES[..at] {
                let hides = (earlier.login.is_empty() || earlier.login == rule.login)
                    && rule.mailbox.starts_with(earlier.mailbox)
                    && (rule.ahead || !earlier.ahead);
                assert!(!hides, "{earlier:?} hides {rule:?}");
            }
        }
    }
}
