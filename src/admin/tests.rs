//! Requests in memory: what leaves when a route is slow, panics, or refuses.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::Value;

use super::auth::Caller;
use super::envelope::REQUEST_ID;
use super::extract::{Json, Path, Query};
use super::hosts::Hosts;
use super::problem::Problem;
use super::role::Role;
use super::*;

use crate::api::{DEADLINE, PROBLEM_TYPE};
use crate::config::StateUrl;
use crate::metrics::Metrics;
use crate::store::Store;

async fn context() -> (Arc<Context>, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StateUrl::Sqlite(directory.path().join("state.db")), 0).await.expect("a store");
    let metrics = Metrics::new(&[]).expect("metrics");
    (Arc::new(Context::new(&Config::default(), metrics, store).expect("a context")), directory)
}

async fn ask(router: Router, request: Request<Body>) -> (Response, String) {
    let response = TowerToHyperService::new(router).call(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (Response::from_parts(head, Body::empty()), String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// A problem, whole and in its own media type, with an id that is the header's.
fn problem(response: &Response, body: &str) -> Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_TYPE);
    let problem: Value = serde_json::from_str(body).expect(body);
    assert_eq!(problem["status"], response.status().as_u16());
    assert_eq!(problem["instance"], response.headers()[REQUEST_ID].to_str().expect("text"));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with(['.', ')', '`'])), "{problem}");
    assert_eq!(problem["type"], "about:blank");
    assert!(problem["title"].is_string());
    problem
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    number: u8,
}

#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

/// Routes that go wrong in every way there is.
fn trouble() -> Router<()> {
    Router::new()
        .route("/panic", get(async || -> StatusCode { panic!("as planned") }))
        .route("/teapot", get(|| async { (StatusCode::IM_A_TEAPOT, "short and stout") }))
        .route("/gateway", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/named", get(|| async { Problem::new(StatusCode::CONFLICT, "Two at once.") }))
        .route("/json", post(|Json(Number { number }): Json<Number>| async move { number.to_string() }))
        .route("/text", post(|Json(Text { text }): Json<Text>| async move { text }))
        .route("/query", get(|Query(Number { number }): Query<Number>| async move { number.to_string() }))
        .route("/path/{number}", get(|Path(number): Path<u8>| async move { number.to_string() }))
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let (cx, _directory) = context().await;
    let json = "application/json";
    for (method, path, media_type, body, status, detail) in [
        ("GET", "/panic", json, "", 500, "its log says what"),
        ("GET", "/teapot", json, "", 418, "cannot be carried out"),
        ("GET", "/gateway", json, "", 502, "cannot answer this request"),
        ("GET", "/named", json, "", 409, "Two at once."),
        ("GET", "/nowhere", json, "", 404, "openapi.json"),
        ("DELETE", "/json", json, "", 405, "Allow"),
        ("POST", "/json", "text/plain", "{\"number\":1}", 415, "Content-Type"),
        ("POST", "/json", json, "{\"number\":", 400, "The body is not understood: number: EOF"),
        ("POST", "/json", json, "{\"number\":256}", 422, "The body is not understood: number: invalid value"),
        ("POST", "/json", json, "{\"number\":1,\"more\":1}", 422, "unknown field"),
        ("GET", "/query?number=x", json, "", 400, "The query is not understood: number: invalid digit"),
        ("GET", "/query?nummer=1", json, "", 400, "unknown field"),
        (
            "POST",
            "/text",
            json,
            "{\"text\":\"a\\u0000\"}",
            422,
            "The body is not understood: there is NUL in it",
        ),
        ("GET", "/path/x", json, "", 400, "The path is not understood: Cannot parse `x`"),
    ] {
        let router = around(trouble(), Hosts::Any, Count::new(Arc::clone(&cx), []));
        let request = Request::builder().method(method).uri(path).header(header::HOST, "x");
        let request = request.header(header::CONTENT_TYPE, media_type).body(body.to_owned().into());
        let (response, body) = ask(router, request.expect("a request")).await;
        assert_eq!(response.status(), status, "{method} {path}: {body}");
        let mut problem: Value = serde_json::from_str(&body).expect("JSON");
        let said = problem["detail"].take();
        assert!(said.as_str().expect("text").contains(detail), "{method} {path}: {said}");
        if status == 405 {
            assert_eq!(response.headers()[header::ALLOW], "POST");
        }
    }
    assert_eq!(cx.metrics.process.panics.get(), 1);
}

#[tokio::test]
async fn every_answer_has_an_id_and_headers_for_browsers() {
    let (cx, _directory) = context().await;
    for (given, taken) in
        [("trace-1", true), ("a b", false), ("", false), ("\"x\"", false), (&"x".repeat(65), false)]
    {
        for path in ["/path/1", "/named"] {
            let request = Request::get(path).header(header::HOST, "x").header(REQUEST_ID, given);
            let router = around(trouble(), Hosts::Any, Count::new(Arc::clone(&cx), []));
            let (response, body) = ask(router, request.body(Body::empty()).expect("a request")).await;
            let headers = response.headers();
            assert_eq!(headers[REQUEST_ID] == given, taken, "{given:?}");
            assert!(!headers[REQUEST_ID].is_empty());
            for (name, value) in [
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ] {
                assert_eq!(headers[name], value);
            }
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
            if path == "/named" {
                problem(&response, &body);
            }
        }
    }
}

#[tokio::test]
async fn another_host_is_not_answered() {
    let (cx, _directory) = context().await;
    let local = Hosts::of("127.0.0.1".parse().expect("an address"));
    let asked = async |uri: &str, hosts: &[&str]| {
        let router = around(trouble(), local, Count::new(Arc::clone(&cx), []));
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (response, body) = ask(router, request.body(Body::empty()).expect("a request")).await;
        if response.status() != 200 {
            problem(&response, &body);
        }
        response.status().as_u16()
    };
    assert_eq!(asked("/path/1", &["localhost:1"]).await, 200);
    assert_eq!(asked("http://localhost/path/1", &[]).await, 200);
    assert_eq!(asked("/path/1", &[]).await, 400);
    assert_eq!(asked("/path/1", &["evil.example"]).await, 421);
    assert_eq!(asked("/path/1", &["localhost", "evil.example"]).await, 421);
    assert_eq!(asked("http://evil.example/path/1", &["localhost"]).await, 421);
    assert_eq!(asked("/nowhere", &["evil.example"]).await, 421);
}

#[tokio::test]
async fn a_route_has_its_role_its_time_and_its_size() {
    let (cx, _directory) = context().await;
    let router = |caller: Role| {
        let slow = get(|| async {
            std::future::pending::<()>().await;
            StatusCode::OK.into_response()
        });
        let length = post(|body: String| async move { body.len().to_string() });
        let inner = utoipa_axum::router::OpenApiRouter::new().route("/slow", slow).route("/length", length);
        let (router, _) = routes::behind(Role::Operator, inner, DEADLINE).split_for_parts();
        let router = router.layer(axum::Extension(Caller { name: "anna".to_owned(), role: caller }));
        let shared = Shared {
            cx: Arc::clone(&cx),
            log_dropped: tracing_appender::non_blocking(std::io::sink()).0.error_counter(),
            tokens: Arc::new(TokenFile::open("/nonexistent".into())),
            rates: Arc::new(Rates::new(std::num::NonZeroU32::MIN)),
            series: (UserSeries::Off, 0),
        };
        around(router.with_state(shared), Hosts::Any, Count::new(Arc::clone(&cx), []))
    };
    let request = |method: Method, path: &str, body: Body| {
        Request::builder().method(method).uri(path).header(header::HOST, "x").body(body).expect("a request")
    };
    let text = |length: usize| "x".repeat(length);
    let (response, body) = ask(router(Role::Viewer), request(Method::GET, "/slow", Body::empty())).await;
    assert_eq!(response.status(), 403);
    let detail = problem(&response, &body)["detail"].take();
    assert_eq!(detail, "The token anna has the role viewer; this needs the role operator.");

    let most = 64 * 1024;
    for role in [Role::Operator, Role::Admin] {
        let (response, body) = ask(router(role), request(Method::POST, "/length", text(most).into())).await;
        assert_eq!((response.status().as_u16(), body), (200, most.to_string()));
        // With a length in the head, and without.
        let chunks = futures_util::stream::iter((0..65).map(|_| Ok::<_, std::io::Error>("x".repeat(1024))));
        for body in [Body::from(text(most + 1)), Body::from_stream(chunks)] {
            let (response, body) = ask(router(role), request(Method::POST, "/length", body)).await;
            assert_eq!(response.status(), 413);
            problem(&response, &body);
        }
    }
    tokio::time::pause();
    let (response, body) = ask(router(Role::Admin), request(Method::GET, "/slow", Body::empty())).await;
    assert_eq!(response.status(), 503);
    problem(&response, &body);
}

#[tokio::test]
async fn answers_are_counted_by_routes_that_are_known() {
    let (cx, _directory) = context().await;
    let known = ["GET /path/{number}", "GET /panic"].map(str::to_owned);
    let count = Count::new(Arc::clone(&cx), known);
    for (method, path) in [
        ("GET", "/path/1"),
        ("HEAD", "/path/2"),
        ("GET", "/path/x"),
        ("GET", "/panic"),
        // Not ours: neither names nor methods make series.
        ("GET", "/nowhere"),
        ("DELETE", "/path/1"),
        ("BREW", "/teapot"),
    ] {
        let router = around(trouble(), Hosts::Any, count.clone());
        let request = Request::builder().method(method).uri(path).header(header::HOST, "x");
        ask(router, request.body(Body::empty()).expect("a request")).await;
    }
    let text = String::from_utf8(cx.metrics.encode().expect("metrics")).expect("UTF-8");
    let counted = |line: &&str| line.starts_with("lastpop_admin_requests_total{");
    let counted: Vec<&str> = text.lines().filter(counted).collect();
    let series = |code: &str, route: &str, count: u32| {
        format!(r#"lastpop_admin_requests_total{{code="{code}",route="{route}"}} {count}"#)
    };
    let expected: Vec<String> = [
        ("2xx", "GET /panic", 0),
        ("2xx", "GET /path/{number}", 2),
        ("2xx", "other", 0),
        ("4xx", "GET /panic", 0),
        ("4xx", "GET /path/{number}", 1),
        ("4xx", "other", 3),
        ("5xx", "GET /panic", 1),
        ("5xx", "GET /path/{number}", 0),
        ("5xx", "other", 0),
    ]
    .map(|(code, route, count)| series(code, route, count))
    .to_vec();
    assert_eq!(counted, expected);
}
