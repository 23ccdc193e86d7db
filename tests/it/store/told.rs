//! What users and the support desk leave behind: notices that were deleted, hidden mail that is to come back. Each is
//! known on every proxy, and done once.

use std::sync::Arc;

use lastpop::notice::Kind;
use lastpop::policy::{Mode, Setting};
use lastpop::store::{Change, Claim, Claimed, Concerns, Message, Occasion, Store, Subject};

use super::{NOW, on_both, user};

async fn dismissed(store: &Store, kind: Kind, campaign: &str) -> bool {
    store.facts(&user("anna@example.net")).await.expect("facts").has_dismissed(kind, campaign)
}

async fn unhide_since(store: &Store) -> Option<i64> {
    store.facts(&user("anna@example.net")).await.expect("facts").unhide_since
}

/// What is ordered for anna is ours to carry out.
async fn claimed(store: &Store, now: i64) -> Claim {
    match store.claim_unhide(&user("anna@example.net"), now).await.expect("an answer") {
        Claimed::Ours(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_notice_that_was_deleted_stays_deleted_each_kind_for_itself() {
    on_both("told_dismissed", async |place| {
        let store = place.open().await;
        let anna = user("anna@example.net");
        assert!(!dismissed(&store, Kind::Notice, "1").await);
        store.dismiss(&anna, Kind::Notice, "1").await.expect("kept");
        store.dismiss(&anna, Kind::Farewell, "2").await.expect("kept");
        assert!(dismissed(&store, Kind::Notice, "1").await);
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert!(dismissed(&store, Kind::Notice, "1").await);
        assert!(dismissed(&store, Kind::Farewell, "2").await);
    });
}

/// A session that began in the campaign before may end last, and a new campaign comes to one proxy after the other.
#[test]
fn every_campaign_is_remembered_for_itself() {
    on_both("told_campaigns", async |place| {
        let (store, anna) = (place.open().await, user("anna@example.net"));
        assert!(!dismissed(&store, Kind::Notice, "2").await);
        let long = |number: usize| format!("{number:->32}");
        let later: Vec<String> = (0..20).map(long).collect();
        let campaigns = ["2", "1", "2", "1.1"].into_iter().chain(later.iter().map(String::as_str));
        for (number, campaign) in campaigns.enumerate() {
            store.dismiss(&anna, Kind::Notice, campaign).await.expect("kept");
            assert!(dismissed(&store, Kind::Notice, campaign).await);
            // As another proxy reads it.
            let other = store.user(&anna).await.expect("a row").expect("a user");
            let newest = if number == 2 { "1" } else { campaign };
            assert_eq!(other.dismissed(Kind::Notice), Some(newest));
            if number == 3 {
                let names = place.rows(&["notice_dismissed"], "users").await;
                assert_eq!(names, ["2 1 1.1"]);
            }
        }
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert!(!dismissed(&store, Kind::Notice, ".1").await && !dismissed(&store, Kind::Notice, "3").await);
        assert!(!dismissed(&store, Kind::Farewell, &later[19]).await);
        for campaign in &later[8..] {
            assert!(dismissed(&store, Kind::Notice, campaign).await, "{campaign}");
        }
        // Not for ever: a row does not grow without end.
        let names = place.rows(&["length(notice_dismissed)"], "users").await;
        assert_eq!(names, ["430"]);
        assert!(!dismissed(&store, Kind::Notice, "2").await);
    });
}

#[test]
fn hidden_mail_is_asked_for_and_brought_back_once() {
    on_both("told_unhide", async |place| {
        let store = place.open().await;
        let anna = user("anna@example.net");
        store.ask_to_unhide(&anna, 100, "ilze", "she asked", NOW).await.expect("asked");
        assert_eq!(unhide_since(&store).await, Some(100));
        let claim = claimed(&store, NOW).await;
        // Asked again while it was being done: that is still to do.
        store.ask_to_unhide(&anna, 50, "ilze", "she asked", NOW + 1).await.expect("asked");
        let generation = store.generation();
        store.unhidden(&claim, 3, 0, Occasion::Order, NOW + 2).await.expect("done");
        store.give_back(claim).await;
        assert_eq!((unhide_since(&store).await, store.generation()), (Some(50), generation));
        let claim = claimed(&store, NOW + 2).await;
        assert_eq!(claim.since(), 50);
        store.unhidden(&claim, 4, 1, Occasion::Login, NOW + 3).await.expect("done");
        assert_eq!((unhide_since(&store).await, store.generation()), (None, generation + 1));
        store.unhidden(&claim, 0, 0, Occasion::Login, NOW + 4).await.expect("nothing to do");
        assert_eq!(store.generation(), generation + 1);
        store.look().await.expect("a look");
        assert_eq!(store.generation(), generation + 1, "this proxy knows its own changes");
    });
}

/// Two logins, a login and an order, two proxies: one of them does it.
#[test]
fn an_order_is_carried_out_by_one_at_a_time() {
    on_both("told_claims", async |place| {
        let store = Arc::new(place.open().await);
        let (anna, bob) = (user("anna@example.net"), user("bob@example.net"));
        let gone = store.claim_unhide(&anna, NOW).await.expect("an answer");
        assert!(matches!(gone, Claimed::Gone), "{gone:?}");
        for asked in [&anna, &bob] {
            store.ask_to_unhide(asked, 7, "ilze", "she asked", NOW).await.expect("asked");
        }
        // 1. Of many at once one has it, and it keeps nobody from another user's.
        let rivals = (0..8).map(|_| {
            let (store, anna) = (Arc::clone(&store), anna.clone());
            tokio::spawn(async move { store.claim_unhide(&anna, NOW).await.expect("an answer") })
        });
        let mut ours = Vec::new();
        for rival in rivals.collect::<Vec<_>>() {
            match rival.await.expect("no panic") {
                Claimed::Ours(claim) => ours.push(claim),
                Claimed::Others => {}
                Claimed::Gone => panic!("it is there"),
            }
        }
        let [claim] = <[Claim; 1]>::try_from(ours).expect("one");
        assert!(matches!(store.claim_unhide(&bob, NOW).await, Ok(Claimed::Ours(_))));
        // 2. Whoever gives it back undone leaves it to the next.
        store.give_back(claim).await;
        let claim = claimed(&store, NOW).await;
        // 3. Whoever dies holds it for ten minutes.
        let later = store.claim_unhide(&anna, NOW + 599).await.expect("an answer");
        assert!(matches!(later, Claimed::Others), "{later:?}");
        let heir = claimed(&store, NOW + 600).await;
        // 4. Giving back what is not one's own any more changes nothing.
        store.give_back(claim).await;
        assert!(matches!(store.claim_unhide(&anna, NOW + 601).await, Ok(Claimed::Others)));
        // 5. Done is done, and said once.
        store.unhidden(&heir, 3, 0, Occasion::Order, NOW + 602).await.expect("done");
        store.give_back(heir).await;
        assert!(matches!(store.claim_unhide(&anna, NOW + 603).await, Ok(Claimed::Gone)));
        let said = place
            .rows(&["action", "detail", "reason"], "audit WHERE subject = 'anna@example.net' ORDER BY id");
        let said = said.await;
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[1], "unhidden|3 messages|done at once, with the master credentials");
        let left = place.rows(&["name"], "leases WHERE name LIKE 'unhide %'").await;
        assert_eq!(left, ["unhide bob@example.net"]);
    });
}

#[test]
fn other_proxies_are_told() {
    // A file has one proxy.
    let place = super::postgres("told_fleet");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (one, other) = (place.open().await, place.open().await);
        let mut messages = other.messages().await.expect("a listener").expect("a server that speaks");
        let anna = user("anna@example.net");
        assert!(!dismissed(&other, Kind::Notice, "1").await);
        one.dismiss(&anna, Kind::Notice, "1").await.expect("kept");
        assert!(!dismissed(&other, Kind::Notice, "1").await, "nobody has told");
        assert_eq!(messages.next().await.expect("a message"), Message::Outdated(anna.clone()));
        other.outdated(&anna);
        assert!(dismissed(&other, Kind::Notice, "1").await);
        // Only this user has to be read again.
        let concerns = Concerns::User(anna.clone());
        one.ask_to_unhide(&anna, 0, "ilze", "she asked", NOW).await.expect("asked");
        assert_eq!(messages.next().await.expect("a message"), Message::Changed(1, concerns.clone()));
        let claim = claimed(&one, NOW).await;
        one.unhidden(&claim, 3, 0, Occasion::Login, NOW).await.expect("done");
        assert_eq!(messages.next().await.expect("a message"), Message::Changed(2, concerns));
    });
}

#[test]
fn what_was_told_while_the_state_is_away_holds_on() {
    on_both("told_away", async |place| {
        let store = place.open().await;
        let anna = user("anna@example.net");
        assert!(!dismissed(&store, Kind::Notice, "1").await);
        store.dismiss(&anna, Kind::Notice, "1").await.expect("kept");
        store.ask_to_unhide(&anna, 0, "ilze", "she asked", NOW).await.expect("asked");
        assert_eq!(unhide_since(&store).await, Some(0));
        let claim = claimed(&store, NOW).await;
        store.close().await;
        store.outdated(&anna);
        assert!(dismissed(&store, Kind::Notice, "1").await);
        // Cannot be noted, and is not done at every login all the same.
        store.unhidden(&claim, 3, 0, Occasion::Login, NOW).await.expect_err("away");
        assert_eq!(unhide_since(&store).await, None);
        // And nobody begins what nobody can be kept from doing as well.
        store.claim_unhide(&anna, NOW).await.expect_err("away");
    });
}

/// Ends the connections that listen, from the server's side.
const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE '%listens%'";

#[test]
fn what_was_told_while_nobody_listened_is_asked_for() {
    let place = super::postgres("told_deaf");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (one, other) = (place.open().await, place.open().await);
        let anna = user("anna@example.net");
        // Before the first time of listening.
        assert!(!dismissed(&other, Kind::Notice, "1").await);
        one.dismiss(&anna, Kind::Notice, "1").await.expect("kept");
        assert!(dismissed(&other, Kind::Notice, "1").await);
        // Read before it, and changed before it.
        assert!(!dismissed(&other, Kind::Notice, "2").await);
        one.dismiss(&anna, Kind::Notice, "2").await.expect("kept");
        let mut messages = other.messages().await.expect("a listener").expect("a server that speaks");
        assert!(dismissed(&other, Kind::Notice, "2").await);
        assert_eq!(messages.look().await.expect("a number"), 0);
        assert_eq!(messages.heard(), None, "what was said before is over");
        // While it is heard, nothing is asked: the message is all there is.
        one.dismiss(&anna, Kind::Notice, "3").await.expect("kept");
        assert!(!dismissed(&other, Kind::Notice, "3").await);
        assert_eq!(messages.look().await.expect("a number"), 0);
        assert_eq!(messages.heard(), Some(Message::Outdated(anna.clone())), "it came along with the answer");
        other.outdated(&anna);
        assert!(dismissed(&other, Kind::Notice, "3").await);
        // Cut off. It is not made again in silence.
        assert_eq!(super::count(&place, CUT).await, 1);
        one.dismiss(&anna, Kind::Notice, "4").await.expect("kept");
        messages.next().await.expect_err("lost");
        messages.look().await.expect_err("lost");
        assert!(!dismissed(&other, Kind::Notice, "4").await, "nothing is doubted as long as it is held");
        drop(messages);
        assert!(dismissed(&other, Kind::Notice, "4").await);
        let messages = other.messages().await.expect("a listener").expect("a server that speaks");
        one.dismiss(&anna, Kind::Notice, "5").await.expect("kept");
        drop(messages);
        assert!(dismissed(&other, Kind::Notice, "5").await);
    });
}

/// The stand-in for a server that failed may not have heard of the last changes.
#[test]
fn changes_in_an_older_database_are_found_though_their_numbers_are_known() {
    on_both("told_older", async |place| {
        let (store, anna) = (place.open().await, Subject::User(user("anna")));
        let set = async |store: &Store, mode| {
            let setting = Setting { mode: Some(mode), since: NOW, planned: None };
            let change = Change { subject: &anna, actor: "ilze", reason: "a test", now: NOW };
            store.set(&change, &|_| Ok(setting)).await.expect("set")
        };
        let mode = async || store.facts(&user("anna")).await.expect("facts").setting.mode;
        let _messages = store.messages().await.expect("a listener");
        for _ in 0..3 {
            set(&store, Mode::Notice).await;
        }
        assert_eq!(mode().await, Some(Mode::Notice));
        for (number, told) in [(1, Mode::Brownout), (2, Mode::ImapOnly)] {
            super::execute(&place, "DELETE FROM audit").await;
            super::execute(&place, &format!("UPDATE counters SET value = {number}")).await;
            super::execute(&place, &format!("UPDATE users SET mode = '{told}'")).await;
            store.look().await.expect("a look");
            assert_eq!((mode().await, store.generation()), (Some(told), number));
        }
        assert_eq!(set(&store, Mode::Pop3).await.generation, 3);
        assert_eq!(mode().await, Some(Mode::Pop3));
        super::execute(&place, "UPDATE counters SET value = 4").await;
        super::execute(&place, "UPDATE users SET mode = 'notice'").await;
        store.look().await.expect("a look");
        assert_eq!((mode().await, store.generation()), (Some(Mode::Notice), 4));
    });
}

/// What is read while another change is made must not take that one's place.
#[test]
fn rules_of_domains_that_are_set_at_once_are_all_in_force() {
    on_both("told_domains", async |place| {
        let store = Arc::new(place.open().await);
        for round in 0..20 {
            let changes = (0..8).map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let subject = Subject::Domain(format!("{number}.example"));
                    let setting =
                        Setting { mode: Some(Mode::ALL[(round + number) % 4]), since: NOW, planned: None };
                    let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
                    store.set(&change, &|_| Ok(setting)).await.expect("set");
                    (subject, setting)
                })
            });
            for change in changes.collect::<Vec<_>>() {
                let (subject, setting) = change.await.expect("no panic");
                assert_eq!(store.domains().get(subject.name()), Some(setting), "round {round}");
            }
        }
    });
}
