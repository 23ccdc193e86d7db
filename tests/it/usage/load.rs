//! How much the usage ledger writes, measured against a real PostgreSQL that counts its rows itself. The clock is
//! simulated: an hour takes seconds.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use lastpop::config::{self, StateUrl};
use lastpop::metrics::Metrics;
use lastpop::policy::Mode;
use lastpop::store::Store;
use lastpop::usage::summary::Rules;
use lastpop::usage::{Ended, Ledger, Login, Mailbox, UNKNOWN, upkeep};
use lastpop::users::UserName;

use crate::support::is_full;
use crate::support::postgres::Postgres;
use crate::support::wait;

/// Unix seconds at which the simulation begins.
const BEGIN: i64 = 1_790_000_000;

/// Each user comes again after so many seconds.
const POLL: i64 = 600;

/// Until all users have come once.
const WARM_UP: i64 = POLL;

/// How long rows are counted.
const COUNTED: i64 = 1_800;

/// Logins a second, and rows written for them at most: a thousand for two hundred, or in the same proportion.
fn scale() -> i64 {
    if is_full() { 1_000 } else { 50 }
}

struct Load {
    server: Postgres,
    users: Vec<UserName>,
    ledger: Ledger,
    metrics: Metrics,
    store: Store,
}

impl Load {
    /// Users whom the state knows since long, and a ledger that knows none of them.
    async fn prepare(logins: i64) -> Self {
        let server = Postgres::start();
        let url = StateUrl::parse(&server.url("load")).expect("an address");
        let store = Store::open(&url, BEGIN).await.expect("a store");
        let count = logins * POLL;
        // As many users in a domain as an ISP has.
        let domains = (count / 3_000).max(1);
        server.psql(
            "load",
            &format!(
            "INSERT INTO users (username, domain, first_seen, last_seen, sessions, active_day, active_days)
            SELECT 'user' || n || '@d' || (n % {domains}) || '.example', 'd' || (n % {domains}) || '.example',
                {BEGIN} - 1000000, {BEGIN} - {POLL} + n / {logins}, 1000, ({BEGIN} - {POLL}) / 86400, 1
            FROM generate_series(0, {count} - 1) AS n; ANALYZE users"
        ),
        );
        let name = |n| UserName::stored(&format!("user{n}@d{}.example", n % domains));
        let metrics = Metrics::new(&[]).expect("metrics");
        let ledger = Ledger::new(&config::Usage::default(), 10_000, metrics.usage.clone());
        Self { server, users: (0..count).map(name).collect(), ledger, metrics, store }
    }

    /// All that happens from one second to another, both since the beginning.
    async fn run(&self, logins: i64, from: i64, to: i64) {
        for second in from..to {
            let at = BEGIN + second;
            for number in second * logins..(second + 1) * logins {
                let user = usize::try_from(number).expect("a number") % self.users.len();
                self.poll(&self.users[user], at);
            }
            if second % 2 == 0 {
                self.ledger.flush(&self.store, at, false).await.expect("written");
            }
        }
    }

    fn poll(&self, user: &UserName, at: i64) {
        let mailbox = Mailbox { messages: 20, octets: 1_000_000, hidden_messages: 3, hidden_octets: 30_000 };
        self.ledger.login(
            user,
            &Login {
                at,
                address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
                tls: Some("TLSv1.2"),
                method: "userpass",
                mailbox: Some(mailbox),
                previous: Some(at - POLL),
            },
        );
        let (messages, octets, deleted) = (0, 0, 0);
        self.ledger.ended(
            user,
            &Ended { at, messages, octets, deleted, family: UNKNOWN, mailbox: None, family_known: true },
        );
    }

    /// Rows that PostgreSQL has inserted or updated in all tables, once it has counted what we have written.
    fn rows(&self, since: u64) -> u64 {
        let query = "SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables";
        let ours = self.metrics.usage.rows_written.get();
        wait::until("PostgreSQL has counted", || {
            let rows: u64 = self.server.psql("load", query).parse().expect("a number");
            (rows >= since + ours).then_some(rows)
        })
    }
}

#[tokio::test]
async fn a_thousand_logins_a_second_need_two_hundred_rows() {
    let logins = scale();
    let load = Load::prepare(logins).await;
    let before = load.rows(u64::try_from(logins * POLL).expect("a number"));
    let begun = Instant::now();
    load.run(logins, 0, WARM_UP).await;
    let middle = load.rows(before);
    load.run(logins, WARM_UP, WARM_UP + COUNTED).await;
    let after = load.rows(before);
    let elapsed = begun.elapsed();
    let rate = float(after - middle) / float(COUNTED.unsigned_abs());
    let batches = &load.metrics.usage.flush_duration;
    let mean = batches.get_sample_sum() / float(batches.get_sample_count());
    println!(
        "usage: {logins} logins/s over {} users: {rate:.1} rows/s in PostgreSQL ({:.1} ms for each \
         transaction); {} users pending; {} simulated minutes took {elapsed:.1?}",
        load.users.len(),
        mean * 1_000.0,
        load.metrics.usage.pending.get(),
        (WARM_UP + COUNTED) / 60,
    );
    assert!(rate <= float(logins.unsigned_abs()) / 5.0, "{rate} rows a second");

    // And what is left is written at shutdown, to the last session.
    let begun = Instant::now();
    let pending = load.metrics.usage.pending.get();
    load.ledger.flush(&load.store, BEGIN + WARM_UP + COUNTED, true).await.expect("written");
    println!("usage: writing the {pending} users that are pending at shutdown takes {:.1?}", begun.elapsed());
    let sessions = load.server.psql("load", "SELECT sum(sessions) - 1000 * count(*) FROM users");
    assert_eq!(sessions, (logins * (WARM_UP + COUNTED)).to_string());
    assert_eq!(load.server.psql("load", "SELECT sum(sessions) FROM daily"), sessions);
    assert_eq!(load.server.psql("load", "SELECT count(*) FROM users WHERE poll_interval <> 600"), "0");
    // What one proxy does for all of them.
    let now = BEGIN + WARM_UP + COUNTED;
    let configured = config::Domains::default();
    let state = load.store.domains().all();
    let rules = Rules { state, configured: &configured, default: Mode::Pop3, now };
    let begun = Instant::now();
    upkeep::sum_up(&load.store, &rules, 10_000).await.expect("summed up");
    let summed_up = begun.elapsed();
    let begun = Instant::now();
    upkeep::count_days(&load.store, now).await.expect("counted");
    println!("usage: summing up takes {summed_up:.1?}, counting three days {:.1?}", begun.elapsed());
    let active =
        load.server.psql("load", "SELECT sum(active_1) FROM daily WHERE day = (SELECT max(day) FROM daily)");
    assert_eq!(active, load.users.len().to_string());
    load.store.close().await;
}

fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).expect("less than four billion"))
}

/// What a million pending users take, by the process's own size.
#[test]
fn a_pending_user_takes_some_hundred_octets() {
    const USERS: u32 = 1_000_000;
    if !is_full() {
        return;
    }
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        4_096 * statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages")
    };
    let metrics = Metrics::new(&[]).expect("metrics");
    let ledger = Ledger::new(&config::Usage::default(), 1, metrics.usage.clone());
    let before = resident();
    for number in 0..USERS {
        let user = UserName::stored(&format!("firstname.lastname{number}@example.net"));
        ledger.refused(&user, BEGIN, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let each = (resident() - before) / u64::from(USERS);
    println!("usage: a pending user takes {each} octets");
    assert!(each <= 450, "{each}");
}
