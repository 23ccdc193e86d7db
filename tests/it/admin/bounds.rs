//! Too much of anything: requests, wrong tokens, octets, connections, names.

use std::io::{Read, Write};

use crate::admin::from_another_address;
use crate::support::api::{self, ADMIN, OPERATOR, UNKNOWN, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};

const SESSIONS: &str = "/api/v1/sessions";
const KICK: &str = "/api/v1/sessions/kick";

/// The seconds to wait.
#[track_caller]
fn retry_after(answer: &api::Answer) -> u64 {
    answer.problem(429);
    answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds")
}

#[test]
fn a_token_may_ask_so_often() {
    let dovecot = Dovecot::start();
    let one = ("admin.requests_per_second", "1");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[one], &[]);
    let refused = (0..1_000)
        .map(|_| proxy.api("GET", SESSIONS, VIEWER, ""))
        .find(|answer| answer.status != 200)
        .expect("not without end");
    assert!((1..=2).contains(&retry_after(&refused)));
    assert_eq!(proxy.api("GET", SESSIONS, OPERATOR, "").status, 200, "another token has its own rate");
}

#[test]
fn wrong_tokens_are_refused_shortly_and_right_ones_never() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let wrong = || proxy.api("GET", SESSIONS, UNKNOWN, "");
    for _ in 0..10 {
        wrong().problem(401);
    }
    let refused = (0..1_000).map(|_| wrong()).find(|answer| answer.status != 401).expect("not without end");
    assert!((1..=7).contains(&retry_after(&refused)));
    assert_eq!(proxy.api("GET", SESSIONS, VIEWER, "").status, 200);
    let elsewhere = from_another_address(&proxy, 1);
    api::exchange(elsewhere, &api::request("GET", SESSIONS, UNKNOWN, "")).problem(401);
    // Without any token there is nothing to guess.
    for _ in 0..20 {
        proxy.api("GET", SESSIONS, "", "").problem(401);
    }
    let log = proxy.log_with("an API token was refused", 10);
    assert!(!log.contains(UNKNOWN), "no token is logged, not even a wrong one");
    assert!(log.contains("\"reason\":\"unknown\""), "{log}");
}

#[test]
fn bodies_are_so_long_and_no_longer() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let body = |length: usize| {
        let around = r#"{"whom":{"user":""},"reason":"x","dry_run":true}"#.len();
        format!(r#"{{"whom":{{"user":"{}"}},"reason":"x","dry_run":true}}"#, "x".repeat(length - around))
    };
    assert_eq!(proxy.api("POST", KICK, OPERATOR, &body(64 * 1024)).status, 200);
    proxy.api("POST", KICK, OPERATOR, &body(64 * 1024 + 1)).problem(413);
    // Nobody is let in to be measured.
    proxy.api("POST", KICK, "", &body(64 * 1024 + 1)).problem(401);
    let chunk = format!("{:x}\r\n{}\r\n", 1024, "x".repeat(1024));
    let chunks = format!(
        "POST {KICK} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(65)
    );
    api::exchange(proxy.http(), &chunks).problem(413);
}

#[test]
fn only_names_of_this_machine_are_answered() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let asked = |path: &str, host: &str| {
        let request = api::request("GET", path, ADMIN, "").replace("Host: localhost\r\n", host);
        api::exchange(proxy.http(), &request)
    };
    for path in [SESSIONS, "/metrics"] {
        for host in ["localhost:80", "127.0.0.1", "[::1]:9110", "LocalHost"] {
            assert_eq!(asked(path, &format!("Host: {host}\r\n")).status, 200, "{host}");
        }
        for host in ["evil.example", "evil.example:9110", "localhost.evil.example", "192.0.2.7", "a b"] {
            let detail = asked(path, &format!("Host: {host}\r\n")).problem(421);
            assert!(detail.contains("localhost"), "{detail}");
        }
        asked(path, "").problem(400);
    }
}

#[test]
fn what_is_no_http_1_1_is_not_served() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let long = format!("GET /live HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(32 * 1024));
    let many = format!("GET /live HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(200));
    for octets in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "USER anna\r\n\r\n", &long, &many] {
        let mut http = proxy.http();
        let mut answer = Vec::new();
        let _ = http.write_all(octets.as_bytes());
        let _ = http.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.contains("alive"), "{octets:.20}: {answer}");
    }
    assert_eq!(proxy.get("/live").0, 200);
}

/// Whoever holds all connections without asking anything holds them only for so long.
#[test]
fn connections_that_ask_nothing_make_way() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let mut held: Vec<_> = (0..64).map(|_| proxy.http()).collect();
    for http in &mut held {
        http.write_all(b"GET /live HTTP/1.1\r\nHost: loc").expect("half a head");
    }
    assert_eq!(proxy.get("/live"), (200, "alive\n".to_owned()));
    for mut http in held {
        let mut answer = Vec::new();
        let _ = http.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }
}
