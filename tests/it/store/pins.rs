//! Recipes for unique-ids: the first one stays.

use std::sync::Arc;

use lastpop::store::{Message, Store};
use lastpop::uidl::Recipe;

use super::{NOW, on_both, postgres, user};

async fn served(store: &Store, name: &str, uidvalidity: u32, configured: &str) -> (String, bool) {
    let user = user(name);
    let facts = store.facts(&user).await.expect("facts");
    let configured = Recipe::parse(configured).expect("a recipe");
    let pin = store.pin(&user, &facts, uidvalidity, &configured, NOW).await.expect("a pin");
    (pin.recipe.template().to_owned(), pin.uidvalidity_changed)
}

#[test]
fn the_first_recipe_stays_across_restarts_and_configurations() {
    on_both("pins_first", async |place| {
        let store = place.open().await;
        let first = served(&store, "anna", 7, "uw").await;
        assert_eq!(first, ("{uidvalidity:08x}{uid:08x}".to_owned(), false));
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        assert_eq!(served(&store, "bob", 7, "cyrus").await.0, "{uidvalidity}.{uid}");
    });
}

#[test]
fn another_uidvalidity_is_told_once_and_begins_anew() {
    on_both("pins_uidvalidity", async |place| {
        let store = place.open().await;
        assert!(!served(&store, "anna", 7, "uw").await.1);
        assert_eq!(served(&store, "anna", 8, "cyrus").await, ("{uidvalidity}.{uid}".to_owned(), true));
        assert_eq!(served(&store, "anna", 8, "uw").await, ("{uidvalidity}.{uid}".to_owned(), false));
        // A restored backup brings the old one back.
        assert_eq!(served(&store, "anna", 7, "cyrus").await, ("{uidvalidity:08x}{uid:08x}".to_owned(), true));
    });
}

/// A restored backup of the mailbox brings the old one back, on a proxy that has not seen the one between.
#[test]
fn another_uidvalidity_is_told_to_other_proxies() {
    let place = postgres("pins_told");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (one, other) = (place.open().await, place.open().await);
        let mut messages = other.messages().await.expect("a listener").expect("a server that speaks");
        served(&one, "anna", 7, "uw").await;
        assert!(!served(&other, "anna", 7, "uw").await.1);
        assert!(served(&one, "anna", 8, "uw").await.1);
        assert_eq!(messages.next().await.expect("a message"), Message::Outdated(user("anna")));
        other.outdated(&user("anna"));
        assert!(served(&other, "anna", 7, "uw").await.1);
    });
}

#[test]
fn many_first_logins_at_once_are_no_change() {
    on_both("pins_at_once", async |place| {
        let store = Arc::new(place.open().await);
        let logins = (0..24).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { served(&store, ["anna", "bob"][number % 2], 7, "uw").await.1 })
        });
        for login in logins.collect::<Vec<_>>() {
            assert!(!login.await.expect("no panic"));
        }
    });
}

#[test]
fn a_lost_store_still_knows_whom_it_has_served() {
    on_both("pins_lost", async |place| {
        let store = place.open().await;
        let first = served(&store, "anna", 7, "uw").await;
        store.close().await;
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        assert!(store.facts(&user("bob")).await.is_err());
    });
}
