//! The commands on the API, against a lastpop that is running: they find it by its configuration.

use std::path::PathBuf;
use std::process::Output;

use crate::support::api::{ADMIN, OPERATOR, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream, lastpop};

/// Runs a command with a token and the configuration of this lastpop.
pub(super) fn run(proxy: &Proxy, token: &str, arguments: &[&str]) -> Output {
    lastpop()
        .args(arguments)
        .arg("--config")
        .arg(configuration(proxy))
        .env("LASTPOP_TOKEN", token)
        .output()
        .expect("start lastpop")
}

/// The configuration with the port that lastpop got: no other program can have taken it meanwhile.
fn configuration(proxy: &Proxy) -> PathBuf {
    let text = std::fs::read_to_string(proxy.file()).expect("the configuration");
    let mut configuration: toml::Table = toml::from_str(&text).expect("a configuration in TOML");
    let address = configuration["admin"]["address"].as_str().expect("an address").to_owned();
    if let Some(host) = address.strip_suffix(":0") {
        configuration["admin"]["address"] = format!("{host}:{}", proxy.endpoints.admin).into();
    }
    let file = proxy.file().with_file_name("commands.toml");
    std::fs::write(&file, configuration.to_string()).expect("write the configuration");
    file
}

/// What a command that went well printed.
#[track_caller]
pub(super) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn who_kick_drain(proxy: &mut Proxy, dovecot: &Dovecot) {
    let user = dovecot.user("anna", "secret");
    let mut session = proxy.login(&user);
    let who = printed(&run(proxy, VIEWER, &["who"]));
    assert!(who.starts_with("session\tuser\taddress\t") && who.contains("\tanna\t127.0.0.1\t"), "{who}");
    let refused = run(proxy, VIEWER, &["kick", "--user", "anna", "--reason", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("needs the role operator"), "{said}");
    let kicked = printed(&run(proxy, OPERATOR, &["kick", "--network", "127.0.0.1", "--reason", "x"]));
    assert_eq!(kicked, "sessions\tdry_run\n1\tfalse\n");
    let (rest, end) = session.end();
    assert!(rest.is_empty() && end.is_ok());
    drop(session);
    proxy.log_with("ended by an operator", 1);
    let drain = printed(&run(proxy, ADMIN, &["drain", "--reason", "x", "--format", "json"]));
    let drain: serde_json::Value = serde_json::from_str(&drain).expect(&drain);
    assert_eq!(drain["dry_run"], false);
    assert!(drain["until"].is_string(), "{drain}");
    assert_eq!(proxy.exit_code(), Some(0));
}

#[test]
fn over_tcp() {
    let dovecot = Dovecot::start();
    let mut proxy = Proxy::start(&dovecot, Upstream::Plain);
    who_kick_drain(&mut proxy, &dovecot);
}

#[test]
fn over_tls() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("admin.tls", "true")], &[]);
    let authority = dovecot.certificates.authority.display().to_string();
    let who = printed(&run(&proxy, VIEWER, &["who", "--ca-file", &authority]));
    assert!(who.starts_with("session\tuser\t"), "{who}");
    let untrusted = run(&proxy, VIEWER, &["who"]);
    assert_eq!(untrusted.status.code(), Some(69), "{untrusted:?}");
}

#[test]
fn over_a_unix_socket() {
    let dovecot = Dovecot::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = format!("\"unix:{}\"", directory.path().join("admin.sock").display());
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[("admin.address", &address)], &[]);
    who_kick_drain(&mut proxy, &dovecot);
}
