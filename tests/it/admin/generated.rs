//! The API against what Schemathesis makes of its document: requests that keep to it, and requests that do not. No
//! answer may be an error of the server, or one that the document does not tell; and each operation has to succeed at
//! times, or nothing was tested. What is left out is said in `tests/schemathesis/config.toml`. `IT_CASES` and `IT_SEED` change the defaults.

use std::path::Path;
use std::process::Command;

use crate::support::api::{ADMIN, OPERATOR, VIEWER};
use crate::support::dovecot::{Dovecot, User};
use crate::support::pop3::Pop3;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::setting::setting;

/// Where tests/run.sh installs it.
const PROGRAM: &str = "target/schemathesis/bin/schemathesis";

/// Random requests to each operation, beside those that the document's bounds and examples call for.
const CASES: u32 = 25;

/// The same for tokens that may do less: most of what they ask is refused before it is read.
const CASES_OF_OTHERS: u32 = 3;

const SEED: u32 = 1939;

/// Whom the document has as an example, so that requests are about somebody.
const USER: &str = "jane@example.net";

/// Waves that generated requests find: one that takes a list, and one that runs for months.
const WAVES: [(&str, &str); 2] = [("for-a-list", r#""csv""#), ("for-months", r#"{"domain":"example.net"}"#)];

#[test]
fn nothing_generated_finds_an_answer_that_is_not_documented() {
    holds(&[], &[(OPERATOR, CASES_OF_OTHERS), (VIEWER, CASES_OF_OTHERS)]);
}

#[test]
fn nothing_generated_finds_an_answer_that_is_not_documented_on_postgresql() {
    let postgres = Postgres::shared();
    let url = format!("\"{}\"", postgres.url("generated"));
    holds(&[("state.url", &url)], &[]);
}

/// As an administrator, then with other tokens.
fn holds(changes: &[(&str, &str)], others: &[(&str, u32)]) {
    let (cases, seed) = (setting("IT_CASES", CASES), setting("IT_SEED", SEED));
    println!("IT_CASES={cases} IT_SEED={seed}");
    let dovecot = Dovecot::start();
    let user = dovecot.user(USER, "secret");
    let changes = [&[("admin.requests_per_second", "100000")], changes].concat();
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &changes, &[]);
    imports(&proxy);
    let known = sessions(&proxy, &user);
    waves(&proxy);
    drop(known);
    for (token, cases) in [&[(ADMIN, cases)], others].concat() {
        let sessions = sessions(&proxy, &user);
        schemathesis(&proxy, token, cases, seed);
        drop(sessions);
    }
    assert!(proxy.is_running());
    let text = proxy.get("/metrics").1;
    let of_the_api = |line: &&str| line.starts_with(SUCCESSES) && line.contains(" /api/v1/");
    let successes: Vec<&str> = text.lines().filter(of_the_api).collect();
    println!("{}", successes.join("\n"));
    let never: Vec<&&str> = successes.iter().filter(|line| line.ends_with(" 0")).collect();
    assert_eq!(never, [&format!("{SUCCESSES}POST /api/v1/drain\"}} 0")], "these never succeeded");
    assert!(proxy.metric_with("lastpop_sessions_total", "result=\"kicked\"") > 0, "nobody was sent away");
}

/// Imports that generated requests find, and how they are called at most; the dictionary has the same.
const IMPORTS: usize = 4;
const BATCHES: [&str; 5] = ["000000000001", "000000000002", "000000000003", "000000000004", "000000000005"];

/// How metrics of answers to the API begin that are no errors.
const SUCCESSES: &str = "lastpop_admin_requests_total{code=\"2xx\",route=\"";

/// Imports to undo: the first changes of all, whose numbers are known.
fn imports(proxy: &Proxy) {
    for user in 0..IMPORTS {
        let rows = format!("user,mode\nimported{user}@example.net,notice\n");
        let answer = proxy.api("POST", "/api/v1/import?reason=a+test", ADMIN, &rows);
        let batch = answer.json()["batch"].as_str().map(str::to_owned);
        assert!(batch.is_some_and(|batch| BATCHES.contains(&batch.as_str())), "{answer:?}");
    }
}

fn waves(proxy: &Proxy) {
    for (name, target) in WAVES {
        let steps = r#"[{"at":"2100-01-01T00:00:00Z","mode":"notice"}]"#;
        let body = format!(r#"{{"name":"{name}","target":{target},"steps":{steps},"reason":"a test"}}"#);
        assert_eq!(proxy.api("POST", "/api/v1/waves", ADMIN, &body).status, 201);
    }
    let start = format!("/api/v1/waves/{}/start", WAVES[1].0);
    let answer = proxy.api("POST", &start, ADMIN, r#"{"reason":"a test"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Sessions to look at and to end, whatever was set by what was generated before.
fn sessions(proxy: &Proxy, user: &User) -> Vec<Pop3> {
    let body = r#"{"mode":"pop3","reason":"to log in","confirm_redownload":true}"#;
    let answer = proxy.api("PUT", &format!("/api/v1/users/{USER}/mode"), ADMIN, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    (0..3).map(|_| proxy.login(user)).collect()
}

/// Runs it; panics with what it says when it has found something.
fn schemathesis(proxy: &Proxy, token: &str, cases: u32, seed: u32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(root.join(PROGRAM))
        .arg("--config-file")
        .arg(root.join("tests/schemathesis/config.toml"))
        .arg("run")
        .arg(format!("http://127.0.0.1:{}/api/v1/openapi.json", proxy.endpoints.admin))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", &cases.to_string(), "--seed", &seed.to_string()])
        .args(["--no-color", "--no-shrink"])
        // It is on this machine, whatever proxy others are reached by.
        .envs([("NO_PROXY", "*"), ("no_proxy", "*")])
        .current_dir(directory.path())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {PROGRAM}, which tests/run.sh installs: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
