//! What a login leads to, by the rules and the clock: the mailbox, the mailbox with a notice, a notice alone, or a
//! refusal that says why.

use super::context::Settings;
use crate::policy::{Mode, Response, Rules, Setting, instant};
use crate::pop3::{Code, Reply};
use crate::store::{self, Facts};
use crate::users::UserName;
use crate::words::Language;

/// What a login leads to. It stands for the whole session: a window that opens in the middle of one, or a flip,
/// changes nothing for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The mailbox.
    Serve,
    /// The mailbox, and a notice as its last message.
    WithNotice,
    /// Nothing but the farewell.
    OnlyFarewell,
    /// No session.
    Refuse(Refusal),
}

/// A refusal by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which mode refuses.
    pub mode: Mode,
    /// What the client reads.
    pub reply: Reply,
}

/// The rules that can say something about a user. Without facts (the store is away and never knew the user) the
/// domain's and everyone's hold.
pub fn rules(settings: &Settings, domains: &store::Domains, facts: Option<&Facts>, user: &UserName) -> Rules {
    Rules {
        // Who never had a rule has no rule since 1970.
        user: facts.map(|facts| facts.setting).filter(|setting| *setting != Setting::default()),
        domain: domains.get(user.domain()),
        domain_config: settings.domains.get(user.domain()).and_then(|domain| domain.mode),
        everyone: domains.everyone(),
        default: settings.policy.mode,
    }
}

/// Decides at `now`, in Unix seconds. `verified` says whether the upstream has accepted the password: only then
/// may the reply name the user.
pub fn verdict(
    settings: &Settings,
    domains: &store::Domains,
    facts: Option<&Facts>,
    user: &UserName,
    verified: bool,
    now: i64,
) -> (Mode, Verdict) {
    let policy = &settings.policy;
    let domain = settings.domains.get(user.domain());
    let language = facts.and_then(|facts| facts.language.as_ref()).map(Language::as_str);
    let wording = policy.wording(domain, language);
    let name = verified.then(|| user.as_str());
    let mode = rules(settings, domains, facts, user).decide(now).mode;
    let refuse = |text| Verdict::Refuse(Refusal { mode, reply: Reply::err_code_owned(Code::SysPerm, text) });
    let verdict = match mode {
        Mode::Pop3 => Verdict::Serve,
        Mode::Notice => Verdict::WithNotice,
        Mode::Brownout => match settings.windows.active(instant(now)) {
            Some(until) => refuse(wording.brownout(until, name)),
            None => Verdict::WithNotice,
        },
        Mode::ImapOnly => match policy.response(domain) {
            Response::Notice => Verdict::OnlyFarewell,
            Response::Refuse => refuse(wording.imap_only(name)),
        },
    };
    (mode, verdict)
}
