//! Waves: their life from a draft to the way back, whom a step moves, and whom it leaves alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lastpop::api::{CreateWave, Step, Steps, Target, Wave, WaveName, WaveState};
use lastpop::policy::{Mode, Planned, Setting};
use lastpop::store::waves::{Added, Due, Fired, Order, RolledBack};
use lastpop::store::{Change, Configured, Moves, Store, StoreError, Subject};

use super::{ANY, NOW, count, on_both, user};
use crate::support::desk::add_members;

pub(super) static CONFIGURED: Configured = Configured { mode: Mode::Pop3, domains: BTreeMap::new() };

pub(super) fn name(name: &str) -> WaveName {
    name.parse().expect("a name")
}

pub(super) fn order(now: i64) -> Order<'static> {
    Order { actor: "ilze", reason: "the plan", dry_run: false, now }
}

/// A wave with steps so many seconds after [`NOW`].
pub(super) fn new(name: &str, target: Target, steps: &[(i64, Mode)]) -> CreateWave {
    let step = |&(at, mode): &(i64, Mode)| Step { at: Timestamp::from_second(NOW + at).unwrap(), mode };
    let steps: Vec<Step> = steps.iter().map(step).collect();
    CreateWave {
        name: name.parse().expect("a name"),
        target,
        steps: Steps::try_from(steps).expect("steps"),
        reason: "the plan".parse().expect("a reason"),
        dry_run: false,
    }
}

/// Makes and starts a wave of these users.
async fn started(store: &Store, wave: &str, users: &[&str], steps: &[(i64, Mode)]) -> WaveName {
    store.create_wave(&new(wave, Target::Csv, steps), "ilze", NOW).await.expect("made");
    let users: Vec<_> = users.iter().map(|name| user(name)).collect();
    add_members(store, &name(wave), &users, false, NOW).await.expect("added");
    store.start_wave(&name(wave), &order(NOW), &CONFIGURED).await.expect("started");
    name(wave)
}

/// Fires all that is due.
async fn fire(store: &Store, after: i64) -> Vec<Fired> {
    let mut fired = Vec::new();
    for due in store.due_steps(NOW + after).await.expect("due") {
        fired.extend(store.fire_step(&due, &CONFIGURED, NOW + after).await.expect("fired"));
    }
    fired
}

async fn set(store: &Store, subject: Subject, mode: Option<Mode>, planned: Option<Planned>) {
    let setting = Setting { mode, since: NOW, planned };
    let change = Change { subject: &subject, actor: "support", reason: "a call", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.expect("set");
}

async fn own(store: &Store, name: &str) -> Option<Mode> {
    store.facts(&user(name)).await.expect("facts").setting.mode
}

fn sentence<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.expect_err("an error");
    error.to_string()
}

#[test]
fn the_life_of_a_wave() {
    on_both("waves_life", async |place| {
        let store = place.open().await;
        let plan = new("first", Target::Csv, &[(100, Mode::Notice), (200, Mode::ImapOnly)]);
        let would = store
            .create_wave(&CreateWave { dry_run: true, ..plan.clone() }, "ilze", NOW)
            .await
            .expect("a draft");
        assert_eq!(store.waves().await.expect("waves"), []);
        let wave = store.create_wave(&plan, "ilze", NOW).await.expect("made");
        assert_eq!(wave, would);
        assert_eq!((wave.state, wave.members, wave.steps.len()), (WaveState::Draft, Some(0), 2));
        let first = name("first");
        let users = ["anna@x", "bob@x", "anna@x"].map(user);
        let would = add_members(&store, &first, &users, true, NOW).await.expect("looked");
        assert_eq!(add_members(&store, &first, &users, false, NOW).await.expect("added"), would);
        assert_eq!(would, Added { added: 2, never_seen: 2 });
        let again =
            add_members(&store, &first, &[user("bob@x"), user("carl@y")], false, NOW).await.expect("added");
        assert_eq!(again, Added { added: 1, never_seen: 2 });
        assert_eq!(add_members(&store, &first, &users, false, NOW).await.expect("nobody new").added, 0);
        let told = "SELECT count(*) FROM audit WHERE subject = 'first' AND action = 'members'
            AND detail IN ('2 users', '1 users') AND actor = 'ilze'";
        assert_eq!(count(&place, told).await, 2);
        // Made again, it is the same; started again, it goes on.
        assert_eq!(store.create_wave(&plan, "oskar", NOW + 5).await.expect("the same").created_by, "ilze");
        let wave = store.start_wave(&first, &order(NOW), &CONFIGURED).await.expect("started");
        assert_eq!((wave.state, wave.members), (WaveState::Running, Some(3)));
        assert_eq!(store.start_wave(&first, &order(NOW), &CONFIGURED).await.expect("running"), wave);
        assert_eq!(fire(&store, 99).await, []);
        assert_eq!(own(&store, "anna@x").await, None);
        let fired = fire(&store, 100).await.pop().expect("fired");
        assert_eq!((fired.mode, fired.users, fired.finished), (Mode::Notice, 3, false));
        let moved = |domain: &str, users| Moves {
            domain: domain.to_owned(),
            from: None,
            to: Some(Mode::Notice),
            then: Some(Mode::Notice),
            users,
        };
        assert_eq!(fired.moves, [moved("x", 2), moved("y", 1)]);
        assert_eq!(own(&store, "anna@x").await, Some(Mode::Notice));
        let lines = format!("SELECT count(*) FROM audit WHERE batch = '{}' AND action = 'wave'", fired.batch);
        assert_eq!(count(&place, &lines).await, 3);
        assert_eq!(fire(&store, 150).await, []);
        assert!(fire(&store, 201).await.pop().expect("fired").finished);
        let Wave { state, steps, .. } = store.wave(&first).await.expect("the wave");
        let done: Vec<_> =
            steps.iter().map(|step| (step.fired_at.map(Timestamp::as_second), step.users)).collect();
        assert_eq!(done, [(Some(NOW + 100), Some(3)), (Some(NOW + 201), Some(3))]);
        assert_eq!(state, WaveState::Finished);
        store.delete_wave(&first, &order(NOW + 300)).await.expect("deleted");
        assert_eq!(store.waves().await.expect("waves"), []);
        assert_eq!(own(&store, "carl@y").await, Some(Mode::ImapOnly));
        for action in ["create", "start", "delete"] {
            let lines = format!("SELECT count(*) FROM audit WHERE kind = 'wave' AND action = '{action}'");
            assert_eq!(count(&place, &lines).await, 1, "{action}");
        }
    });
}

#[test]
fn a_step_only_moves_forward() {
    on_both("waves_forward", async |place| {
        let store = place.open().await;
        let set_user = |name: &str| Subject::User(user(name));
        set(&store, set_user("beyond@x"), Some(Mode::ImapOnly), None).await;
        set(&store, set_user("there@x"), Some(Mode::Notice), None).await;
        set(&store, Subject::Domain("gone.example".to_owned()), Some(Mode::ImapOnly), None).await;
        set(&store, set_user("back@gone.example"), Some(Mode::Pop3), None).await;
        // A plan whose time has come counts, one whose time has not come does not.
        let planned = |from| Some(Planned { mode: Some(Mode::ImapOnly), from: NOW + from });
        set(&store, set_user("came@x"), Some(Mode::Pop3), planned(50)).await;
        set(&store, set_user("comes@x"), Some(Mode::Pop3), planned(150)).await;
        let members = [
            "beyond@x",
            "there@x",
            "inherits@gone.example",
            "back@gone.example",
            "inherits@configured.example",
            "came@x",
            "comes@x",
            "new@x",
        ];
        started(&store, "first", &members, &[(100, Mode::Notice)]).await;
        let due = store.due_steps(NOW + 100).await.expect("due").pop().expect("a step");
        let configured = Configured {
            mode: Mode::Pop3,
            domains: [("configured.example".to_owned(), Mode::Brownout)].into(),
        };
        let fired = store.fire_step(&due, &configured, NOW + 100).await.expect("fired").expect("by us");
        assert_eq!(fired.users, 3);
        let expected = [
            Some(Mode::ImapOnly),
            Some(Mode::Notice),
            None,
            Some(Mode::Notice),
            None,
            Some(Mode::Pop3),
            Some(Mode::Notice),
            Some(Mode::Notice),
        ];
        for (name, mode) in members.into_iter().zip(expected) {
            assert_eq!(own(&store, name).await, mode, "{name}");
        }
        assert_eq!(
            store.facts(&user("came@x")).await.expect("facts").setting.at(NOW + 100),
            Some(Mode::ImapOnly)
        );
    });
}

#[test]
fn whom_support_has_set_since_is_left_alone_by_steps_and_by_the_way_back() {
    on_both("waves_support", async |place| {
        let store = place.open().await;
        let planned = Some(Planned { mode: None, from: NOW + 9_000 });
        set(&store, Subject::User(user("bob")), Some(Mode::Pop3), planned).await;
        let steps = [(100, Mode::Notice), (200, Mode::Brownout), (300, Mode::ImapOnly)];
        let wave = started(&store, "first", &["anna", "bob", "carl", "dora"], &steps).await;
        assert_eq!(fire(&store, 100).await[0].users, 4);
        // Anna is un-flipped by hand; the move of Carl is undone; Dora gets the same mode, but on purpose.
        set(&store, Subject::User(user("anna")), Some(Mode::Pop3), None).await;
        let carl = Subject::User(user("carl"));
        let change = Change { subject: &carl, actor: "support", reason: "x", now: NOW };
        store.undo(&change, &|_, _| Ok(())).await.expect("undone");
        set(&store, Subject::User(user("dora")), Some(Mode::Notice), None).await;
        assert_eq!(fire(&store, 200).await[0].users, 1);
        let modes = async || {
            [
                own(&store, "anna").await,
                own(&store, "bob").await,
                own(&store, "carl").await,
                own(&store, "dora").await,
            ]
        };
        let others = |bob| [Some(Mode::Pop3), bob, None, Some(Mode::Notice)];
        assert_eq!(modes().await, others(Some(Mode::Brownout)));
        let dry = Order { dry_run: true, ..order(NOW + 250) };
        let would = store.roll_back_wave(&wave, &dry, ANY).await.expect("looked");
        let back = store.roll_back_wave(&wave, &order(NOW + 250), ANY).await.expect("rolled back");
        assert_eq!((back.restored, back.left_alone), (1, 3));
        assert_eq!(would, RolledBack { wave: would.wave.clone(), ..back.clone() }, "what was promised");
        assert_eq!(
            back.moves,
            [Moves {
                domain: String::new(),
                from: Some(Mode::Brownout),
                to: Some(Mode::Pop3),
                then: planned.map_or(Some(Mode::Pop3), |planned| planned.mode),
                users: 1
            }]
        );
        assert_eq!((would.wave.state, back.wave.state), (WaveState::Running, WaveState::RolledBack));
        assert_eq!(modes().await, others(Some(Mode::Pop3)));
        let setting = store.facts(&user("bob")).await.expect("facts").setting;
        assert_eq!((setting.planned, setting.since), (planned, NOW), "what was set before the first step");
        // It is over.
        assert_eq!(fire(&store, 400).await, []);
        let again = store.roll_back_wave(&wave, &order(NOW + 260), ANY).await.expect("is rolled back");
        assert_eq!((again.restored, again.left_alone), (0, 0));
    });
}

#[test]
fn steps_whose_time_has_passed_fire_in_order_and_once() {
    on_both("waves_late", async |place| {
        let store = place.open().await;
        let steps = [(100, Mode::Notice), (200, Mode::Brownout), (300, Mode::ImapOnly)];
        let wave = started(&store, "first", &["anna", "bob"], &steps).await;
        store.pause_wave(&wave, &order(NOW + 50)).await.expect("paused");
        assert_eq!(store.pause_wave(&wave, &order(NOW + 51)).await.expect("paused").state, WaveState::Paused);
        assert_eq!(fire(&store, 250).await, []);
        let due = Due { wave: wave.clone(), step: 1 };
        assert_eq!(
            store.fire_step(&due, &CONFIGURED, NOW + 250).await.expect("looked"),
            None,
            "it is paused"
        );
        store.close().await;
        drop(store);
        let store = place.open().await;
        store.resume_wave(&wave, &order(NOW + 260)).await.expect("resumed");
        // Not the second before the first.
        let due = Due { wave: wave.clone(), step: 2 };
        assert_eq!(store.fire_step(&due, &CONFIGURED, NOW + 260).await.expect("looked"), None);
        let fired: Vec<_> =
            fire(&store, 260).await.into_iter().map(|fired| (fired.mode, fired.users)).collect();
        assert_eq!(fired, [(Mode::Notice, 2), (Mode::Brownout, 2)]);
        assert_eq!(fire(&store, 260).await, []);
        assert_eq!(own(&store, "anna").await, Some(Mode::Brownout));
        // The way back goes to before the first of them.
        let back = store.roll_back_wave(&wave, &order(NOW + 270), ANY).await.expect("rolled back");
        assert_eq!(back.restored, 2);
        assert_eq!(own(&store, "anna").await, None);
        // And that can be undone as well, as a whole.
        let batch = count(&place, "SELECT value FROM counters WHERE name = 'generation'").await;
        let undone = store.undo_batch(&format!("{batch:012}"), "ilze", "no", NOW + 280, false, ANY).await;
        assert_eq!(undone.expect("undone").restored, 2);
        assert_eq!(own(&store, "anna").await, Some(Mode::Brownout));
    });
}

#[test]
fn what_cannot_be_done_is_said() {
    on_both("waves_refused", async |place| {
        let store = place.open().await;
        let steps = [(100, Mode::Notice)];
        let (no, list, domain) = (name("no"), name("list"), name("domain"));
        for (wave, target) in [("list", Target::Csv), ("domain", Target::Domain("x".to_owned()))] {
            store.create_wave(&new(wave, target, &steps), "ilze", NOW).await.expect("made");
        }
        let anna = [user("anna")];
        assert_eq!(sentence(store.wave(&no).await), "there is no wave no; look at the list of waves");
        let other = new("list", Target::Csv, &[(101, Mode::Notice)]);
        assert!(
            sentence(store.create_wave(&other, "ilze", NOW).await)
                .starts_with("there is a wave list already")
        );
        let everyone = new("all", Target::Query(lastpop::api::WaveUsers::default()), &steps);
        assert!(sentence(store.create_wave(&everyone, "ilze", NOW).await).contains("no condition"));
        assert!(
            sentence(add_members(&store, &domain, &anna, false, NOW).await)
                .contains("worked out when it starts")
        );
        for wave in [&list, &domain] {
            let error = sentence(store.start_wave(wave, &order(NOW), &CONFIGURED).await);
            assert!(error.starts_with("nobody is in the wave"), "{error}");
        }
        assert_eq!(store.wave(&list).await.expect("the wave").state, WaveState::Draft);
        let error = sentence(store.pause_wave(&list, &order(NOW)).await);
        assert_eq!(error, "the wave list is a draft and cannot be paused; start it first");
        add_members(&store, &list, &anna, false, NOW).await.expect("added");
        let dry = Order { dry_run: true, ..order(NOW) };
        let wave = store.start_wave(&list, &dry, &CONFIGURED).await.expect("looked");
        assert_eq!(wave.state, WaveState::Draft);
        store.start_wave(&list, &order(NOW), &CONFIGURED).await.expect("started");
        assert!(
            sentence(add_members(&store, &list, &anna, false, NOW).await).contains("its members are fixed")
        );
        assert!(
            sentence(store.delete_wave(&list, &order(NOW)).await).contains("roll it back, or let it finish")
        );
    });
}
