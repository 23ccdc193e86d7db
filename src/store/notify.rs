//! Telling the other proxies of a fleet: `LISTEN` and `NOTIFY`, where the server has them. Who misses a message
//! finds out by looking at the generation each second, so none of this can fail anything.

use sqlx::postgres::PgListener;

use super::database::{Database, LOOKUP, in_time};
use super::generation::Concerns;
use super::{Store, StoreError};
use crate::users::UserName;

/// The channel's name.
const CHANNEL: &str = "lastpop";

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

/// Where messages come in.
#[derive(Debug)]
pub struct Messages(PgListener);

impl Message {
    /// ```abnf
    /// message = "user" SP generation SP name / "domains" SP generation / "anything" SP generation
    ///         / "outdated" SP name / "kick" SP name
    /// ```
    fn encode(&self) -> String {
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
    /// The next message that can be understood. An error when the connection is lost: what was missed shows in
    /// the generation.
    pub async fn next(&mut self) -> Result<Message, StoreError> {
        loop {
            let notification = self.0.recv().await?;
            if let Some(message) = Message::parse(notification.payload()) {
                return Ok(message);
            }
        }
    }
}

impl Store {
    /// Begins to listen; `None` where nobody could speak.
    pub async fn messages(&self) -> Result<Option<Messages>, StoreError> {
        let Database::Postgres(pool) = &self.database else { return Ok(None) };
        let listening = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(Some(Messages(listener)))
        };
        in_time(LOOKUP, Box::pin(listening)).await
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
        if let Database::Postgres(pool) = &self.database {
            // Outside of any transaction: a server without NOTIFY must not undo a change for it.
            let said = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(message.encode());
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
