//! Telling the other proxies of a fleet: `LISTEN` and `NOTIFY`, where the server has them. Who misses a message
//! finds out by looking at the generation each second, and by knowing that nobody could be heard for a while, so none
//! of this can fail anything.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::database::{Database, LOOKUP, in_time};
use super::generation::{Concerns, NUMBER};
use super::hearing::Period;
use super::{Store, StoreError};
use crate::users::UserName;

/// The channel's name.
pub(super) const CHANNEL: &str = "lastpop";

/// How administrators of the database find the connections that listen.
const APPLICATION: &str = "lastpop listens";

/// What is said to hear oneself, with a random word behind it.
const PROBE: &str = "probe";

/// How long the connection that listens may take to answer: it does nothing else. Messages that it would have brought
/// are not heard meanwhile, and another one is made as soon as it is late.
const ANSWER: Duration = Duration::from_secs(1);

/// Longest message; `PostgreSQL` takes less than 8,000 octets.
const MAX_MESSAGE: usize = 4_000;

/// What another proxy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Policy has changed.
    Changed(i64, Concerns),
    /// Something about a user has changed that is no policy.
    Outdated(UserName),
    /// Live sessions of a user are to be ended.
    Kick(UserName),
}

/// Where messages come in. As long as it lives, what is known of users is good without asking for it again.
#[derive(Debug)]
pub struct Messages {
    listener: PgListener,
    /// Was the connection lost?
    lost: bool,
    /// Ends when this is dropped.
    _period: Period,
}

impl Message {
    /// ```abnf
    /// message = "user" SP generation SP name / "domains" SP generation / "anything" SP generation
    ///         / "outdated" SP name / "kick" SP name
    /// ```
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Changed(generation, Concerns::User(user)) if user.as_str().len() < MAX_MESSAGE => {
                format!("user {generation} {user}")
            }
            Self::Changed(generation, Concerns::Domains) => format!("domains {generation}"),
            Self::Changed(generation, _) => format!("anything {generation}"),
            Self::Outdated(user) => format!("outdated {user}"),
            Self::Kick(user) => format!("kick {user}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (verb, rest) = text.split_once(' ')?;
        match verb {
            "outdated" => return Some(Self::Outdated(UserName::stored(rest))),
            "kick" => return Some(Self::Kick(UserName::stored(rest))),
            _ => {}
        }
        let (generation, name) = rest.split_once(' ').unwrap_or((rest, ""));
        let concerns = match verb {
            "user" => Concerns::User(UserName::stored(name)),
            "domains" => Concerns::Domains,
            "anything" => Concerns::Anything,
            _ => return None,
        };
        Some(Self::Changed(generation.parse().ok()?, concerns))
    }
}

impl Messages {
    /// The next message that can be understood. An error when the connection is lost: then this is to be dropped,
    /// because nobody knows what was missed.
    pub async fn next(&mut self) -> Result<Message, StoreError> {
        loop {
            let received = self.listener.try_recv().await;
            self.lost = !matches!(received, Ok(Some(_)));
            let notification = received?.ok_or(StoreError::Silent)?;
            if let Some(message) = Message::parse(notification.payload()) {
                return Ok(message);
            }
        }
    }

    /// The next of those that have come in already.
    pub fn heard(&mut self) -> Option<Message> {
        loop {
            let notification = self.listener.next_buffered()?;
            if let Some(message) = Message::parse(notification.payload()) {
                return Some(message);
            }
        }
    }

    /// Asks the database for its generation, over the connection that listens: an answer proves that messages still
    /// come through, and brings those that were under way.
    pub async fn look(&mut self) -> Result<i64, StoreError> {
        // It would be made again, in silence.
        if self.lost {
            return Err(StoreError::Silent);
        }
        let read = async { Ok(sqlx::query_scalar(NUMBER).fetch_one(&mut self.listener).await?) };
        in_time(ANSWER, read).await
    }
}

/// Listens, and has heard itself: there are servers that take `LISTEN` and never say anything.
async fn listening(pool: &sqlx::PgPool, tell: &'static str) -> Result<PgListener, StoreError> {
    let options = pool.connect_options().as_ref().clone().application_name(APPLICATION);
    // A pool of its own: one that hangs must not take a place away from logins.
    let own = PgPoolOptions::new().max_connections(1).acquire_timeout(LOOKUP).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&own).await?;
    listener.ignore_pool_close_event(true);
    // Made again in silence, it would hide that messages were lost.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let probe = format!("{PROBE} {}", crate::random::session_id());
    sqlx::query(tell).bind(CHANNEL).bind(&probe).execute(&mut listener).await?;
    while listener.try_recv().await?.ok_or(StoreError::Silent)?.payload() != probe {
        // Policy is read afresh after this, and no fact that was read before counts as good.
    }
    Ok(listener)
}

impl Store {
    /// Begins to listen; `None` where nobody could speak. Whatever was changed before is found by a look afterwards.
    pub async fn messages(&self) -> Result<Option<Messages>, StoreError> {
        let (Database::Postgres(pool), Some(tell)) = (&self.database, self.database.telling()) else {
            return Ok(None);
        };
        let listener = in_time(LOOKUP, Box::pin(listening(pool, tell))).await?;
        Ok(Some(Messages { listener, lost: false, _period: self.hearing.begin() }))
    }

    /// Tells the others that policy has changed.
    pub(super) async fn tell(&self, generation: i64, concerns: &Concerns) {
        self.say(&Message::Changed(generation, concerns.clone())).await;
    }

    /// Tells the others to read again what they know about a user.
    pub(super) async fn tell_outdated(&self, user: &UserName) {
        self.say(&Message::Outdated(user.clone())).await;
    }

    /// Takes notice that another proxy has changed something about a user.
    pub fn outdated(&self, user: &UserName) {
        self.known.outdate(user);
    }

    /// Asks the others to end live sessions of a user.
    pub async fn tell_kick(&self, user: &UserName) {
        self.say(&Message::Kick(user.clone())).await;
    }

    async fn say(&self, message: &Message) {
        if let (Database::Postgres(pool), Some(tell)) = (&self.database, self.database.telling()) {
            // Outside of any transaction: a server without NOTIFY must not undo a change for it.
            let said = sqlx::query(tell).bind(CHANNEL).bind(message.encode());
            let said = in_time(LOOKUP, async { Ok(said.execute(pool).await?) }).await;
            // Who did not hear it looks.
            drop(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let user = UserName::stored("anna b@example.net");
        for message in [
            Message::Changed(7, Concerns::User(user.clone())),
            Message::Changed(8, Concerns::Domains),
            Message::Changed(9, Concerns::Anything),
            Message::Outdated(user.clone()),
            Message::Kick(user),
        ] {
            assert_eq!(Message::parse(&message.encode()), Some(message));
        }
        let long = UserName::stored(&"x".repeat(9_000));
        let cut = Message::Changed(7, Concerns::User(long)).encode();
        assert_eq!(Message::parse(&cut), Some(Message::Changed(7, Concerns::Anything)));
        assert_eq!(Message::parse("nonsense"), None);
        assert_eq!(Message::parse("user x anna"), None);
    }
}
