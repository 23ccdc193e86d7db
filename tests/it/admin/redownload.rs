//! Leaving imap-only where it shows the notice wants to be confirmed, whichever way it is done; until then nothing is
//! changed, and a change of many is taken back as a whole.

use crate::support::api::{ADMIN, Answer};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

const IN: &str = "user,mode\nanna@example.net,imap-only\nbob@example.net,imap-only\n";
const OUT: &str = "user,mode\nanna@example.net,pop3\nbob@example.net,pop3\n";
const LATER: &str = "user,mode,from\nanna@example.net,inherit,2099-01-01T00:00:00Z\n";

fn import(proxy: &Proxy, rows: &str, query: &str) -> Answer {
    proxy.api("POST", &format!("/api/v1/import?reason=a+list{query}"), ADMIN, rows)
}

fn mode(proxy: &Proxy, user: &str) -> String {
    let found = proxy.api("GET", &format!("/api/v1/users/{user}@example.net"), ADMIN, "").json();
    found["effective"]["mode"].as_str().expect("a mode").to_owned()
}

#[test]
fn leaving_the_notice_is_confirmed() {
    let dovecot = Dovecot::start();
    let page = ("policy.url", "\"https://example.net/imap\"");
    let notice = ("policy.response", "\"notice\"");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[notice, page], &[]);
    assert_eq!(import(&proxy, IN, "").json()["changed"], 2);

    for (rows, query, users) in
        [(OUT, "", "2 users have"), (OUT, "&dry_run=true", "2 users have"), (LATER, "", "1 user has")]
    {
        let said = import(&proxy, rows, query).problem(409);
        assert!(said.starts_with(&format!("{users} seen nothing but the notice")), "{said}");
        assert!(said.contains("Send confirm_redownload = true"), "{said}");
    }
    for body in [
        r#"{"mode": "pop3", "reason": "r"}"#,
        r#"{"mode": "pop3", "reason": "r", "from": "2099-01-01T00:00:00Z"}"#,
        r#"{"mode": null, "reason": "r"}"#,
    ] {
        let said = proxy.api("PUT", "/api/v1/users/anna@example.net/mode", ADMIN, body).problem(409);
        assert!(said.starts_with("anna@example.net has seen nothing but the notice"), "{said}");
    }
    assert_eq!((mode(&proxy, "anna"), mode(&proxy, "bob")), ("imap-only".to_owned(), "imap-only".to_owned()));

    let changed = import(&proxy, OUT, "&confirm_redownload=true").json();
    assert_eq!(changed["changed"], 2);
    assert_eq!(mode(&proxy, "bob"), "pop3");
    let labels = "from=\"imap-only\",subject=\"user\",to=\"pop3\"";
    assert_eq!(proxy.metric_with("lastpop_mode_changes_total", labels), 2);

    // Back to where nobody sees anything: that needs no confirmation, and its own way back does.
    let undo = |batch: &str, confirmed: bool| {
        let body = format!(r#"{{"reason": "the wrong list", "confirm_redownload": {confirmed}}}"#);
        proxy.api("POST", &format!("/api/v1/batches/{batch}/undo"), ADMIN, &body)
    };
    let undone = undo(changed["batch"].as_str().expect("a batch"), false).json();
    assert_eq!((undone["restored"].as_u64(), undone["left_alone"].as_u64()), (Some(2), Some(0)));
    assert_eq!(mode(&proxy, "anna"), "imap-only");
    let again = undo(changed["batch"].as_str().expect("a batch"), false).problem(409);
    assert!(again.contains("left to undo"), "{again}");
    undo("nothing", false).problem(409);
}

#[test]
fn so_is_the_way_back_of_a_wave() {
    let dovecot = Dovecot::start();
    let page = ("policy.url", "\"https://example.net/imap\"");
    let notice = ("policy.response", "\"notice\"");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[notice, page], &[]);
    assert_eq!(import(&proxy, &IN.replace("imap-only", "notice"), "").json()["changed"], 2);
    let wave = r#"{"name": "all", "reason": "r", "target": {"domain": "example.net"},
        "steps": [{"at": "2026-01-01T00:00:00Z", "mode": "imap-only"}]}"#;
    assert_eq!(proxy.api("POST", "/api/v1/waves", ADMIN, wave).status, 201);
    let order = |what: &str, confirmed: bool| {
        let body = format!(r#"{{"reason": "r", "confirm_redownload": {confirmed}}}"#);
        proxy.api("POST", &format!("/api/v1/waves/all/{what}"), ADMIN, &body)
    };
    assert_eq!(order("start", false).status, 200);
    wait::until("its step is carried out", || (mode(&proxy, "anna") == "imap-only").then_some(()));
    let said = order("rollback", false).problem(409);
    assert!(said.starts_with("2 users have seen nothing but the notice"), "{said}");
    assert_eq!(mode(&proxy, "bob"), "imap-only");
    assert_eq!(order("rollback", true).json()["state"], "rolled-back");
    assert_eq!(mode(&proxy, "bob"), "notice");
    let labels = "from=\"imap-only\",subject=\"user\",to=\"notice\"";
    assert_eq!(proxy.metric_with("lastpop_mode_changes_total", labels), 2);
}
