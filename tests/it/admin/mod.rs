//! The admin API against the real binary: who is let in here, how it is reached in `listeners`, what it does
//! with too much in `bounds`, with whatever its own document allows in `generated`, changes that meet others in `changes`,
//! what wants to be confirmed in `redownload`, names and plans in `users`, tokens in `tokens`, live sessions in
//! `sessions`, lists that stream in in `uploads`, and commands in `commands`.

mod bounds;
mod changes;
mod commands;
mod generated;
mod listeners;
mod redownload;
mod sessions;
mod tokens;
mod uploads;
mod users;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::api::{self, ADMIN, Answer, EXPIRED, OPERATOR, UNKNOWN, VIEWER};
use crate::support::dovecot::Dovecot;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::wait;

/// A connection to the admin listener from the address 127.9.x.y with this number: wrong tokens are counted by
/// address.
fn from_another_address(proxy: &Proxy, number: u16) -> TcpStream {
    let [high, low] = number.to_be_bytes();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 9, high, low)), 0);
    socket.bind(&address.into()).expect("bind to an address of 127.0.0.0/8");
    let admin = SocketAddr::from(([127, 0, 0, 1], proxy.endpoints.admin));
    socket.connect(&admin.into()).expect("connect to the admin listener");
    let http: TcpStream = socket.into();
    http.set_read_timeout(Some(wait::DEADLINE)).expect("timeout");
    http
}

/// An operation of the API, as its own document has it.
#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    /// A body that no operation can take, where it wants one: so that asking changes nothing.
    body: &'static str,
    role: String,
}

fn operations(proxy: &Proxy) -> Vec<Operation> {
    let document = proxy.api("GET", "/api/v1/openapi.json", VIEWER, "").json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        // What stands for any user, domain or wave.
        let parts = path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().expect("operations") {
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                body: if operation.get("requestBody").is_some() { "{" } else { "" },
                role: operation["security"][0]["token"][0].as_str().expect("a role").to_owned(),
            });
        }
    }
    assert!(operations.len() >= 28, "{operations:?}");
    // No part of the API, and behind the same door.
    let (method, path, role) = ("GET".to_owned(), "/metrics/users".to_owned(), "viewer".to_owned());
    operations.push(Operation { method, path, body: "", role });
    operations
}

/// A route that is not in the document is in nobody's table; so the document is made from the routes, and this
/// table from the document.
#[test]
fn every_route_asks_for_a_token_and_its_role() {
    let dovecot = Dovecot::start();
    let many = ("admin.requests_per_second", "10000");
    let mut proxy = Proxy::start_with(&dovecot, Upstream::Plain, &[many], &[]);
    let mut address = 0;
    let mut ask = |proxy: &Proxy, operation: &Operation, header: &str| -> Answer {
        address += 1;
        let Operation { method, path, body, .. } = operation;
        let request = api::request(method, path, "", body);
        let request = request.replacen("\r\n", &format!("\r\n{header}"), 1);
        api::exchange(from_another_address(proxy, address), &request)
    };
    for operation in operations(&proxy) {
        for (header, invalid) in [
            (String::new(), false),
            ("Authorization: Bearer\r\n".to_owned(), false),
            (format!("Authorization: Basic {ADMIN}\r\n"), false),
            (format!("Authorization: {ADMIN}\r\n"), false),
            (format!("Authorization: Bearer {ADMIN} x\r\n"), false),
            (format!("Authorization: Bearer {ADMIN}\r\nAuthorization: Bearer {ADMIN}\r\n"), false),
            ("Authorization: Bearer lp_\u{e9}\r\n".to_owned(), false),
            (format!("Authorization: Bearer {}\r\n", &ADMIN[..20]), true),
            (format!("Authorization: Bearer {UNKNOWN}\r\n"), true),
            (format!("Authorization: Bearer {EXPIRED}\r\n"), true),
        ] {
            let answer = ask(&proxy, &operation, &header);
            let detail = answer.problem(401);
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.starts_with("Bearer realm=\"lastpop\""), "{challenge}");
            assert_eq!(challenge.contains("invalid_token"), invalid, "{operation:?} {header}: {detail}");
            assert_eq!(header.contains(EXPIRED), detail.contains("has expired"), "{detail}");
        }
        let roles = ["viewer", "operator", "admin"];
        let needed = roles.iter().position(|role| *role == operation.role).expect("a known role");
        for (has, token) in [VIEWER, OPERATOR, ADMIN].into_iter().enumerate() {
            let answer = ask(&proxy, &operation, &format!("Authorization: Bearer {token}\r\n"));
            if has < needed {
                let detail = answer.problem(403);
                assert!(detail.contains(&format!("needs the role {}", operation.role)), "{detail}");
            } else {
                assert!(
                    ![401, 403, 405, 429].contains(&answer.status) && answer.status < 500,
                    "{operation:?} {token}: {answer:?}"
                );
            }
        }
    }
    assert!(proxy.is_running());
    assert_eq!(proxy.metric("lastpop_draining"), 0);
}

#[test]
fn without_a_token_there_are_only_probes_and_metrics() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/users",
        "/metrics/users",
        "/metrics/",
        "//metrics",
        "/Metrics",
    ] {
        for method in ["GET", "POST", "OPTIONS", "HEAD"] {
            let answer = proxy.api(method, path, "", "");
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert!(answer.header("access-control-allow-origin").is_none());
        }
    }
    for path in ["/live", "/ready", "/metrics"] {
        let answer = proxy.api("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").expect("a media type").starts_with("text/plain"));
        assert_eq!(proxy.api("GET", path, UNKNOWN, "").status, 200, "{path}: a token does not matter there");
        proxy.api("POST", path, "", "").problem(405);
    }
}

#[test]
fn what_is_not_there_is_a_problem_as_well() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let said = proxy.api("GET", "/api/v1/nothing", VIEWER, "").problem(404);
    assert!(said.contains("/api/v1/openapi.json"), "{said}");
    let answer = proxy.api("DELETE", "/api/v1/sessions", ADMIN, "");
    answer.problem(405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    proxy.api("GET", "/api/v1/sessions?usr=x", VIEWER, "").problem(400);
    proxy.api("POST", "/api/v1/drain", ADMIN, "{}").problem(422);
    // Even for a list that names nobody.
    for more in ["", "&dry_run=true"] {
        proxy.api("PUT", &format!("/api/v1/waves/none/members?reason=x{more}"), ADMIN, "").problem(404);
    }
    let no_json =
        api::request("POST", "/api/v1/drain", ADMIN, "x=1").replace("application/json", "text/plain");
    api::exchange(proxy.http(), &no_json).problem(415);
    for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(answer.header(name), Some(value));
    }
    let traced =
        api::request("GET", "/api/v1/nothing", VIEWER, "").replacen("\r\n", "\r\nX-Request-Id: t1\r\n", 1);
    assert_eq!(api::exchange(proxy.http(), &traced).json()["instance"], "t1");
}

#[test]
fn the_document_describes_what_is_served() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(&dovecot, Upstream::Plain);
    let document = proxy.api("GET", "/api/v1/openapi.json", VIEWER, "").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let operations = document["paths"].as_object().expect("paths").values();
    for operation in operations.flat_map(|item| item.as_object().expect("operations").values()) {
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{operation}");
        assert!(operation["operationId"].is_string(), "{operation}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for (at, _) in text.match_indices("\"$ref\":\"#") {
        let pointer: String = text[at + 9..].chars().take_while(|c| *c != '"').collect();
        assert!(document.pointer(&pointer).is_some_and(Value::is_object), "{pointer}");
    }
}
