//! The API as far as the commands' tests go, in memory: users, domains and waves, and no mail at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path as In, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use jiff::Timestamp;
use lastpop::api::{
    ActiveUsers, AuditEntry, AuditList, AuditQuery, BadLine, BulkFormat, Change, DailyList, DomainList,
    DomainRow, Draining, EVERYONE, Effective, ExportQuery, ImportQuery, ImportReport, ImportRow, Kick,
    Kicked, ModeCount, Order, Planned, Problem, Rule, SessionList, SetMode, Setting, Summary, Unhidden,
    Unhide, Usage, User, UserDetail, UserFilter, UserList, UserQuery, Wave,
};
use lastpop::policy::Mode;

use super::waves;

/// Serves until it is dropped.
pub(super) struct Fake {
    /// Where.
    pub(super) url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    /// On that unix socket, or on a free port.
    pub(super) fn start(socket: Option<&Path>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let url = runtime.block_on(async {
            if let Some(path) = socket {
                let listener = tokio::net::UnixListener::bind(path).expect("a socket");
                tokio::spawn(axum::serve(listener, routes()).into_future());
                return format!("unix:{}", path.display());
            }
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            tokio::spawn(axum::serve(listener, routes()).into_future());
            url
        });
        Self { url, _runtime: runtime }
    }
}

pub(super) type Shared = State<Arc<Mutex<World>>>;
pub(super) type Answer<T> = Result<Json<T>, Refused>;

pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, detail) = self;
        let (kind, title) =
            ("about:blank".to_owned(), status.canonical_reason().unwrap_or_default().to_owned());
        let problem = Problem { kind, title, status: status.as_u16(), detail: Some(detail), instance: None };
        (status, [(header::CONTENT_TYPE, lastpop::api::PROBLEM_TYPE)], Json(problem)).into_response()
    }
}

pub(super) fn unknown(name: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("There is no {name}."))
}

fn routes() -> Router {
    let api = Router::new()
        .route("/users", get(users))
        .route("/users/import", post(import))
        .route("/users/export", get(export))
        .route("/users/{name}", get(user))
        .route("/users/{name}/history", get(history))
        .route("/users/{name}/unhide", post(unhide))
        .route("/domains", get(domains))
        .route("/domains/{name}", get(domain))
        .route("/{kind}/{name}/mode", put(set))
        .route("/{kind}/{name}/undo", post(undo))
        .route("/audit", get(audit))
        .route("/waves", get(waves::waves).post(waves::create))
        .route("/waves/{name}", get(waves::wave).delete(waves::delete))
        .route("/waves/{name}/members", put(waves::members))
        .route("/waves/{name}/preview", get(waves::preview))
        .route("/waves/{name}/{order}", post(waves::order))
        .route("/sessions", get(async || Json(SessionList { sessions: Vec::new(), total: 0, next: None })))
        .route(
            "/sessions/kick",
            post(async |Json(kick): Json<Kick>| Json(Kicked { dry_run: kick.dry_run, sessions: 0 })),
        )
        .route(
            "/drain",
            post(async |Json(order): Json<Order>| {
                Json(Draining { dry_run: order.dry_run, sessions: 0, until: Timestamp::now() })
            }),
        )
        .route("/summary", get(summary))
        .route("/daily", get(async || Json(DailyList { days: Vec::new() })))
        .layer(axum::middleware::from_fn(allowed))
        .with_state(Arc::default());
    Router::new().nest("/api/v1", api)
}

async fn allowed(request: Request, next: Next) -> Result<Response, Refused> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.strip_prefix("Bearer lp_")).and_then(|token| token.chars().next()) {
        Some('a') => Ok(next.run(request).await),
        Some('v') if request.method() == Method::GET => Ok(next.run(request).await),
        Some('v') => Err(Refused(StatusCode::FORBIDDEN, "The token's role is viewer.".to_owned())),
        _ => Err(Refused(StatusCode::UNAUTHORIZED, "This token is not known.".to_owned())),
    }
}

/// Settings by what they are for: `users` or `domains`, and the name.
type Key = (String, String);

#[derive(Default)]
pub(super) struct World {
    settings: BTreeMap<Key, Setting>,
    undo: BTreeMap<Key, Vec<Setting>>,
    unhide: BTreeMap<String, jiff::civil::Date>,
    audit: Vec<AuditEntry>,
    pub(super) waves: BTreeMap<String, (Wave, Vec<String>)>,
}

pub(super) fn world(state: &Shared) -> MutexGuard<'_, World> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(kind: &str, name: &str) -> Key {
    (kind.to_owned(), name.to_owned())
}

impl World {
    fn effective(&self, kind: &str, name: &str) -> Effective {
        let domain = name.rsplit_once('@').map_or(name, |(_, domain)| domain);
        let rules = [
            ("users", name, Rule::User),
            ("domains", domain, Rule::Domain),
            ("domains", EVERYONE, Rule::Everyone),
        ];
        let rules = rules.into_iter().filter(|(of, ..)| kind == "users" || *of == "domains");
        let mut found = rules.filter_map(|(kind, name, rule)| {
            let mode = self.settings.get(&key(kind, name))?.mode?;
            Some(Effective { mode, rule: if name == EVERYONE { Rule::Everyone } else { rule } })
        });
        found.next().unwrap_or(Effective { mode: Mode::Pop3, rule: Rule::Config })
    }

    fn user(&self, name: &str) -> Option<User> {
        let setting = self.settings.get(&key("users", name))?.clone();
        Some(User {
            user: name.to_owned(),
            domain: name.rsplit_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default(),
            setting,
            effective: self.effective("users", name),
            language: None,
            notice_dismissed: None,
            farewell_dismissed: None,
            unhide_since: self.unhide.get(name).copied(),
            usage: Usage::default(),
        })
    }

    fn users(&self, filter: &UserFilter) -> Vec<User> {
        let names = self.settings.keys().filter(|(kind, _)| kind == "users");
        let all = names.filter_map(|(_, name)| self.user(name));
        all.filter(|user| {
            filter.search.as_ref().is_none_or(|part| user.user.contains(part.as_str()))
                && filter.domain.as_ref().is_none_or(|domain| user.domain == *domain)
                && filter.mode.is_none_or(|mode| user.effective.mode == mode)
        })
        .collect()
    }

    fn domain(&self, name: &str) -> DomainRow {
        DomainRow {
            domain: name.to_owned(),
            setting: self.settings.get(&key("domains", name)).cloned().unwrap_or_default(),
            configured: None,
            effective: self.effective("domains", name),
            users: 0,
            active_30: 0,
        }
    }

    /// Puts a setting in place, or only says what that would do.
    fn put(&mut self, kind: &str, name: &str, after: Setting, reason: &str, dry_run: bool) -> Change {
        let key = key(kind, name);
        let old = self.settings.insert(key.clone(), after.clone());
        let before = old.clone().unwrap_or_default();
        let (subject, warnings) = (name.to_owned(), Vec::new());
        let effective = self.effective(kind, name);
        if !dry_run {
            self.undo.entry(key).or_default().push(before.clone());
            let texts = [&before, &after].map(|setting| setting.mode.map(|mode| mode.to_string()));
            let [before, after] = texts;
            self.audit.push(AuditEntry {
                id: format!("{:08}", self.audit.len()),
                at: Timestamp::now(),
                actor: "admin".to_owned(),
                action: "set-mode".to_owned(),
                kind: kind.to_owned(),
                subject: name.to_owned(),
                before,
                after,
                reason: reason.to_owned(),
                batch: None,
            });
        } else if let Some(old) = old {
            self.settings.insert(key, old);
        } else {
            self.settings.remove(&key);
        }
        Change { subject, dry_run, before, after, effective, followers: None, warnings }
    }

    fn trail(&self, subject: Option<&str>) -> AuditList {
        let entries =
            self.audit.iter().rev().filter(|entry| subject.is_none_or(|subject| entry.subject == subject));
        AuditList { entries: entries.cloned().collect(), next: None }
    }
}

async fn users(state: Shared, Query(query): Query<UserQuery>) -> Json<UserList> {
    let (limit, after) = (usize::from(query.limit.get()), query.after.clone());
    let mut users = world(&state).users(&query.filter());
    users.retain(|user| after.as_ref().is_none_or(|after| user.user > *after));
    let next = (users.len() > limit).then(|| users[limit - 1].user.clone());
    users.truncate(limit);
    Json(UserList { users, next })
}

async fn user(state: Shared, In(name): In<String>) -> Answer<UserDetail> {
    let user = world(&state).user(&name).ok_or_else(|| unknown(&name))?;
    let explanation = vec![format!("The mode is {}.", user.effective.mode)];
    Ok(Json(UserDetail { user, explanation }))
}

async fn history(state: Shared, In(name): In<String>) -> Json<AuditList> {
    Json(world(&state).trail(Some(&name)))
}

async fn audit(state: Shared, Query(query): Query<AuditQuery>) -> Json<AuditList> {
    Json(world(&state).trail(query.subject.as_deref()))
}

async fn unhide(state: Shared, In(name): In<String>, Json(body): Json<Unhide>) -> Answer<Unhidden> {
    world(&state).unhide.insert(name.clone(), body.since.unwrap_or_default());
    let (dry_run, since) = (body.dry_run, body.since);
    Ok(Json(Unhidden { user: name, dry_run, since, done: false, messages: None, warnings: Vec::new() }))
}

async fn set(
    state: Shared,
    In((kind, name)): In<(String, String)>,
    Json(body): Json<SetMode>,
) -> Answer<Change> {
    let mut world = world(&state);
    let before = world.settings.get(&key(&kind, &name)).cloned().unwrap_or_default();
    let after = match body.from {
        None => Setting { mode: body.mode, since: Some(Timestamp::now()), planned: None },
        Some(from) => Setting { planned: Some(Planned { mode: body.mode, from }), ..before },
    };
    Ok(Json(world.put(&kind, &name, after, body.reason.as_str(), body.dry_run)))
}

async fn undo(
    state: Shared,
    In((kind, name)): In<(String, String)>,
    Json(body): Json<Order>,
) -> Answer<Change> {
    let mut world = world(&state);
    let before = world.undo.get_mut(&key(&kind, &name)).and_then(Vec::pop).ok_or_else(|| unknown(&name))?;
    Ok(Json(world.put(&kind, &name, before, body.reason.as_str(), body.dry_run)))
}

async fn import(state: Shared, Query(query): Query<ImportQuery>, body: Bytes) -> Json<ImportReport> {
    let rows: Vec<Result<ImportRow, String>> = match query.format {
        BulkFormat::Csv => {
            let mut reader = csv::Reader::from_reader(body.as_ref());
            reader.deserialize().map(|row| row.map_err(|error| error.to_string())).collect()
        }
        BulkFormat::Ndjson => {
            let lines = body.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).map_err(|error| error.to_string())).collect()
        }
    };
    let mut world = world(&state);
    let mut report =
        ImportReport { dry_run: query.dry_run, rows: rows.len() as u64, ..ImportReport::default() };
    for (row, line) in rows.into_iter().zip(2..) {
        match row {
            Ok(row)
                if world.settings.get(&key("users", &row.user)).is_some_and(|old| old.mode == row.mode) =>
            {
                report.unchanged += 1;
            }
            Ok(row) => {
                let setting = Setting { mode: row.mode, ..Setting::default() };
                world.put("users", &row.user, setting, query.reason.as_str(), query.dry_run);
                report.changed += 1;
            }
            Err(problem) => {
                report.bad_lines += 1;
                report.bad.push(BadLine { line, problem });
            }
        }
    }
    Json(report)
}

async fn export(state: Shared, Query(query): Query<ExportQuery>) -> String {
    let format = query.format;
    let rows = world(&state).users(&query.filter()).into_iter().map(|user| ImportRow {
        user: user.user,
        mode: user.setting.mode,
        from: None,
        language: None,
    });
    match format {
        BulkFormat::Ndjson => rows.map(|row| serde_json::to_string(&row).expect("JSON") + "\n").collect(),
        BulkFormat::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            rows.for_each(|row| writer.serialize(row).expect("a buffer"));
            String::from_utf8(writer.into_inner().expect("a buffer")).expect("text")
        }
    }
}

async fn domains(state: Shared) -> Json<DomainList> {
    let world = world(&state);
    let names = world.settings.keys().filter(|(kind, _)| kind == "domains");
    Json(DomainList { domains: names.map(|(_, name)| world.domain(name)).collect(), next: None })
}

async fn domain(state: Shared, In(name): In<String>) -> Json<DomainRow> {
    Json(world(&state).domain(&name))
}

async fn summary(state: Shared) -> Json<Summary> {
    let users = world(&state).users(&UserFilter::default());
    let count = |mode| users.iter().filter(|user| user.effective.mode == mode).count() as u64;
    Json(Summary {
        as_of: Timestamp::now(),
        users: users.len() as u64,
        modes: Mode::ALL.map(|mode| ModeCount { mode, users: count(mode) }).to_vec(),
        active: ActiveUsers::default(),
        domains: Vec::new(),
        families: Vec::new(),
        tls: Vec::new(),
        knocking: 0,
        hidden_messages: 0,
        hidden_octets: 0,
        nearly_full: 0,
    })
}
