//! Notices: what a campaign began with, and who has deleted the notice.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::database::{Waits, in_time, on, transaction, until_free, writing};
use super::notify::{CHANNEL, Message};
use super::{Facts, Store, StoreError, UserRow};
use crate::notice::{Kind, Placeholder, Template};
use crate::users::UserName;
use crate::words::{DomainName, Language};

/// How long QUIT waits until it is noted that the notice was deleted.
const NOTE: Duration = Duration::from_secs(15);

/// Templates of campaigns that are kept in memory, a few kilobytes each.
pub(super) const CACHED: usize = 1_000;

/// Octets of names of campaigns that are remembered as deleted by one user: twelve of the longest names, which is more
/// than anybody is shown.
const REMEMBERED: usize = 396;

/// Stands for what is remembered no more, and is in no campaign's name.
const FORGOTTEN: &str = "~";

/// Which template of which campaign: campaign, kind, domain, language.
pub(super) type Key = (String, Kind, String, String);

/// A campaign, for those who get one template of it.
#[derive(Debug)]
pub struct Begun {
    /// When it began, in Unix seconds: the date of its notices.
    pub at: i64,
    /// The template as it was then.
    pub template: Template,
    /// The page that it names.
    pub url: String,
    /// The domain that it comes from, if not from the user's.
    pub sender: Option<DomainName>,
    /// Was somebody told that it has been edited since?
    pub told: AtomicBool,
}

impl Begun {
    /// Was something edited since?
    pub fn differs_from(&self, now_is: &Source<'_>) -> bool {
        self.template != *now_is.template || self.url != now_is.url || self.sender.as_ref() != now_is.sender
    }
}

/// What a notice would be made of now.
#[derive(Debug)]
pub struct Source<'a> {
    /// The campaign.
    pub campaign: &'a str,
    /// Which notice.
    pub kind: Kind,
    /// The domain that it is for; empty: all that have nothing of their own.
    pub domain: &'a str,
    /// Its language.
    pub language: &'a Language,
    /// The template.
    pub template: &'a Template,
    /// The page that it names, or nothing.
    pub url: &'a str,
    /// The domain that it comes from, if not from the user's.
    pub sender: Option<&'a DomainName>,
}

impl Source<'_> {
    /// Would it lead to a page without an address?
    pub fn lacks_its_page(&self) -> bool {
        self.url.is_empty() && self.template.placeholders().contains(&Placeholder::Url)
    }
}

impl Facts {
    /// Has the user deleted the notice of this kind that this campaign shows?
    ///
    /// Each campaign is remembered for itself: a session that began before a campaign may end after somebody has
    /// deleted its notice, and while a new configuration is rolled out, one proxy is a campaign ahead of another.
    pub fn has_dismissed(&self, kind: Kind, campaign: &str) -> bool {
        let dismissed = match kind {
            Kind::Notice => &self.notice_dismissed,
            Kind::Farewell => &self.farewell_dismissed,
        };
        dismissed.as_deref().is_some_and(|campaigns| names(campaigns).any(|name| name == campaign))
    }

    pub(super) fn dismiss(&mut self, kind: Kind, campaign: &str) {
        if self.has_dismissed(kind, campaign) {
            return;
        }
        let dismissed = match kind {
            Kind::Notice => &mut self.notice_dismissed,
            Kind::Farewell => &mut self.farewell_dismissed,
        };
        let before = dismissed.take().map_or_else(String::new, |before| before + " ");
        *dismissed = Some(before + campaign);
    }
}

impl UserRow {
    /// The campaign whose notice of this kind the user has deleted last.
    pub fn dismissed(&self, kind: Kind) -> Option<&str> {
        let dismissed = match kind {
            Kind::Notice => &self.notice_dismissed,
            Kind::Farewell => &self.farewell_dismissed,
        };
        names(dismissed.as_deref()?).last()
    }
}

/// Campaigns as a column has them, in the order in which their notices were deleted.
fn names(column: &str) -> impl Iterator<Item = &str> {
    column.split(' ')
}

/// Adds one to a column, unless it is there. Parameters: user, domain, campaign.
fn dismissal(column: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "INSERT INTO users (username, domain, {column}) VALUES ($1, $2, $3)
        ON CONFLICT (username) DO UPDATE SET {column} = CASE
            WHEN users.{column} IS NULL THEN excluded.{column}
            WHEN replace(' ' || users.{column} || ' ', ' ' || excluded.{column} || ' ', '')
                <> ' ' || users.{column} || ' ' THEN users.{column}
            WHEN length(users.{column}) > {REMEMBERED}
                THEN '{FORGOTTEN}' || substr(users.{column}, length(users.{column}) - {REMEMBERED} + 1) || ' '
                    || excluded.{column}
            ELSE users.{column} || ' ' || excluded.{column} END"
    ))
}

impl Store {
    /// What this campaign began with for whoever would get `now_is` now; if it has not begun, it does, at `now`. So a
    /// notice keeps its octets, whatever is edited while clients remember its size.
    pub async fn campaign(&self, now_is: &Source<'_>, now: i64) -> Result<Arc<Begun>, StoreError> {
        let Source { campaign, kind, domain, language, .. } = *now_is;
        let key: Key = (campaign.to_owned(), kind, domain.to_owned(), language.as_str().to_owned());
        if let Some(begun) = self.campaigns.get(&key) {
            return Ok(begun);
        }
        let begun = Arc::new(self.begun(now_is, now).await?);
        self.campaigns.insert(key, Arc::clone(&begun));
        Ok(begun)
    }

    async fn begun(&self, now_is: &Source<'_>, now: i64) -> Result<Begun, StoreError> {
        let Source { campaign, kind, domain, language, .. } = *now_is;
        let insert = "INSERT INTO notices (campaign, kind, domain, language, started_at, template, url, sender)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (campaign, kind, domain, language) DO NOTHING";
        let select = "SELECT started_at, template, url, sender FROM notices
            WHERE campaign = $1 AND kind = $2 AND domain = $3 AND language = $4";
        writing!(&self.database, connection => sqlx::query(insert)
            .bind(campaign).bind(kind.as_str()).bind(domain).bind(language.as_str())
            .bind(now).bind(now_is.template.source()).bind(now_is.url)
            .bind(now_is.sender.map_or("", DomainName::as_str))
            .execute(&mut *connection).await.map(drop))?;
        let (at, source, url, sender): (i64, String, String, String) = on!(&self.database, pool => sqlx::query_as(select)
                .bind(campaign).bind(kind.as_str()).bind(domain).bind(language.as_str())
                .fetch_one(pool).await)?;
        let template = Template::parse(source.as_bytes())
            .map_err(|_| StoreError::Foreign("a template of a notice that is none".to_owned()))?;
        Ok(Begun { at, template, url, sender: DomainName::parse(&sender), told: AtomicBool::new(false) })
    }

    /// The user has deleted the notice: it is not shown again within this campaign.
    pub async fn dismiss(&self, user: &UserName, kind: Kind, campaign: &str) -> Result<(), StoreError> {
        // Hundreds may do so while a change of a million users has their rows locked.
        let told = in_time(NOTE, until_free(|| self.note_dismissed(user, kind, campaign))).await?;
        self.known.amend(user, |facts| facts.dismiss(kind, campaign));
        if !told {
            self.tell_outdated(user).await;
        }
        Ok(())
    }

    /// Says whether the other proxies were told along with it.
    async fn note_dismissed(&self, user: &UserName, kind: Kind, campaign: &str) -> Result<bool, StoreError> {
        self.database.present()?;
        let upsert = match kind {
            Kind::Notice => dismissal("notice_dismissed"),
            Kind::Farewell => dismissal("farewell_dismissed"),
        };
        // The next session may be on another proxy, which has listed the notice before. No generation says so, hence
        // it is told by the same commit; but a server that passes nothing on must not undo it for that.
        let tell = self.database.telling().filter(|_| self.hearing.is_on());
        transaction!(&self.database, Waits::Hardly, tx => {
            sqlx::query(upsert)
                .bind(user.as_str()).bind(user.domain()).bind(campaign).execute(&mut *tx).await?;
            if let Some(tell) = tell {
                sqlx::query(tell).bind(CHANNEL).bind(Message::Outdated(user.clone()).encode())
                    .execute(&mut *tx).await?;
            }
            Ok(tell.is_some())
        })
    }
}
