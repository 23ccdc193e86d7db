//! Whatever clients do, nothing is removed, and hidden is exactly what a session that said QUIT had
//! marked.
//!
//! Random sessions run at once on one mailbox and end in every way there is. The sequences come
//! from a seed that is printed; how the sessions interleave does not, so the property is one that
//! holds for every interleaving. `IT_CASES` and `IT_SEED` change the defaults.

mod session;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use session::{NOTICE, Outcome, Session, run, session, uid_of};

use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::{Imap, Message};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::setting::setting;

/// Cases unless the environment says otherwise.
const CASES: u32 = 60;

/// The seed unless the environment says otherwise.
const SEED: u64 = 1939;

/// How often a failing case may be tried in a smaller form.
const SHRINKS: u32 = 40;

#[test]
fn nothing_is_removed_and_only_quit_hides() {
    holds(&[]);
}

/// The same where one more message is a notice: it goes by the same rules, and the mailbox knows nothing of it.
#[test]
fn nothing_is_removed_and_only_quit_hides_where_there_is_a_notice() {
    holds(&[("policy.mode", "\"notice\""), ("policy.url", "\"https://example.net/imap\"")]);
}

fn holds(changes: &[(&str, &str)]) {
    let (cases, seed) = (setting("IT_CASES", CASES), setting("IT_SEED", SEED));
    println!("IT_CASES={cases} IT_SEED={seed}");
    let dovecot = Dovecot::start();
    let mailboxes = Mailboxes::create(&dovecot, cases + SHRINKS + 1);
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, changes, &[]);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: SHRINKS, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&vec(session(), 1..=4), |sessions| {
        check(&dovecot, &proxy, mailboxes.next(), &sessions);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Runs the sessions at once on a fresh mailbox and looks at what is left.
fn check(dovecot: &Dovecot, proxy: &Proxy, user: &User, sessions: &[Session]) {
    dovecot.deliver(user, messages().iter().map(Vec::as_slice));
    let before = Imap::open(dovecot, user).messages();
    let notice = notice(proxy, user, before.len() + 1);
    let shown = [&before[..], notice.as_slice()].concat();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let shown = &shown;
        let threads: Vec<_> =
            sessions.iter().map(|session| scope.spawn(move || run(session, proxy, user, shown))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    proxy.wait_until_idle();
    let after = Imap::open(dovecot, user).messages();

    let identity = |message: &Message| (message.uid, message.sha256);
    assert!(after.iter().map(identity).eq(before.iter().map(identity)), "{before:?} became {after:?}");
    assert!(!after.iter().any(|message| message.has("\\Deleted")), "{after:?}");
    let mut pop3 = proxy.login(user);
    assert!(pop3.command("UIDL").starts_with("+OK"));
    let listed: Vec<u32> = pop3.listing().iter().map(|line| uid_of(line)).collect();
    let mut hidden: BTreeSet<u32> =
        after.iter().filter(|message| message.has("$POP3Deleted")).map(|message| message.uid).collect();
    if notice.is_some() && !listed.contains(&NOTICE) {
        hidden.insert(NOTICE);
    }
    assert!(explained(&hidden, &outcomes), "hidden: {hidden:?}; sessions: {outcomes:?}");

    // The next session sees the others, in their order.
    let all = after.iter().chain(&notice).map(|message| message.uid);
    assert_eq!(listed, all.filter(|uid| !hidden.contains(uid)).collect::<Vec<u32>>());
}

/// The notice as a message like any other, if there is one with this number.
fn notice(proxy: &Proxy, user: &User, number: usize) -> Option<Message> {
    let mut pop3 = proxy.login(user);
    if !pop3.command(&format!("RETR {number}")).starts_with("+OK") {
        return None;
    }
    let body = pop3.body();
    Some(Message { uid: NOTICE, flags: Vec::new(), size: body.length, sha256: body.sha256 })
}

/// Is `hidden` the marks of every session whose QUIT was surely read, together with all marks of
/// some of those whose QUIT may have been read?
fn explained(hidden: &BTreeSet<u32>, outcomes: &[Outcome]) -> bool {
    let sure = outcomes.iter().filter_map(Outcome::surely_hidden).flatten().copied();
    let sure: BTreeSet<u32> = sure.collect();
    let perhaps: Vec<&BTreeSet<u32>> = outcomes.iter().filter_map(Outcome::perhaps_hidden).collect();
    (0..1_u32 << perhaps.len()).any(|choice| {
        let chosen = perhaps.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
        let marks = chosen.flat_map(|(_, marks)| marks.iter().copied());
        sure.iter().copied().chain(marks).collect::<BTreeSet<u32>>() == *hidden
    })
}

/// Six messages; one is long enough to be cut in the middle.
fn messages() -> Vec<Vec<u8>> {
    let body = |number: usize| format!("Subject: {number}\r\n\r\n.{number}\r\n").into_bytes();
    let mut messages: Vec<Vec<u8>> = (1..=5).map(body).collect();
    let long = "A line of a long message, and the next line is just the same.\r\n".repeat(6_000);
    messages.push(format!("Subject: long\r\n\r\n{long}").into_bytes());
    messages
}

/// One user per case, made ahead because Dovecot notices new users only after a while.
struct Mailboxes {
    users: Vec<User>,
    used: AtomicUsize,
}

impl Mailboxes {
    fn create(dovecot: &Dovecot, count: u32) -> Self {
        let names: Vec<String> = (0..count).map(|number| format!("case{number}")).collect();
        let wanted: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a password")).collect();
        Self { users: dovecot.users(&wanted), used: AtomicUsize::new(0) }
    }

    fn next(&self) -> &User {
        &self.users[self.used.fetch_add(1, Ordering::Relaxed)]
    }
}
