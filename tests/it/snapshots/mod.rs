//! A maildrop that is made from the snapshot of the last poll and from what has changed since is the one that a listing
//! of the whole mailbox gives, and the truth.
//!
//! Random things happen to a mailbox between polls and during them: mail comes and goes, is hidden and shown, by IMAP
//! and by POP3, and gets another UIDVALIDITY. Two lastpops poll it, one with snapshots and one without. Each kind of
//! upstream is tried that needs another way to ask for changes. `IT_CASES` and `IT_SEED` change the defaults.

mod early;
mod maildrop;
mod step;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use maildrop::{Maildrop, Truth, poll, poll_at_a_bad_time};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use step::{Renumbers, Step, step};

use crate::support::dovecot::{Dovecot, User};
use crate::support::imap::Imap;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::setting::setting;

/// Cases for each kind of upstream, unless the environment says otherwise.
const CASES: u32 = 10;

/// The seed unless the environment says otherwise.
const SEED: u64 = 7162;

/// How often a failing case may be tried in a smaller form.
const SHRINKS: u32 = 40;

/// What Dovecot 2.3 says it can do after a login, as far as lastpop knows the words.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UIDPLUS LIST-EXTENDED ESEARCH";

#[test]
fn maildrops_are_the_truth_where_the_upstream_tells_what_vanished() {
    holds("", "CONDSTORE QRESYNC");
}

#[test]
fn maildrops_are_the_truth_where_the_upstream_tells_which_flags_changed() {
    holds(&format!("imap_capability = {CAPABILITIES} CONDSTORE\n"), "CONDSTORE");
}

#[test]
fn maildrops_are_the_truth_where_the_upstream_has_no_mod_sequences() {
    holds(&format!("imap_capability = {CAPABILITIES}\n"), "");
}

/// On a Dovecot with these `settings`, which then offers just these words for mod-sequences.
fn holds(settings: &str, words: &str) {
    let (cases, seed) = (setting("IT_CASES", CASES), setting("IT_SEED", SEED));
    println!("IT_CASES={cases} IT_SEED={seed}");
    let dovecot = Dovecot::start_with(settings);
    let names: Vec<String> = (0..=cases + SHRINKS + 1).map(|number| format!("case{number}")).collect();
    let wanted: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a password")).collect();
    let users = dovecot.users(&wanted);
    assert_eq!(offered(&dovecot, &users[0]), words);
    let with = Proxy::start(&dovecot, Upstream::Plain);
    let without = Proxy::start_with(&dovecot, Upstream::Plain, &[("cache.maildrops", "\"0\"")], &[]);
    let both = Both { with: &with, without: &without };
    learns(&dovecot, &users[0], both);
    let used = AtomicUsize::new(1);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: SHRINKS, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&vec(step(), 1..=12), |steps| {
        check(&dovecot, &users[used.fetch_add(1, Ordering::Relaxed)], both, &steps);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    was_used(both, words);
}

/// The two that are compared.
#[derive(Clone, Copy)]
struct Both<'a> {
    /// Keeps snapshots.
    with: &'a Proxy,
    /// Keeps none.
    without: &'a Proxy,
}

impl Both<'_> {
    /// Both show what is there.
    fn show(&self, truth: &Truth, user: &User) {
        for proxy in [self.with, self.without] {
            assert_eq!(poll(proxy, user), truth.maildrop());
        }
    }
}

/// lastpop learns of the upstream what it needs to rely on snapshots: its capabilities from the first login of all, and
/// whether SEARCH tells the truth from a mailbox with hidden messages.
fn learns(dovecot: &Dovecot, user: &User, both: Both<'_>) {
    dovecot.deliver(user, [b"Subject: one\r\n\r\n1\r\n".as_slice(), b"Subject: two\r\n\r\n2\r\n"]);
    let mut imap = Imap::open(dovecot, user);
    let first = imap.messages()[0].uid;
    both.show(&Truth::of(&mut imap), user);
    imap.store(first, "+FLAGS", "$POP3Deleted");
    both.show(&Truth::of(&mut imap), user);
    both.show(&Truth::of(&mut imap), user);
}

/// Takes the steps, and compares after each.
fn check(dovecot: &Dovecot, user: &User, both: Both<'_>, steps: &[Step]) {
    for (number, step) in steps.iter().enumerate() {
        println!("{} {number} {step:?}", user.name);
        match step.renumbers {
            None => {}
            Some(Renumbers::InName) => dovecot.renumber(user),
            Some(Renumbers::FromScratch) => user.lose_books(),
        }
        let before = Truth::of(&mut Imap::open(dovecot, user));
        let mut touched = BTreeSet::new();
        let mut shown: Vec<Maildrop> = Vec::new();
        if step.during_polls {
            std::thread::scope(|scope| {
                let polls: Vec<_> = [both.with, both.with, both.without]
                    .map(|proxy| scope.spawn(move || poll_at_a_bad_time(proxy, user)))
                    .into();
                touched = step.happens(dovecot, user, both.with, &before);
                let ended = polls.into_iter().map(std::thread::ScopedJoinHandle::join);
                shown.extend(
                    ended.filter_map(|poll| poll.unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
                );
            });
        } else {
            touched = step.happens(dovecot, user, both.with, &before);
        }
        let after = Truth::of(&mut Imap::open(dovecot, user));
        for maildrop in shown {
            maildrop.lies_between(&before, &after, &touched);
        }
        both.show(&after, user);
        if step.again {
            both.show(&after, user);
        }
    }
}

/// Snapshots were really used, in every way, and only where they are kept.
fn was_used(both: Both<'_>, words: &str) {
    let count = |proxy: &Proxy, result: &str| {
        proxy.metric_with("lastpop_maildrop_snapshots_total", &format!("result=\"{result}\""))
    };
    for result in ["unchanged", "changed", "doubtful", "none"] {
        println!("{result}: {}", count(both.with, result));
        assert!(count(both.with, result) > 0, "never {result}");
        assert_eq!(count(both.without, result) > 0, result == "none", "{result}");
    }
    assert!(count(both.with, "changed") + count(both.with, "unchanged") > count(both.with, "doubtful"));
    assert!(both.with.metric("lastpop_maildrop_snapshots_kept") > 1);
    assert!(both.with.metric("lastpop_maildrop_snapshots_bytes") > 100);
    assert_eq!(both.without.metric("lastpop_maildrop_snapshots_kept"), 0);
    assert_eq!(both.without.metric("lastpop_maildrop_snapshots_bytes"), 0);
    // SEARCH is for those that have no mod-sequences, and is tried once.
    let tried = both.with.metric_with("lastpop_upstream_commands_total", "command=\"SEARCH\"");
    assert_eq!(tried, i64::from(words.is_empty()));
    // Everything was said at once; otherwise this compared lock-step with lock-step.
    assert_eq!(
        both.with.metric_with("lastpop_upstream_commands_total", "command=\"LOGIN\",result=\"ok\""),
        1
    );
}

/// The words for mod-sequences that this Dovecot offers after a login.
fn offered(dovecot: &Dovecot, user: &User) -> String {
    let stream = TcpStream::connect(("127.0.0.1", dovecot.ports.imap)).expect("connect");
    let mut stream = BufReader::new(stream);
    let login = format!("a LOGIN {} \"{}\"\r\n", user.name, user.password);
    stream.get_mut().write_all(login.as_bytes()).expect("write to IMAP");
    let answer = stream.lines().map(|line| line.expect("a line")).find(|line| line.starts_with("a "));
    let answer = answer.expect("an answer to LOGIN");
    assert!(answer.contains("[CAPABILITY "), "{answer}");
    let words = answer.split([' ', '[', ']']).filter(|word| ["CONDSTORE", "QRESYNC"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}
