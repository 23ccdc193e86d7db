//! Tokens from their making to their end, by the command and by hand, while lastpop runs.

use std::path::Path;
use std::process::Output;

use crate::support::api::{ADMIN, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream, lastpop};

const SESSIONS: &str = "/api/v1/sessions";

/// Runs `lastpop token` with these arguments.
fn token(arguments: &[&str]) -> Output {
    lastpop().arg("token").args(arguments).output().expect("start lastpop")
}

/// What a command that went well printed.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8").trim_end().to_owned()
}

#[test]
fn a_token_works_at_once_and_is_dead_at_once() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let config = proxy.file().display().to_string();
    let create = ["create", "--config", &config, "--name", "grafana", "--role", "viewer", "--expires", "90d"];
    let output = token(&create);
    let new = printed(&output);
    assert_eq!((new.len(), new.starts_with("lp_")), (46, true), "{new}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("with the role viewer") && said.contains("keep it secret"), "{said}");
    assert_eq!(proxy.api("GET", SESSIONS, &new, "").status, 200);
    proxy.api("POST", "/api/v1/drain", &new, "{}").problem(403);
    let listed = printed(&token(&["list", "--config", &config]));
    let row = listed.lines().find(|line| line.starts_with("grafana\tviewer\t20")).expect(&listed);
    assert!(row.ends_with("Z\tfalse"), "{row}");
    let expired = listed.lines().find(|line| line.starts_with("expired\tadmin\t")).expect(&listed);
    assert!(expired.ends_with("\t2026-01-01T00:00:00Z\ttrue") && !listed.contains(&new), "{listed}");
    let file = std::fs::read_to_string(proxy.token_file()).expect("the token file");
    assert!(file.starts_with("# for tests\n") && !file.contains(&new[3..]));

    let file = proxy.token_file().display().to_string();
    printed(&token(&["revoke", "grafana", "--file", &file]));
    let detail = proxy.api("GET", SESSIONS, &new, "").problem(401);
    assert!(detail.contains("may have been revoked"), "{detail}");
    assert_eq!(proxy.api("GET", SESSIONS, VIEWER, "").status, 200);
}

#[test]
fn without_a_token_file_all_else_works() {
    let dovecot = Dovecot::start();
    let user = dovecot.user("user", "secret");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("admin.tokens").display().to_string();
    let changes = [("admin.token_file", &*format!("\"{file}\""))];
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    assert!(proxy.login(&user).command("QUIT").starts_with("+OK"));
    assert_eq!(proxy.get("/metrics").0, 200);
    for _ in 0..3 {
        let detail = proxy.api("GET", SESSIONS, ADMIN, "").problem(401);
        assert!(
            detail.contains("No token exists yet") && detail.contains("lastpop token create"),
            "{detail}"
        );
    }
    let log = proxy.log_with("there is no token file", 1);
    assert_eq!(log.matches("there is no token file, so nobody").count(), 1, "{log}");
    let new = printed(&token(&["create", "--file", &file, "--name", "me", "--role", "admin"]));
    assert_eq!(proxy.api("GET", SESSIONS, &new, "").status, 200);
}

#[test]
fn a_token_file_with_a_mistake_lets_nobody_in_and_the_log_says_where() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let file = proxy.token_file();
    let good = std::fs::read_to_string(&file).expect("the token file");
    let line = good.lines().count() + 1;
    std::fs::write(&file, format!("{good}nonsense\n")).expect("a mistake");
    let detail = proxy.api("GET", SESSIONS, ADMIN, "").problem(503);
    assert!(!detail.contains("nonsense") && !detail.contains(&*file.to_string_lossy()), "{detail}");
    proxy.log_with(&format!("{}:{line}: there are 1 words", file.display()), 1);
    assert_eq!(proxy.get("/metrics").0, 200);
    std::fs::write(&file, good).expect("mended");
    assert_eq!(proxy.api("GET", SESSIONS, ADMIN, "").status, 200);
}

#[test]
fn the_command_says_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let file = path("admin.tokens");
    let create = |name: &str, role: &str, more: &[&str]| {
        token(&[&["create", "--file", &file, "--name", name, "--role", role], more].concat())
    };
    let fails = |output: &Output, code: i32, said: &str| {
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{said:?} in {text}");
        assert!(output.stdout.is_empty());
    };
    fails(&create("anna", "root", &[]), 2, "viewer, operator, admin");
    fails(&create("anna", "viewer", &["--expires", "soon"]), 2, "--expires");
    fails(&create("anna", "viewer", &["--expires", "0s"]), 1, "such as 90d");
    fails(&create("an na", "viewer", &[]), 1, "cannot be a name");
    assert!(!Path::new(&file).exists());
    printed(&create("anna", "viewer", &[]));
    fails(&create("anna", "viewer", &[]), 1, "there is a token named anna already");
    fails(&token(&["revoke", "bob", "--file", &file]), 1, "there is no token named bob");
    fails(&token(&["list", "--config", &path("none.toml")]), 78, "cannot be read");
    let empty = token(&["list", "--file", &path("none")]);
    assert_eq!(printed(&empty), "name\trole\tcreated\texpires\texpired");
    assert!(String::from_utf8_lossy(&empty.stderr).contains("there is no token in"));
    assert_eq!(printed(&token(&["list", "--file", &path("none"), "--format", "json"])), "[]");
}
