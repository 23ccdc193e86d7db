//! Changes that meet others: what is said, and what is done.

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::api::{ADMIN, Answer};
use crate::support::dovecot::Dovecot;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// A transaction that has done something already, and that nobody has ended yet.
async fn open(url: &str, statement: &'static str) -> sqlx::Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute("BEGIN").await?;
    connection.execute(statement).await?;
    Ok(connection)
}

#[test]
fn who_does_not_get_a_turn_is_told_when_to_come_again() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let url = server.url("admin_turns");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("state.url", &format!("\"{url}\""))], &[]);
    let set = || {
        let body = r#"{"mode": "notice", "reason": "r"}"#;
        proxy.api("PUT", "/api/v1/users/anna@example.net/mode", ADMIN, body)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // As a change of many users does.
    let raise = "UPDATE counters SET value = value + 1 WHERE name = 'generation'";
    let many = runtime.block_on(open(&url, raise)).expect("a change of many users");
    let refused = set();
    let said = refused.problem(503);
    assert!(said.contains("Nothing was changed; try again in a minute."), "{said}");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(proxy.metric("lastpop_store_up"), 1);
    runtime.block_on(many.close()).expect("given up");
    assert_eq!(set().json()["after"]["mode"], "notice");
}

/// Behind the commit nothing that fails is told as if nothing had been changed.
#[test]
fn what_is_done_is_not_told_as_not_done() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let url = server.url("admin_done");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("state.url", &format!("\"{url}\""))], &[]);
    let set = |subject: &str, mode: &str| {
        let body = format!(r#"{{"mode": "{mode}", "reason": "r"}}"#);
        proxy.api("PUT", &format!("/api/v1/{subject}/mode"), ADMIN, &body)
    };
    let without = |table: &str, change: &dyn Fn() -> Answer| {
        server.psql("admin_done", &format!("ALTER TABLE {table} RENAME TO away"));
        let answer = change();
        server.psql("admin_done", &format!("ALTER TABLE away RENAME TO {table}"));
        answer
    };
    // Whom it concerns cannot be counted any more.
    let changed = without("users", &|| set("domains/example.net", "notice")).json();
    assert_eq!((&changed["after"]["mode"], &changed["followers"]), (&"notice".into(), &Value::Null));
    // Neither can what else has changed be read.
    let import = || {
        let rows = "user,mode\nanna@example.net,imap-only\n";
        proxy.api("POST", "/api/v1/import?reason=a+list", ADMIN, rows)
    };
    assert_eq!(without("domains", &import).json()["changed"], 1);
    wait::until("it is in force", || {
        let user = proxy.api("GET", "/api/v1/users/anna@example.net", ADMIN, "").json();
        (user["effective"]["mode"] == "imap-only").then_some(())
    });
    // The connection is lost while the database commits, and nobody knows in which moment.
    server.psql(
        "admin_done",
        "CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER lost AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION lost();",
    );
    let said = set("users/bob@example.net", "notice").problem(503);
    assert!(said.contains("may or may not have been made. Look at the history"), "{said}");
}

/// Support plans something in the very moment in which somebody else switches the user.
#[test]
fn what_somebody_else_has_set_meanwhile_holds() {
    let (dovecot, server) = (Dovecot::start(), Postgres::shared());
    let url = server.url("admin_meanwhile");
    let state = format!("\"{url}\"");
    let notice = [("policy.response", "\"notice\""), ("policy.url", "\"https://example.net/switch\"")];
    let changes = [&[("state.url", state.as_str())][..], &notice].concat();
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    let set = |body: &str| proxy.api("PUT", "/api/v1/users/anna@example.net/mode", ADMIN, body);
    assert_eq!(set(r#"{"mode": "pop3", "reason": "r"}"#).json()["after"]["mode"], "pop3");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // As another proxy does; the request waits until it is done.
    let meanwhile = |request: &(dyn Fn() -> Answer + Sync)| {
        let switch = "WITH raised AS (UPDATE counters SET value = value + 1 WHERE name = 'generation')
            UPDATE users SET mode = 'imap-only', planned_mode = NULL, planned_from = NULL";
        let mut other = runtime.block_on(open(&url, switch)).expect("another change");
        std::thread::scope(|scope| {
            let answer = scope.spawn(request);
            wait::until("the request waits", || {
                let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = 'admin_meanwhile' AND wait_event_type = 'Lock'";
                (server.psql("admin_meanwhile", waiting) == "1").then_some(())
            });
            runtime.block_on(other.execute("COMMIT")).expect("committed");
            answer.join().expect("no panic")
        })
    };
    let plan = r#"{"mode": "imap-only", "from": "2099-01-01T00:00:00Z", "reason": "r"}"#;
    let planned = meanwhile(&|| set(plan)).json();
    assert_eq!(
        (&planned["before"]["mode"], &planned["after"]["mode"]),
        (&"imap-only".into(), &"imap-only".into())
    );
    // Who sees nothing but the notice now would download all mail again.
    set(r#"{"mode": "pop3", "reason": "r", "confirm_redownload": true}"#).json();
    let said = meanwhile(&|| set(r#"{"mode": "notice", "reason": "r"}"#)).problem(409);
    assert!(said.starts_with("anna@example.net has seen nothing but the notice"), "{said}");
}
