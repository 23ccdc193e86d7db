//! Users over the API: whatever a name is made of, and whatever was set or only planned for it.

use crate::admin::commands::{printed, run};
use crate::support::api::{self, ADMIN, OPERATOR, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// One segment of a path, with every octet encoded.
fn segment(name: &str) -> String {
    name.bytes().flat_map(|octet| format!("%{octet:02X}").into_bytes()).map(char::from).collect()
}

#[test]
fn a_user_may_have_any_name() {
    let dovecot = Dovecot::start();
    let changes = [("admin.requests_per_second", "10000")];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    for name in [
        "import",
        "export",
        "mode",
        ".",
        "..",
        "a/b",
        "a%2fb",
        "100%",
        "a b",
        "a?b#c",
        "a+b",
        "a&b=c",
        "a;b",
        "a\\b",
        "a\tb",
        "\"a\"",
        "*",
        "ķ@ž.example",
        "jos\u{FFFD}e9",
    ] {
        let path = format!("/api/v1/users/{}", segment(name));
        proxy.api("GET", &path, VIEWER, "").problem(404);
        let set = proxy.api("PUT", &format!("{path}/mode"), OPERATOR, r#"{"mode":"notice","reason":"x"}"#);
        assert_eq!((set.status, &set.json()["subject"]), (200, &name.into()), "{name}: {set:?}");
        let shown = proxy.api("GET", &path, VIEWER, "");
        assert_eq!((shown.status, &shown.json()["user"]), (200, &name.into()), "{name}: {shown:?}");
        let history = proxy.api("GET", &format!("{path}/history"), VIEWER, "").json();
        assert_eq!(history["entries"][0]["subject"], name);
        let undone = printed(&run(&proxy, OPERATOR, &["user", "undo", name, "--reason", "x"]));
        assert!(undone.contains("inherit"), "{undone}");
        let shown = printed(&run(&proxy, VIEWER, &["user", "show", name, "--format", "json"]));
        let shown: serde_json::Value = serde_json::from_str(&shown).expect(&shown);
        assert_eq!(shown["user"], name);
    }
    for name in ["a\0b", "a\r\nb", " ", &"x".repeat(767)] {
        let path = format!("/api/v1/users/{}", segment(name));
        let detail = proxy.api("GET", &path, VIEWER, "").problem(404);
        assert!(detail.contains("Nobody can log in with such a name"), "{detail}");
        let body = r#"{"mode":"notice","reason":"x"}"#;
        proxy.api("PUT", &format!("{path}/mode"), ADMIN, body).problem(404);
    }
}

#[test]
fn what_is_only_planned_has_no_beginning() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for subject in ["users/anna@example.net", "domains/example.net"] {
        let body = r#"{"mode":"imap-only","from":"2100-01-01T00:00:00Z","reason":"announced"}"#;
        let set = proxy.api("PUT", &format!("/api/v1/{subject}/mode"), ADMIN, body).json();
        for setting in
            [&set["after"], &proxy.api("GET", &format!("/api/v1/{subject}"), VIEWER, "").json()["setting"]]
        {
            assert!(setting["since"].is_null() && setting["mode"].is_null(), "{setting}");
            assert_eq!(setting["planned"]["from"], "2100-01-01T00:00:00Z");
        }
    }
    let shown = proxy.api("GET", "/api/v1/users/anna@example.net", VIEWER, "");
    assert!(!shown.body.contains("1970"), "{}", shown.body);
    let explained = shown.json()["explanation"].to_string();
    assert!(explained.contains("says nothing, and imap-only from 2100-01-01 00:00 UTC on"), "{explained}");
}

/// A misspelt name is no error: customers may be set before they come. But it is said.
#[test]
fn who_has_never_logged_in_is_told_of() {
    let dovecot = Dovecot::start();
    let anna = dovecot.user("anna@example.net", "secret");
    let changes = [("admin.requests_per_second", "10000")];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let never = |name: &str, dry_run: bool| {
        let path = format!("/api/v1/users/{}/mode", segment(name));
        let body = format!(r#"{{"mode":"notice","reason":"x","dry_run":{dry_run}}}"#);
        let set = proxy.api("PUT", &path, OPERATOR, &body).json();
        let warnings = set["warnings"].as_array().expect("warnings").iter();
        warnings
            .filter(|said| said.as_str().is_some_and(|said| said.starts_with("Nobody of that name")))
            .count()
    };
    assert_eq!((never("ana@example.net", true), never("ana@example.net", false)), (1, 1));
    // Being set is no login.
    assert_eq!(never("ana@example.net", false), 1);
    assert_eq!(never("anna@example.net", true), 1);
    let mut session = proxy.login(&anna);
    assert_eq!(never("anna@example.net", true), 0);
    assert!(session.command("QUIT").starts_with("+OK"));
    drop(session);
    wait::until("the login is written down", || (never("anna@example.net", true) == 0).then_some(()));

    let list = "user,mode\nanna@example.net,pop3\nana@example.net,pop3\nnew@example.net,pop3\n";
    let request = api::request("POST", "/api/v1/import?reason=x&dry_run=true", ADMIN, list);
    wait::until("two are new", || {
        (api::exchange(proxy.http(), &request).json()["never_seen"] == 2).then_some(())
    });
    let undone =
        proxy.api("POST", "/api/v1/users/ana%40example.net/undo", OPERATOR, r#"{"reason":"x"}"#).json();
    assert!(!undone["warnings"].to_string().contains("Nobody"), "{undone}");
}
