//! What may surprise whoever has set a mode.

use super::view::View;
use crate::policy::{Mode, Response, Setting, instant};
use crate::store::Subject;

/// Sentences about what a setting leads to, now or when its plan's time has come.
pub(super) fn of(view: &View, subject: &Subject, setting: Setting, never_seen: bool) -> Vec<String> {
    let (mode, at) = match setting.planned {
        Some(planned) => (planned.mode, planned.from),
        None => (setting.mode, view.now),
    };
    let (settings, at) = (view.settings(), instant(at));
    let (name, section) = match subject {
        Subject::User(user) => (user.domain(), format!("domains.\"{}\".url or policy.url", user.domain())),
        Subject::Domain(domain) => (domain.as_str(), format!("domains.\"{domain}\".url or policy.url")),
        Subject::Everyone => ("", "policy.url".to_owned()),
    };
    let domain = settings.domains.get(name);
    let mut warnings = Vec::new();
    if never_seen {
        let said = "Nobody of that name has logged in yet. If it is spelled right, with its domain, the mode waits for the \
            first login; otherwise undo this.";
        warnings.push(said.to_owned());
    }
    let windows = &settings.windows;
    if mode == Some(Mode::Brownout) && windows.active(at).is_none() && windows.next(at).is_none() {
        warnings.push(
            "No window is to come ([[policy.brownout]]), so nobody will be refused: this is like notice."
                .to_owned(),
        );
    }
    let shows = match mode {
        Some(Mode::Notice | Mode::Brownout) => true,
        Some(Mode::ImapOnly) => settings.policy.response(domain) == Response::Notice,
        Some(Mode::Pop3) | None => false,
    };
    if shows && settings.policy.url(domain).is_none() {
        warnings.push(format!(
            "There is no page where customers read how to switch, so no notice that names it is shown: set {section}."
        ));
    }
    warnings
}
