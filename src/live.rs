//! Who is logged in at this moment, and how each of these sessions is told to end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dashmap::DashMap;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::policy::Mode;
use crate::users::UserName;

/// A session that is logged in.
#[derive(Debug)]
pub struct Session {
    /// Its id, as in the log.
    pub id: String,
    /// Whose it is.
    pub user: UserName,
    /// The mode that was decided at its login.
    pub mode: Mode,
    /// What it has done so far.
    pub progress: Progress,
    /// The client's address.
    pub peer: IpAddr,
    /// The address that it connected to.
    pub local: IpAddr,
    /// The listener's label.
    pub listener: String,
    /// When it logged in, in Unix seconds.
    pub since: i64,
    /// The TLS version, if any.
    pub tls: Option<&'static str>,
    /// Cancelled, it ends the session; an UPDATE that has begun goes on to its end.
    pub kick: CancellationToken,
}

/// What a session has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages retrieved.
    pub messages: AtomicU64,
    /// Octets that they took.
    pub octets: AtomicU64,
    /// Messages that are marked as deleted.
    pub marked: AtomicU64,
}

/// Which sessions: those that have all that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this user.
    pub user: Option<UserName>,
    /// With this id.
    pub session: Option<String>,
    /// With a client from this network.
    pub network: Option<IpNet>,
}

impl Filter {
    fn takes(&self, session: &Session) -> bool {
        self.user.as_ref().is_none_or(|user| *user == session.user)
            && self.session.as_ref().is_none_or(|id| *id == session.id)
            && self.network.is_none_or(|network| network.contains(&session.peer))
    }
}

/// All sessions that are logged in, by id. Bounded by `limits.sessions`, which counts each of them.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<DashMap<String, Arc<Session>>>);

/// A session's place among the live ones; it leaves when dropped.
#[derive(Debug)]
pub struct Entry {
    live: Live,
    session: Arc<Session>,
}

impl Entry {
    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What the session has done so far.
    pub fn progress(&self) -> &Progress {
        &self.session.progress
    }
}

impl Live {
    /// A session has logged in.
    pub fn enter(&self, session: Session) -> Entry {
        let session = Arc::new(session);
        self.0.insert(session.id.clone(), Arc::clone(&session));
        Entry { live: self.clone(), session }
    }

    /// Ends all sessions of a user.
    pub fn kick_user(&self, user: &UserName) {
        let filter = Filter { user: Some(user.clone()), ..Filter::default() };
        self.find(&filter).iter().for_each(|session| session.kick.cancel());
    }

    /// The sessions that are meant, in no order.
    pub fn find(&self, filter: &Filter) -> Vec<Arc<Session>> {
        let meant = |session: &Arc<Session>| filter.takes(session).then(|| Arc::clone(session));
        self.0.iter().filter_map(|entry| meant(entry.value())).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nobody logged in?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.0.remove(&self.session.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, user: &str, peer: &str) -> Session {
        Session {
            id: id.to_owned(),
            user: UserName::stored(user),
            mode: Mode::Pop3,
            progress: Progress::default(),
            peer: peer.parse().expect("an address"),
            local: "192.0.2.1".parse().expect("an address"),
            listener: "[::]:110".to_owned(),
            since: 0,
            tls: None,
            kick: CancellationToken::new(),
        }
    }

    #[test]
    fn sessions_are_found_by_all_that_is_asked_and_leave_nothing_behind() {
        let live = Live::default();
        let entries = [
            live.enter(session("a", "anna", "192.0.2.7")),
            live.enter(session("b", "anna", "2001:db8::1")),
            live.enter(session("c", "bob", "192.0.2.8")),
        ];
        let ids = |user: &str, session: &str, network: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let user = some(user).map(|name| UserName::stored(&name));
            let filter = Filter { user, session: some(session), network: network.parse().ok() };
            let mut ids: Vec<String> = live.find(&filter).iter().map(|found| found.id.clone()).collect();
            ids.sort();
            ids.concat()
        };
        for (user, session, network, expected) in [
            ("", "", "", "abc"),
            ("anna", "", "", "ab"),
            ("Anna", "", "", ""),
            ("", "c", "", "c"),
            ("", "", "192.0.2.0/24", "ac"),
            ("", "", "2001:db8::/32", "b"),
            ("anna", "", "192.0.2.0/24", "a"),
            ("anna", "c", "", ""),
        ] {
            assert_eq!(ids(user, session, network), expected, "{user} {session} {network}");
        }
        let [first, ..] = &entries;
        assert_eq!((first.session.id.as_str(), live.len()), ("a", 3));
        drop(entries);
        assert!(live.is_empty());
    }
}
