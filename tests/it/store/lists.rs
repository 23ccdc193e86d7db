//! Lists: users by what holds for them, page by page; domains; the audit trail.

use std::sync::Arc;

use lastpop::policy::{Mode, Planned, Setting};
use lastpop::store::{Change, Configured, InForce, Select, Store, Subject, Trail};

use super::{NOW, execute, on_both, user};

async fn set(store: &Store, subject: Subject, mode: Mode, planned: Option<Planned>) {
    let setting = Setting { mode: Some(mode), since: NOW, planned };
    let change = Change { subject: &subject, actor: "ilze", reason: "a test", now: NOW };
    store.set(&change, &|_| Ok(setting)).await.expect("set");
}

/// Users of three domains: by number modulo four in one of the modes, every fifth with a plan.
async fn populated(store: &Store) {
    for number in 0..40 {
        let name = format!("user{number:02}@{}", ["a.example", "b.example", "c_d.example"][number % 3]);
        let plan = Planned { mode: Some(Mode::ImapOnly), from: NOW + 10 };
        set(store, Subject::User(user(&name)), Mode::ALL[number % 4], (number % 5 == 0).then_some(plan))
            .await;
    }
}

/// All pages, three users each.
async fn all(store: &Store, select: &Select) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.users(select, &after, 3).await.expect("a page");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { return names };
        after.clone_from(&last.username);
        names.extend(page.into_iter().map(|row| row.username));
    }
}

/// Users for whom a mode is in force, where the configuration says this of everyone, and this of a domain.
fn in_force(mode: Mode, now: i64, everyone: Mode, domain: Option<(&str, Mode)>) -> Select {
    let domains = domain.into_iter().map(|(domain, mode)| (domain.to_owned(), mode)).collect();
    let configured = Arc::new(Configured { mode: everyone, domains });
    Select { mode: Some(InForce { mode, now, configured }), ..Select::default() }
}

#[test]
fn pages_hold_every_user_once() {
    on_both("lists_pages", async |place| {
        let store = place.open().await;
        populated(&store).await;
        let names = all(&store, &Select::default()).await;
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((names.len(), sorted.len()), (40, 40));
        assert_eq!(
            all(&store, &Select { search: Some("ER1".to_lowercase()), ..Select::default() }).await.len(),
            10
        );
        assert_eq!(
            all(&store, &Select { search: Some("c_d".to_owned()), ..Select::default() }).await.len(),
            13
        );
        assert_eq!(all(&store, &Select { search: Some("%".to_owned()), ..Select::default() }).await.len(), 0);
        let domain = Some("b.example".to_owned());
        assert_eq!(all(&store, &Select { domain, ..Select::default() }).await.len(), 13);
        assert_eq!(all(&store, &Select { seen_before: Some(NOW), ..Select::default() }).await.len(), 40);
        assert_eq!(all(&store, &Select { seen_after: Some(0), ..Select::default() }).await.len(), 0);
        assert_eq!(
            all(&store, &Select { family: Some("curl".to_owned()), ..Select::default() }).await.len(),
            0
        );
    });
}

#[test]
fn a_mode_in_force_is_ones_own_or_the_rule_that_one_inherits() {
    on_both("lists_modes", async |place| {
        let store = place.open().await;
        populated(&store).await;
        let ones_own = |mode, now| in_force(mode, now, Mode::Brownout, None);
        for mode in Mode::ALL {
            assert_eq!(all(&store, &ones_own(mode, NOW)).await.len(), 10, "{mode}");
        }
        // Eight plans have come true, two of them where it was so already.
        assert_eq!(all(&store, &ones_own(Mode::ImapOnly, NOW + 10)).await.len(), 16);
        // Who has no setting follows the rule of the domain, or that of everyone.
        let dora = user("dora@a.example");
        store.dismiss(&dora, lastpop::notice::Kind::Notice, "1").await.expect("a row without a mode");
        let is_in_notice = async |everyone, domain| {
            let names = all(&store, &in_force(Mode::Notice, NOW, everyone, domain)).await;
            names.contains(&dora.as_str().to_owned())
        };
        let (a, b) = (Some(("a.example", Mode::Notice)), Some(("b.example", Mode::Notice)));
        let none = Mode::Pop3;
        assert!(!is_in_notice(none, None).await);
        assert!(is_in_notice(none, a).await);
        assert!(!is_in_notice(none, b).await);
        assert!(is_in_notice(Mode::Notice, None).await);
        assert!(!is_in_notice(Mode::Notice, Some(("a.example", Mode::Pop3))).await);
        // What is set for everyone holds before what is configured for them, and after what is for the domain.
        set(&store, Subject::Everyone, Mode::Notice, None).await;
        assert!(is_in_notice(none, None).await);
        assert!(!is_in_notice(none, Some(("a.example", Mode::Pop3))).await);
        set(&store, Subject::Domain("a.example".to_owned()), Mode::Notice, None).await;
        assert!(is_in_notice(none, Some(("a.example", Mode::Pop3))).await);
        assert_eq!(store.followers(Some("a.example"), NOW).await.expect("a count"), 1);
        assert_eq!(store.followers(None, NOW).await.expect("a count"), 1);
        assert_eq!(store.followers(Some("b.example"), NOW).await.expect("a count"), 0);
        let row = store.user(&user("user00@a.example")).await.expect("an answer").expect("a row");
        assert_eq!(row.setting().expect("a setting").at(NOW + 10), Some(Mode::ImapOnly));
        assert_eq!(store.user(&user("nobody")).await.expect("an answer"), None);
    });
}

/// More than a query takes parameters.
#[test]
fn users_are_found_by_mode_however_many_domains_have_one() {
    on_both("lists_many_domains", async |place| {
        let store = place.open().await;
        populated(&store).await;
        let many = "INSERT INTO domains (domain, mode)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
            SELECT 'domain' || i || '.example', 'notice' FROM n";
        execute(&place, many).await;
        let dora = user("dora@domain69999.example");
        store.dismiss(&dora, lastpop::notice::Kind::Notice, "1").await.expect("a row without a mode");
        let names = all(&store, &in_force(Mode::Notice, NOW, Mode::Pop3, None)).await;
        assert_eq!((names.len(), &*names[0]), (11, dora.as_str()));
    });
}

#[test]
fn domains_are_counted() {
    on_both("lists_domains", async |place| {
        let store = place.open().await;
        populated(&store).await;
        set(&store, Subject::User(user("plain")), Mode::Pop3, None).await;
        let first = store.domain_counts(None, 2, NOW).await.expect("counts");
        let found: Vec<_> = first.iter().map(|count| (count.domain.as_str(), count.users)).collect();
        assert_eq!(found, [("", 1), ("a.example", 14)]);
        let second = store.domain_counts(Some("a.example"), 9, NOW).await.expect("counts");
        let found: Vec<_> = second.iter().map(|count| (count.domain.as_str(), count.users)).collect();
        assert_eq!(found, [("b.example", 13), ("c_d.example", 13)]);
    });
}

/// The API merges them with domains that it knows from elsewhere. The server of these tests sorts as people do.
#[test]
fn names_are_in_the_order_of_their_octets() {
    on_both("lists_order", async |place| {
        let store = place.open().await;
        let domains = ["", "B.example", "a-b.example", "a.example", "z.example", "\u{e4}.example"];
        for domain in domains {
            set(&store, Subject::User(user(&format!("anna@{domain}"))), Mode::Pop3, None).await;
        }
        let (mut found, mut after) = (Vec::new(), None::<String>);
        while let Some(count) = store.domain_counts(after.as_deref(), 1, NOW).await.expect("a count").pop() {
            after = Some(count.domain.clone());
            found.push(count.domain);
        }
        assert_eq!(found, domains);
        let names = all(&store, &Select::default()).await;
        assert!(names.is_sorted(), "{names:?}");
    });
}

/// Where `users.lower_case` is false, names keep their case, and who searches need not know it.
#[test]
fn a_search_finds_every_case() {
    on_both("lists_search", async |place| {
        let store = place.open().await;
        for name in ["Anna@x", "bob@x", "\u{100}nna@x", "\u{101}nna@x"] {
            set(&store, Subject::User(user(name)), Mode::Pop3, None).await;
        }
        for (search, expected) in [
            ("anna", &["Anna@x"][..]),
            ("b@x", &["bob@x"]),
            ("nna@", &["Anna@x", "\u{100}nna@x", "\u{101}nna@x"]),
            // Of letters beyond ASCII both databases know no case.
            ("\u{100}nna", &["\u{100}nna@x"]),
            ("\u{101}nna", &["\u{101}nna@x"]),
        ] {
            let found = all(&store, &Select { search: Some(search.to_owned()), ..Select::default() }).await;
            assert_eq!(found, expected, "{search}");
        }
    });
}

#[test]
fn the_trail_is_newest_first_and_tells_before_and_after() {
    on_both("lists_trail", async |place| {
        let store = place.open().await;
        let anna = Subject::User(user("anna"));
        set(&store, anna.clone(), Mode::Notice, None).await;
        set(&store, Subject::Everyone, Mode::Notice, None).await;
        set(&store, anna.clone(), Mode::ImapOnly, None).await;
        store.ask_to_unhide(&user("anna"), 0, "ilze", "her computer died", NOW).await.expect("asked");
        let all = store.audit(&Trail::default(), None, 10).await.expect("a trail");
        let seen: Vec<_> = all.iter().map(|row| (row.action.as_str(), row.subject.as_str())).collect();
        assert_eq!(seen, [("unhide", "anna"), ("set", "anna"), ("set", "*"), ("set", "anna")]);
        let trail = Trail { subject: Some("anna".to_owned()), ..Trail::default() };
        let annas = store.audit(&trail, None, 2).await.expect("a trail");
        assert_eq!(annas.len(), 2);
        let older = store.audit(&trail, Some(&annas[1].id), 9).await.expect("a trail");
        assert_eq!(older.len(), 1);
        let (before, after) = (annas[1].before().expect("before"), annas[1].after().expect("after"));
        assert_eq!((before.mode, after.mode), (Some(Mode::Notice), Some(Mode::ImapOnly)));
        assert!(annas[1].is_change() && !annas[0].is_change());
        let trail = Trail { batch: Some(annas[0].batch.clone()), ..Trail::default() };
        assert_eq!(store.audit(&trail, None, 9).await.expect("a trail").len(), 1);
    });
}
