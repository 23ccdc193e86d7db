//! Waves when things go wrong or happen at once: several proxies, a proxy that dies in the middle, and a million
//! members.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lastpop::api::{Target, WaveState};
use lastpop::import::Row;
use lastpop::policy::Mode;
use lastpop::store::waves::{Fired, Progress};
use lastpop::store::{Configured, Store, StoreError};
use lastpop::usage::Delta;
use lastpop::users::UserName;

use super::waves::{CONFIGURED, name, new, order};
use super::{ANY, NOW, count, execute, on_both, once, user};
use crate::support::desk::add_members;
use crate::support::is_full;

fn users(many: u32) -> Vec<UserName> {
    (0..many).map(|number| user(&format!("user{number:07}@domain{}.example", number % 100))).collect()
}

async fn started(store: &Store, wave: &str, many: u32, steps: &[(i64, Mode)]) {
    store.create_wave(&new(wave, Target::Csv, steps), "ilze", NOW).await.expect("made");
    add_members(store, &name(wave), &users(many), false, NOW).await.expect("added");
    store.start_wave(&name(wave), &order(NOW), &CONFIGURED).await.expect("started");
}

async fn fire(store: &Store, after: i64) -> Vec<Fired> {
    fire_with(store, &CONFIGURED, after).await
}

async fn fire_with(store: &Store, configured: &Configured, after: i64) -> Vec<Fired> {
    let mut fired = Vec::new();
    for due in store.due_steps(NOW + after).await.expect("due") {
        fired.extend(store.fire_step(&due, configured, NOW + after).await.expect("fired"));
    }
    fired
}

#[test]
fn of_several_proxies_one_fires_each_step() {
    let place = super::postgres("waves_fleet");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut proxies = Vec::new();
        for _ in 0..5 {
            proxies.push(Arc::new(place.open().await));
        }
        let steps = [(10, Mode::Notice), (20, Mode::Brownout), (30, Mode::ImapOnly)];
        for wave in ["first", "second"] {
            started(&proxies[0], wave, 2_000, &steps).await;
        }
        // Each proxy looks as it likes, and all of them at once.
        let tasks: Vec<_> = proxies
            .iter()
            .map(|proxy| {
                let proxy = Arc::clone(proxy);
                tokio::spawn(async move {
                    let mut fired = Vec::new();
                    for after in [10, 10, 20, 30, 30] {
                        fired.extend(fire(&proxy, after).await);
                    }
                    fired
                })
            })
            .collect();
        let mut fired = Vec::new();
        for task in tasks {
            fired.extend(task.await.expect("no panic"));
        }
        assert_eq!(fired.len(), 6, "{fired:?}");
        for mode in [Mode::Notice, Mode::Brownout, Mode::ImapOnly] {
            // The waves have the same members, so who comes second finds them moved by somebody else.
            let moved: u64 = fired.iter().filter(|fired| fired.mode == mode).map(|fired| fired.users).sum();
            let lines = format!("SELECT count(*) FROM audit WHERE action = 'wave' AND new_mode = '{mode}'");
            assert_eq!(count(&place, &lines).await.unsigned_abs(), moved, "{mode}");
        }
        let lines = "SELECT count(*) FROM audit WHERE kind = 'wave' AND action = 'step'";
        assert_eq!(count(&place, lines).await, 6);
        let wrong = "SELECT count(*) FROM users WHERE mode IS DISTINCT FROM 'imap-only'";
        assert_eq!(count(&place, wrong).await, 0);
    });
}

#[test]
fn a_proxy_that_dies_in_the_middle_of_a_step_has_done_nothing() {
    on_both("waves_cut", async |place| {
        let store = place.open().await;
        started(&store, "first", 4_000, &[(10, Mode::Notice), (20, Mode::ImapOnly)]).await;
        let due = store.due_steps(NOW + 10).await.expect("due").pop().expect("a step");
        let mut cut = 0;
        // Cut at other places each time, until one comes to its end.
        for doubled in 0.. {
            let step = store.fire_step(&due, &CONFIGURED, NOW + 10);
            match tokio::time::timeout(Duration::from_millis(1 << doubled), step).await {
                Err(_) => cut += 1,
                Ok(fired) => {
                    // One that was cut after its commit is done as well.
                    let users = fired.expect("fired").map_or(4_000, |fired| fired.users);
                    assert_eq!(users, 4_000);
                    break;
                }
            }
            // In one look: the database may be committing what nobody waits for any more.
            let query = "SELECT (SELECT count(*) FROM users WHERE mode = 'notice') * 10
                + (SELECT count(*) FROM wave_steps WHERE fired_at IS NOT NULL)";
            let both = count(&place, query).await;
            let (moved, marked) = (both / 10, both % 10);
            assert!((moved, marked) == (0, 0) || (moved, marked) == (4_000, 1), "{moved} {marked}");
        }
        println!("cut {cut} times");
        let lines = "SELECT count(*) FROM audit WHERE action = 'wave'";
        assert_eq!(count(&place, lines).await, 4_000);
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert_eq!(fire(&store, 20).await[0].users, 4_000);
        assert_eq!(store.wave(&name("first")).await.expect("the wave").state, WaveState::Finished);
    });
}

/// A step and the ledger of usage write the same rows. The ledger gives way, and the step is carried out at once.
#[test]
fn sessions_are_counted_while_a_step_moves_their_users() {
    on_both("waves_usage", async |place| {
        let store = Arc::new(place.open().await);
        let (many, proxies) = (20_000, 4);
        started(&store, "first", many, &[(10, Mode::Notice), (20, Mode::ImapOnly)]).await;
        let ended = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..proxies)
            .map(|proxy| {
                let (store, ended) = (Arc::clone(&store), Arc::clone(&ended));
                tokio::spawn(async move {
                    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
                    let mut written = 0;
                    // Each time a hundred users from all over the list, in the order of their names.
                    for begin in (0..).map(|round: usize| (round * 31 + proxy * 7) % 200) {
                        let batch = users(many).into_iter().skip(begin).step_by(200);
                        let batch: Vec<_> = batch.map(|user| (user, Delta::refused(NOW, address))).collect();
                        match store.add_usage(&once(), &batch).await {
                            Ok(()) => written += batch.len(),
                            Err(StoreError::Busy) => {}
                            Err(error) => panic!("{error}"),
                        }
                        if ended.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    written
                })
            })
            .collect();
        for after in [10, 20] {
            assert_eq!(fire(&store, after).await[0].users, u64::from(many));
        }
        ended.store(true, Ordering::Relaxed);
        let mut written = 0;
        for writer in writers {
            written += writer.await.expect("no panic");
        }
        println!("{written} users were written meanwhile");
        let refused = count(&place, "SELECT CAST(SUM(refused) AS BIGINT) FROM users").await;
        assert_eq!(usize::try_from(refused), Ok(written));
        let lost = "SELECT count(*) FROM users WHERE mode IS DISTINCT FROM 'imap-only'";
        assert_eq!(count(&place, lost).await, 0);
    });
}

#[test]
fn progress_is_counted_by_one_for_all() {
    on_both("waves_progress", async |place| {
        let store = place.open().await;
        started(&store, "first", 10, &[(10, Mode::Notice), (20, Mode::ImapOnly)]).await;
        let progress = async |after| store.wave_progress(NOW + after).await.expect("progress");
        let told = |progress: &[Progress]| {
            let Progress { users, fired, due, planned, .. } = progress[0];
            let users = users.map(|users| (users.moved, users.left_alone, users.waiting));
            (users, fired, due, planned)
        };
        assert_eq!(told(&progress(9).await), (Some((0, 0, 10)), 0, 0, 2));
        assert_eq!(told(&progress(10).await), (Some((0, 0, 10)), 0, 1, 1));
        fire(&store, 10).await;
        assert_eq!(told(&progress(11).await), (Some((10, 0, 0)), 1, 0, 1));
        let rows = [Row { user: users(1).remove(0), mode: Some(Mode::Pop3), from: None, language: None }];
        let batch = store.begin_import("ilze", "a list", NOW + 80).await.expect("begun");
        store.stage(&batch, &rows).await.expect("staged");
        store.apply(&batch, false, ANY).await.expect("applied");
        // The count holds for an hour, the steps are always true.
        assert_eq!(told(&progress(3_610).await), (Some((10, 0, 0)), 1, 1, 0));
        // One proxy counts, and others go on with what it has counted before; who died while counting is waited for.
        let other = "UPDATE leases SET holder = 'another', expires = 1790003620 WHERE name = 'waves'";
        let lease = "INSERT INTO leases (name, holder, expires) VALUES ('waves', 'another', 0)";
        execute(&place, lease).await;
        execute(&place, other).await;
        assert_eq!(told(&progress(3_611).await), (Some((10, 0, 0)), 1, 1, 0));
        assert_eq!(told(&progress(3_620).await), (Some((9, 1, 0)), 1, 1, 0));
        fire(&store, 3_630).await;
        assert_eq!(told(&progress(3_631).await), (Some((9, 1, 0)), 2, 0, 0));
        store.roll_back_wave(&name("first"), &order(NOW + 3_650), ANY).await.expect("rolled back");
        assert_eq!(progress(3_660).await, []);
    });
}

#[test]
fn a_million_users_are_imported_and_moved() {
    let many = if is_full() { 1_000_000 } else { 20_000 };
    // As many domains as a configuration may name.
    let domains = (0..10_000).map(|number| (format!("configured{number}.example"), Mode::Notice)).collect();
    let configured = &Configured { mode: Mode::Pop3, domains };
    on_both("waves_million", async |place| {
        let store = place.open().await;
        let timed = async |what: &str, begun: Instant| println!("{many} users: {what} {:?}", begun.elapsed());
        let begun = Instant::now();
        let batch = store.begin_import("ilze", "a list", NOW).await.expect("begun");
        for part in users(many).chunks(5_000) {
            let row = |user: &UserName| Row {
                user: user.clone(),
                mode: Some(Mode::Notice),
                from: None,
                language: None,
            };
            store.stage(&batch, &part.iter().map(row).collect::<Vec<_>>()).await.expect("staged");
        }
        timed("staged in", begun).await;
        let begun = Instant::now();
        let applied = store.apply(&batch, false, ANY).await.expect("applied");
        assert_eq!(applied.changed, u64::from(many));
        timed("applied in", begun).await;
        let begun = Instant::now();
        started(&store, "first", many, &[(10, Mode::Brownout), (20, Mode::ImapOnly)]).await;
        timed("listed as members and started in", begun).await;
        for after in [10, 20] {
            let begun = Instant::now();
            assert_eq!(fire_with(&store, configured, after).await[0].users, u64::from(many));
            timed("moved by a step in", begun).await;
        }
        let begun = Instant::now();
        let preview = store.preview_wave(&name("first"), configured, NOW + 30).await.expect("a preview");
        assert_eq!(preview.already, u64::from(many));
        timed("previewed in", begun).await;
        let begun = Instant::now();
        store.wave_progress(NOW + 30).await.expect("progress");
        timed("counted in", begun).await;
        let begun = Instant::now();
        let back = store.roll_back_wave(&name("first"), &order(NOW + 40), ANY).await.expect("rolled back");
        assert_eq!(back.restored, u64::from(many));
        timed("rolled back in", begun).await;
        let begun = Instant::now();
        let all = Target::Share { domain: "*".to_owned(), percent: 10.try_into().expect("a share") };
        store.create_wave(&new("share", all, &[(50, Mode::Brownout)]), "ilze", NOW + 50).await.expect("made");
        store.start_wave(&name("share"), &order(NOW + 50), configured).await.expect("started");
        timed("looked through for a share of 10 % in", begun).await;
    });
}
