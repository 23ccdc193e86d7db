//! Lists that stream in: one that breaks off is as if it had never begun, and those that stand still take no connection
//! from anybody else.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::support::api::{self, ADMIN, Answer, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// Lists that are read at once.
const AT_ONCE: usize = 8;

fn made(proxy: &Proxy, wave: &str) {
    let body = format!(
        r#"{{"name":"{wave}","target":"csv","steps":[{{"at":"2099-12-01T00:00:00Z","mode":"notice"}}],"reason":"r"}}"#
    );
    assert_eq!(proxy.api("POST", "/api/v1/waves", ADMIN, &body).status, 201);
}

fn list(method: &str, path: &str, body: &str) -> String {
    api::request(method, path, ADMIN, body).replace("application/json", "text/csv")
}

/// The head of a request, and the beginning of its body, behind which nothing comes.
fn begun(proxy: &Proxy, method: &str, path: &str, lines: &str) -> TcpStream {
    let request = list(method, path, lines);
    let length = format!("Content-Length: {}", lines.len());
    let more = format!("Content-Length: {}", lines.len() + 1_000);
    let mut http = proxy.http();
    http.write_all(request.replace(&length, &more).as_bytes()).expect("a reader");
    http
}

fn members(proxy: &Proxy, wave: &str) -> Value {
    proxy.api("GET", &format!("/api/v1/waves/{wave}"), VIEWER, "").json()["members"].take()
}

fn acts(proxy: &Proxy, wave: &str) -> Vec<Value> {
    let mut trail = proxy.api("GET", &format!("/api/v1/audit?subject={wave}"), VIEWER, "").json();
    let entries = trail["entries"].as_array_mut().expect("entries");
    entries.iter_mut().map(|entry| entry["action"].take()).collect()
}

#[test]
fn a_list_that_breaks_off_is_as_if_it_had_never_begun() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    made(&proxy, "list");
    let lines = (0..5_000).fold("user\n".to_owned(), |lines, number| lines + &format!("user{number}@x\n"));
    let path = "/api/v1/waves/list/members?reason=r";
    let http = begun(&proxy, "PUT", path, &lines);
    http.shutdown(Shutdown::Both).expect("broken off");
    proxy.log_with("a list broke off", 1);
    assert_eq!((members(&proxy, "list"), acts(&proxy, "list")), (0.into(), vec!["create".into()]));

    let put = |body: &str| api::exchange(proxy.http(), &list("PUT", path, body));
    let report = put(&lines).json();
    assert_eq!((&report["changed"], &report["unchanged"]), (&5_000.into(), &0.into()), "{report}");
    let again = put("user\nuser1@x\nuser1@x\nnew@x\n").json();
    assert_eq!((&again["changed"], &again["unchanged"]), (&1.into(), &2.into()), "{again}");
    assert_eq!(members(&proxy, "list"), 5_001);
    assert_eq!(acts(&proxy, "list"), ["members", "members", "create"]);
}

#[test]
fn members_are_a_column_user_or_objects_with_one() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    made(&proxy, "forms");
    let put = |format: &str, body: &str| -> Answer {
        let path = format!("/api/v1/waves/forms/members?reason=r{format}");
        api::exchange(proxy.http(), &list("PUT", &path, body))
    };
    let json = "{\"user\":\"anna@x\",\"sessions\":7}\n{\"user\":\"bob@x\"}\n";
    for body in ["username\nanna@x\n", "anna@x\nbob@x\n", json] {
        let report = put("", body).json();
        assert_eq!((&report["changed"], &report["bad_lines"]), (&0.into(), &1.into()), "{report}");
        let problem = report["bad"][0]["problem"].as_str().expect("a sentence");
        assert!(problem.contains("The first line names no column user, so nothing was read"), "{problem}");
    }
    assert_eq!(put("&format=ndjson", json).json()["changed"], 2);
    assert_eq!(put("", "name,USER\nAnna,anna@x\nCarl,carl@x\n").json()["changed"], 1);
    assert_eq!(members(&proxy, "forms"), 3);
}

/// The log has one line of an import, however many domains and modes it is about.
#[test]
fn an_import_is_one_line_in_the_log() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let lines = (0..300).fold("user,mode\n".to_owned(), |lines, number| {
        lines + &format!("a@domain{number}.example,{}\n", ["pop3", "notice"][number % 2])
    });
    let request = list("POST", "/api/v1/import?reason=r", &lines);
    let report = api::exchange(proxy.http(), &request).json();
    let log = proxy.log_with("users were imported", 1);
    let told: Vec<&str> = log.lines().filter(|line| line.contains("users were imported")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("\"changed\":300"), "{log}");
    assert!(told[0].contains(&format!("\"batch\":{}", report["batch"])), "{log}");
}

#[test]
fn lists_that_stand_still_leave_room_for_others() {
    let dovecot = Dovecot::start();
    let many = ("admin.requests_per_second", "10000");
    let proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[many], &[]);
    made(&proxy, "still");
    let upload = |_| begun(&proxy, "PUT", "/api/v1/waves/still/members?reason=r", "user\nanna@x\n");
    let mut held: Vec<TcpStream> = (0..AT_ONCE).map(upload).collect();
    let one_more = || {
        let lines = "user,mode\nanna@x,notice\n";
        api::exchange(proxy.http(), &list("POST", "/api/v1/import?reason=r", lines))
    };
    let refused = wait::until("all places are taken", || {
        // The one before may have been in the way of one of these.
        held.push(upload(0));
        Some(one_more()).filter(|answer| answer.status != 200)
    });
    let said = refused.problem(503);
    assert!(said.contains("lists are under way already"), "{said}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    // As many as the listener has connections, and whoever is refused makes way.
    let _refused: Vec<TcpStream> = (0..64).map(upload).collect();
    for path in ["/live", "/ready", "/metrics"] {
        assert_eq!(proxy.get(path).0, 200, "{path}");
    }
    assert_eq!(proxy.api("GET", "/api/v1/export", VIEWER, "").status, 200, "whoever reads has other places");
    drop(held);
    wait::until("there is room again", || Some(one_more()).filter(|answer| answer.status == 200));
}
