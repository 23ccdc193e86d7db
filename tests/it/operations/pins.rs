//! Unique-ids across restarts: whoever was served by one recipe stays with it, whatever the configuration says
//! later, because a client that sees other unique-ids downloads everything again.

use std::path::Path;

use super::{MESSAGE, NAME, PASSWORD, quit, says};
use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::Transport;
use crate::support::proxy::{Proxy, Upstream};

/// A proxy with this recipe and this state file.
fn start(dovecot: &Dovecot, state: &Path, recipe: &str) -> Proxy {
    let (url, recipe) = (format!("\"sqlite://{}\"", state.display()), format!("\"{recipe}\""));
    let changes = [("state.url", url.as_str()), ("maildrop.uidl", recipe.as_str())];
    Proxy::start_with(dovecot, Upstream::Plain, &changes, &[])
}

/// The unique-ids that this user is shown.
fn unique_ids(proxy: &Proxy, user: &User) -> Vec<String> {
    let mut session = proxy.login(user);
    says(&mut session, "UIDL", "+OK");
    let listed = session.listing();
    quit(session);
    listed
}

/// As Cyrus spells them: UIDVALIDITY, a full stop, UID; no other recipe here has a full stop.
fn are_cyrus(listed: &[String]) -> bool {
    listed.len() == 3 && listed.iter().all(|line| line.contains('.'))
}

#[test]
fn the_recipe_that_served_a_user_first_stays() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[(NAME, PASSWORD), ("newcomer", "secret")]);
    let (user, newcomer) = (&users[0], &users[1]);
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 3]);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("state.db");
    let proxy = start(&dovecot, &state, "dovecot");
    let first = unique_ids(&proxy, user);
    assert!(first.len() == 3 && first.iter().all(|line| line.len() == 2 + 16), "{first:?}");
    drop(proxy);

    let proxy = start(&dovecot, &state, "cyrus");
    assert_eq!(unique_ids(&proxy, user), first);
    let theirs = unique_ids(&proxy, newcomer);
    assert!(are_cyrus(&theirs), "{theirs:?}");
    drop(proxy);

    let proxy = start(&dovecot, &state, "dovecot");
    assert_eq!(unique_ids(&proxy, user), first);
    assert_eq!(unique_ids(&proxy, newcomer), theirs);
}

/// A process that is killed has no time to close its database.
#[test]
fn a_recipe_survives_a_kill() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 3]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("state.db");
    let mut proxy = start(&dovecot, &state, "dovecot");
    let first = unique_ids(&proxy, &user);
    proxy.signal("KILL");
    assert_eq!(proxy.exit_code(), None);
    assert_eq!(unique_ids(&start(&dovecot, &state, "cyrus"), &user), first);
}

/// The same by SIGHUP.
#[test]
fn a_new_recipe_is_for_new_users() {
    let dovecot = Dovecot::start();
    let users = dovecot.users(&[(NAME, PASSWORD), ("newcomer", "secret")]);
    for user in &users {
        dovecot.deliver(user, [MESSAGE; 3]);
    }
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    let first = unique_ids(&proxy, &users[0]);
    proxy.reload(&[("maildrop.uidl", "\"cyrus\"")]);
    assert_eq!(unique_ids(&proxy, &users[0]), first);
    assert!(are_cyrus(&unique_ids(&proxy, &users[1])));
}

/// A lost state stops no mail for those whom this proxy knows.
#[test]
fn known_users_are_served_without_the_state_file() {
    let dovecot = Dovecot::start();
    let user = dovecot.user(NAME, PASSWORD);
    dovecot.deliver(&user, [MESSAGE; 3]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("state.db");
    let mut proxy = start(&dovecot, &state, "dovecot");
    let first = unique_ids(&proxy, &user);
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        // SQLite may not have made all three.
        let _ = std::fs::remove_file(directory.path().join(name));
    }
    assert_eq!(unique_ids(&proxy, &user), first);
    proxy.reload(&[("maildrop.uidl", "\"cyrus\"")]);
    assert_eq!(unique_ids(&proxy, &user), first);
    // Whoever is new would be given unique-ids that nobody remembers.
    let newcomer = dovecot.user("newcomer", "secret");
    let mut session = proxy.connect(Transport::Plain);
    session.command(&format!("USER {}", newcomer.name));
    let refused = session.command(&format!("PASS {}", newcomer.password));
    assert!(refused.starts_with("-ERR [SYS/TEMP] "), "{refused}");
}
