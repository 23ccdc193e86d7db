//! From credentials to a maildrop: the upstream is asked, the rules decide, and the listing becomes what the client
//! sees.

use std::sync::Arc;

use super::context::{Context, Settings};
use super::enter::Early;
use super::notice::Notice;
use super::patience::Patience;
use super::unhide::listing;
use super::upstream::{Origin, Upstream};
use super::verdict::{Refusal, Verdict, verdict};
use crate::imap::Error;
use crate::imap::Listed;
use crate::notice::Kind;
use crate::policy::Mode;
use crate::pop3::{Credentials, Maildrop, Transaction};
use crate::slots::Slot;
use crate::store::{Facts, StoreError};
use crate::uidl::Recipe;
use crate::usage::Mailbox;
use crate::users::UserName;

/// How old a quota may be, in seconds: it is asked for once a day.
const QUOTA_AGE: i64 = 24 * 60 * 60;

/// A session that is logged in.
#[derive(Debug)]
pub struct Opened {
    /// Whose session it is.
    pub user: UserName,
    /// The mode that was decided.
    pub mode: Mode,
    /// The state machine with its maildrop.
    pub transaction: Transaction,
    /// The connection behind it.
    pub upstream: Upstream,
    /// The recipe for its unique-ids: the one that served this user first.
    pub recipe: Arc<Recipe>,
    /// The notice, if the maildrop has one.
    pub notice: Option<Notice>,
    /// What is in the mailbox; `None` where only the farewell is shown.
    pub mailbox: Option<Mailbox>,
    /// What was known of the user before.
    pub facts: Arc<Facts>,
    /// Is the upstream to be asked after QUIT how full the mailbox is?
    pub ask_quota: bool,
    /// Counts among the user's sessions as long as it lives.
    pub slot: Slot<UserName>,
}

/// Why there is none.
#[derive(Debug)]
pub enum Refused {
    /// The upstream refused or failed.
    Upstream(Error),
    /// The user has `limits.sessions_per_user` sessions already.
    TooMany,
    /// The user's mode refuses.
    Mode(Refusal),
    /// The listing needs a stored fact that is not to be had now.
    Store(StoreError),
}

/// Opens the maildrop. The password is accepted only when INBOX was selected and listed as a whole: some
/// servers say OK to any LOGIN, and a partial listing would make clients forget what they have seen.
pub async fn open(
    credentials: Credentials,
    origin: Origin,
    early: Early,
    settings: &Arc<Settings>,
    cx: &Arc<Context>,
) -> Result<Opened, Refused> {
    let user = settings.names.canonical(credentials.user());
    let now = jiff::Timestamp::now().as_second();
    let address = origin.peer.ip();
    // 1. Some are refused without asking the upstream. Master credentials open no session, whoever has them.
    if settings.master.as_ref().is_some_and(|master| master.is_meant_by(credentials.user())) {
        return Err(Refused::Upstream(Error::Credentials));
    }
    let policy = &settings.policy;
    let known = cx.verified.holds(&user, credentials.password(), policy.remember_verified);
    if known || !policy.verify_before_refusing {
        let facts = cx.store.facts(&user).await.ok();
        if let (_, Verdict::Refuse(refusal)) =
            verdict(settings, cx.store.domains(), facts.as_deref(), &user, known, now)
        {
            if known {
                cx.usage.refused(&user, now, address);
            }
            return Err(Refused::Mode(refusal));
        }
    }
    // 2. Is the password right? As a rule the listing is wanted as well, and asked for together with the login.
    let list = wants_listing(&user, settings, cx, now);
    let entered =
        Upstream::enter(credentials, origin, list, early, Arc::clone(settings), Arc::clone(cx)).await;
    let mut upstream = entered.map_err(|error| {
        if matches!(error, Error::Credentials) {
            cx.verified.forget(&user);
        }
        Refused::Upstream(error)
    })?;
    // 3. Whoever has no session is logged out upstream as well.
    match admit(&user, &mut upstream, settings, cx, now).await {
        Ok(Admitted { mode, transaction, recipe, notice, mailbox, facts, ask_quota, slot }) => {
            Ok(Opened { user, mode, transaction, upstream, recipe, notice, mailbox, facts, ask_quota, slot })
        }
        Err(refused) => {
            if matches!(refused, Refused::Mode(_)) {
                cx.usage.refused(&user, now, address);
            }
            upstream.logout().await;
            Err(refused)
        }
    }
}

/// What a login will lead to, as far as is known without a question.
fn foreseen(user: &UserName, settings: &Settings, cx: &Context, now: i64) -> (Verdict, Option<Arc<Facts>>) {
    let known = cx.store.known(user);
    let (_, verdict) = verdict(settings, cx.store.domains(), known.as_deref(), user, true, now);
    (verdict, known)
}

/// Is whoever logs in with this name likely to be served, so that the upstream may as well be connected to?
pub fn is_welcome(name: &[u8], settings: &Settings, cx: &Context) -> bool {
    let user = settings.names.canonical(name);
    let now = jiff::Timestamp::now().as_second();
    !matches!(foreseen(&user, settings, cx, now), (Verdict::Refuse(_), _))
}

/// Is the listing likely to be wanted?
fn wants_listing(user: &UserName, settings: &Settings, cx: &Context, now: i64) -> bool {
    let (verdict, known) = foreseen(user, settings, cx, now);
    let unhide = known.is_some_and(|facts| facts.unhide_since.is_some());
    matches!(verdict, Verdict::Serve | Verdict::WithNotice) && !unhide
}

/// What a session has besides its upstream.
struct Admitted {
    mode: Mode,
    transaction: Transaction,
    recipe: Arc<Recipe>,
    notice: Option<Notice>,
    mailbox: Option<Mailbox>,
    facts: Arc<Facts>,
    ask_quota: bool,
    slot: Slot<UserName>,
}

async fn admit(
    user: &UserName,
    upstream: &mut Upstream,
    settings: &Settings,
    cx: &Context,
    now: i64,
) -> Result<Admitted, Refused> {
    let stored = |error| {
        cx.metrics.store.errors.inc();
        Refused::Store(error)
    };
    let (mut slot, mut listed, mut patience) = (None, None, Patience::new());
    // A listing may take a minute, in which the user may be switched: what holds is what is decided after it.
    let (facts, mode, verdict, slot) = loop {
        let facts = patience.wait(cx.store.facts(user)).await;
        let (mode, verdict) = verdict(settings, cx.store.domains(), facts.as_deref().ok(), user, true, now);
        if let Verdict::Refuse(refusal) = verdict {
            cx.verified.remember(user, upstream.credentials().password());
            return Err(Refused::Mode(refusal));
        }
        let Some(entered) =
            slot.take().or_else(|| cx.users.enter(user.clone(), settings.limits.sessions_per_user))
        else {
            return Err(Refused::TooMany);
        };
        let facts = facts.map_err(stored)?;
        if listed.is_some() || verdict == Verdict::OnlyFarewell {
            break (facts, mode, verdict, entered);
        }
        slot = Some(entered);
        listed =
            Some(listing(user, &facts, upstream, cx, &mut patience, now).await.map_err(Refused::Upstream)?);
    };
    let notice = notice(&verdict, user, &facts, settings, cx, &mut patience, now).await.map_err(stored)?;
    let listing = listed.filter(|_| verdict != Verdict::OnlyFarewell);
    // Committed before the reply that relies on it.
    let recipe = patience
        .ask(pin(user, &facts, upstream.mailbox().uidvalidity, settings, cx, now))
        .await
        .map_err(stored)?;
    let mailbox = listing.as_deref().map(mailbox);
    let maildrop = maildrop(listing.as_deref().unwrap_or_default(), notice.as_ref());
    let transaction = Transaction::new(maildrop, upstream.mailbox().keyword);
    let asked_at = facts.quota_at.max(cx.usage.quota_at(user));
    let ask_quota = asked_at.is_none_or(|at| now - at >= QUOTA_AGE);
    Ok(Admitted { mode, transaction, recipe, notice, mailbox, facts, ask_quota, slot })
}

/// The notice that the verdict asks for. One that cannot be had keeps nobody from their mail.
async fn notice(
    verdict: &Verdict,
    user: &UserName,
    facts: &Facts,
    settings: &Settings,
    cx: &Context,
    patience: &mut Patience,
    now: i64,
) -> Result<Option<Notice>, StoreError> {
    let mut prepare = async |kind| patience.ask(Notice::prepare(kind, user, facts, settings, cx, now)).await;
    match verdict {
        Verdict::Serve | Verdict::Refuse(_) => Ok(None),
        Verdict::OnlyFarewell => prepare(Kind::Farewell).await,
        Verdict::WithNotice => {
            let notice = prepare(Kind::Notice).await;
            Ok(notice.unwrap_or_else(|error| {
                cx.metrics.store.errors.inc();
                tracing::warn!(%user, %error, "the maildrop is shown without its notice");
                None
            }))
        }
    }
}

async fn pin(
    user: &UserName,
    facts: &Facts,
    uidvalidity: u32,
    settings: &Settings,
    cx: &Context,
    now: i64,
) -> Result<Arc<Recipe>, StoreError> {
    let pin = cx.store.pin(user, facts, uidvalidity, &settings.maildrop.uidl, now).await?;
    if pin.uidvalidity_changed {
        cx.metrics.store.uidvalidity_changes.inc();
        tracing::warn!(
            %user,
            uidvalidity,
            "UIDVALIDITY changed: this user's clients download everything again"
        );
    }
    Ok(pin.recipe)
}

/// What a listing adds up to.
pub(super) fn mailbox(listing: &[Listed]) -> Mailbox {
    let mut mailbox = Mailbox::default();
    for row in listing {
        let (messages, octets) = if row.hidden {
            (&mut mailbox.hidden_messages, &mut mailbox.hidden_octets)
        } else {
            (&mut mailbox.messages, &mut mailbox.octets)
        };
        *messages += 1;
        *octets += row.octets;
    }
    mailbox
}

fn maildrop(listing: &[Listed], notice: Option<&Notice>) -> Maildrop {
    let maildrop = Maildrop::new(listing.iter().filter(|row| !row.hidden).map(|row| (row.uid, row.octets)));
    match notice {
        Some(notice) => maildrop.with_notice(notice.text().len() as u64),
        None => maildrop,
    }
}
