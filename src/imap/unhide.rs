//! Hidden messages come back: the keyword that hides them is taken off again, before a listing is shown.
//!
//! As with hiding, only the server's own showing of the flags counts: STORE's echo, else the answer to a
//! question. No other flag is touched; what was read stays `\Seen`.

use super::client::Client;
use super::command::Command;
use super::error::Error;
use super::flag::{Change, Flag, Keyword};
use super::response::Response;
use super::set::UidSet;
use super::snapshot::Listed;

/// What became of the messages that were to come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unhidden {
    /// They are shown again, as the server itself says.
    pub shown: usize,
    /// Still hidden; or the server does not tell when they came.
    pub failed: usize,
}

impl Client {
    /// Takes `keyword` off the messages of `listing` (ascending by UID) that are hidden: off all, or off those that came at
    /// `since` (Unix seconds, by INTERNALDATE) or later. Their rows follow as each is proven, so they are true
    /// even when this ends in an error; repeating it does what is left. Messages that are gone count for nothing.
    pub async fn unhide(
        &mut self,
        listing: &mut [Listed],
        since: Option<i64>,
        keyword: &Keyword,
    ) -> Result<Unhidden, Error> {
        let mut unhidden = Unhidden::default();
        let mut wanted: Vec<u32> = listing.iter().filter(|row| row.hidden).map(|row| row.uid).collect();
        if let Some(since) = since {
            let dates = self.dates(&wanted).await?;
            unhidden.failed = dates.iter().filter(|(_, date)| date.is_none()).count();
            let since = dates.into_iter().filter(|(_, date)| date.is_some_and(|date| date >= since));
            wanted = since.map(|(uid, _)| uid).collect();
        }
        for set in UidSet::chunks(&wanted) {
            let change = Change { add: false, echo: true, flags: &[Flag::Keyword(keyword)] };
            let echo = self.shown(&Command::Store(&set, change), &set, keyword).await?;
            let mut proven: Vec<u32> = lacking(&echo).collect();
            let unproven = set.uids().iter().copied().filter(|uid| proven.binary_search(uid).is_err());
            let unproven: Vec<u32> = unproven.collect();
            for set in UidSet::chunks(&unproven) {
                let told = self.shown(&Command::FetchFlags(&set), &set, keyword).await?;
                let before = proven.len();
                proven.extend(lacking(&told));
                unhidden.failed += told.len() - (proven.len() - before);
            }
            unhidden.shown += proven.len();
            for uid in proven {
                if let Ok(at) = listing.binary_search_by_key(&uid, |row| row.uid) {
                    listing[at].hidden = false;
                }
            }
        }
        Ok(unhidden)
    }

    /// When these messages came, as far as they still exist; `None` where the server does not tell.
    async fn dates(&mut self, uids: &[u32]) -> Result<Vec<(u32, Option<i64>)>, Error> {
        let mut all = Vec::new();
        for set in UidSet::chunks(uids) {
            let mut dates = vec![None; set.uids().len()];
            self.run(&Command::FetchDates(&set), |response| {
                let Response::Fetch(fetch) = response else { return };
                let at = fetch.uid.and_then(|uid| set.uids().binary_search(&uid).ok());
                if let Some(at) = at {
                    // A flag that another client changes meanwhile comes without a date.
                    dates[at] = Some(fetch.date.or(dates[at].flatten()));
                }
            })
            .await?;
            all.extend(set.uids().iter().copied().zip(dates).filter_map(|(uid, date)| Some((uid, date?))));
        }
        Ok(all)
    }
}

/// Those that are known not to carry the keyword.
fn lacking(shown: &[(u32, Option<bool>)]) -> impl Iterator<Item = u32> {
    shown.iter().filter(|(_, hidden)| *hidden == Some(false)).map(|(uid, _)| *uid)
}
