//! The notice of one session: made at login, so that its size and unique-id are known before anything is listed.
//!
//! Nothing of it touches IMAP. Deleting it is remembered in the state store, before QUIT is answered.

use std::sync::atomic::Ordering;

use super::context::{Context, Settings};
use crate::notice::{self, Campaign, Kind};
use crate::store::{self, Facts, StoreError};
use crate::users::UserName;
use crate::words::Url;

/// A notice as this user sees it.
#[derive(Debug)]
pub struct Notice {
    kind: Kind,
    campaign: Campaign,
    text: Vec<u8>,
    unique_id: String,
}

impl Notice {
    /// The notice of this kind, unless the user has deleted it. `now` is in Unix seconds.
    ///
    /// Its octets stay the same for the whole campaign: it is made of what the campaign began with, as long as the user
    /// gets the template for the same domain and language.
    pub async fn prepare(
        kind: Kind,
        user: &UserName,
        facts: &Facts,
        settings: &Settings,
        cx: &Context,
        now: i64,
    ) -> Result<Option<Self>, StoreError> {
        let campaign = &settings.notices.campaign;
        if facts.has_dismissed(kind, campaign.as_str()) {
            return Ok(None);
        }
        let domain = settings.domains.get(user.domain());
        let of_domain = domain.and_then(|domain| domain.language.as_ref());
        let chosen = settings.templates.choose(kind, user.domain(), facts.language.as_ref(), of_domain);
        // A domain with a page of its own begins a campaign of its own.
        let own = domain.is_some_and(|domain| domain.url.is_some());
        let source = store::Source {
            campaign: campaign.as_str(),
            kind,
            domain: if own { user.domain() } else { chosen.domain },
            language: &chosen.language,
            template: chosen.template,
            url: settings.policy.url(domain).map_or("", Url::as_str),
            sender: settings.notices.sender_domain.as_ref(),
        };
        if kind == Kind::Notice && source.lacks_its_page() {
            settings.no_page.call_once(|| {
                tracing::warn!(
                    "no notice is shown where it names a page by {{url}} and there is none: set policy.url, and reload"
                );
            });
            return Ok(None);
        }
        let begun = cx.store.campaign(&source, now).await?;
        if begun.differs_from(&source) && !begun.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                campaign = campaign.as_str(),
                kind = kind.as_str(),
                domain = source.domain,
                language = source.language.as_str(),
                "the notice was changed after its campaign began: customers go on seeing it as it was; choose another \
                notices.campaign to show the new one to everybody"
            );
        }
        let text = notice::render(
            &begun.template,
            &notice::Facts {
                kind,
                campaign,
                user: user.as_str(),
                domain: user.domain(),
                url: &begun.url,
                date: begun.at,
                sender_domain: begun.sender.as_ref(),
            },
        );
        let unique_id = notice::unique_id(campaign, kind, user.as_str());
        Ok(Some(Self { kind, campaign: campaign.clone(), text, unique_id }))
    }

    /// The message, before dot-stuffing.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What UIDL shows.
    pub fn unique_id(&self) -> &str {
        &self.unique_id
    }

    /// Remembers that the user has deleted it. `false`: that could not be kept, so it is listed again.
    pub async fn dismiss(&self, user: &UserName, cx: &Context) -> bool {
        match cx.store.dismiss(user, self.kind, self.campaign.as_str()).await {
            Ok(()) => true,
            Err(error) => {
                cx.metrics.store.errors.inc();
                tracing::warn!(%user, %error, "a notice that was deleted will be listed again");
                false
            }
        }
    }
}
