//! Users over the API: whatever a name is made of, and whatever was set or only planned for it.

use crate::admin::commands::{printed, run};
use crate::support::api::{ADMIN, OPERATOR, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};

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
