//! What another version may have written: the row that cannot be understood is left out, and no other.

use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Store, StoreError, Subject};

use super::{NOW, execute, on_both, user};

async fn set(store: &Store, subject: &Subject) -> Result<Setting, StoreError> {
    let setting = Setting { mode: Some(Mode::ImapOnly), since: NOW, planned: None };
    let change = Change { subject, actor: "ilze", reason: "a test", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.map(|changed| changed.after)
}

#[test]
fn a_rule_that_cannot_be_understood_holds_up_no_other() {
    on_both("foreign_domain", async |place| {
        let store = place.open().await;
        let of = |domain: &str| Subject::Domain(domain.to_owned());
        execute(&place, "INSERT INTO domains (domain, mode) VALUES ('new.example', 'legacy')").await;
        let setting = set(&store, &of("old.example")).await.expect("set");
        assert_eq!(store.domains().get("old.example"), Some(setting));
        assert_eq!(store.domains().get("new.example"), None);
        let unreadable = store.domains().unreadable();
        assert_eq!(unreadable.len(), 1);
        assert!(
            unreadable[0].starts_with("new.example: the state holds the mode \"legacy\""),
            "{unreadable:?}"
        );
        // It is not overwritten by whoever does not know what it is.
        let refused = set(&store, &of("new.example")).await;
        assert!(matches!(refused, Err(StoreError::Foreign(_))), "{refused:?}");
        store.look().await.expect("the state is there");
        drop(store);
        // And it keeps nobody from starting.
        let store = place.open().await;
        assert_eq!(store.domains().get("old.example"), Some(setting));
        execute(&place, "DELETE FROM domains WHERE domain = 'new.example'").await;
        set(&store, &of("old.example")).await.expect("set");
        assert!(store.domains().unreadable().is_empty());
    });
}

#[test]
fn a_user_who_cannot_be_understood_is_no_outage() {
    on_both("foreign_user", async |place| {
        let (store, other) = (place.open().await, "UPDATE users SET mode = 'notice' WHERE username = 'anna'");
        let mode = async |name: &str| store.facts(&user(name)).await.map(|facts| facts.setting.mode);
        set(&store, &Subject::User(user("anna"))).await.expect("set");
        assert_eq!(mode("anna").await.expect("facts"), Some(Mode::ImapOnly));
        execute(&place, "INSERT INTO users (username, domain, mode) VALUES ('bob', '', 'legacy')").await;
        execute(&place, other).await;
        store.outdated(&user("anna"));
        assert!(matches!(mode("bob").await, Err(StoreError::Foreign(_))));
        // As an outage it would have let what was known of anna hold on.
        assert_eq!(mode("anna").await.expect("facts"), Some(Mode::Notice));
    });
}
