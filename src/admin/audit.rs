//! The audit trail: who changed what, when and why.

use std::time::Duration;

use axum::extract::State;
use tokio::time::timeout;

use super::auth::Caller;
use super::extract::{Json, Query};
use super::problem::Problem;
use super::{Shared, store_problem};
use crate::api::{AuditEntry, AuditList, AuditQuery, Reason};
use crate::policy::instant;
use crate::store::{AuditRow, Note, StoreError, Trail};

/// How long a line may hold up the answer to what was done anyway: half of what a request has.
const WRITING: Duration = Duration::from_secs(5);

/// Lists what was done, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, description = "A page of the audit trail.", body = AuditList))
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let trail = Trail { kind: None, subject: query.subject.clone(), batch: query.batch.clone() };
    page(&shared, &trail, &query).await
}

/// What was done by a request that sets nothing.
#[derive(Debug)]
pub(super) struct Act<'a> {
    /// What.
    pub(super) action: &'static str,
    /// To whom; `None`: to this proxy, which is called as its host.
    pub(super) user: Option<&'a str>,
    /// What there is to say besides.
    pub(super) detail: String,
}

/// Writes what was done into the trail. It is done whether or not that can be written: sessions have to end, and
/// proxies to be drained, also when the state is away, and the log has who did it and why.
pub(super) async fn note(shared: &Shared, caller: &Caller, reason: &Reason, act: Act<'_>) {
    let Act { action, user, detail } = act;
    let host = if user.is_none() { host().await } else { String::new() };
    let note = Note {
        action,
        kind: if user.is_some() { "user" } else { "proxy" },
        subject: user.unwrap_or(&host),
        detail: &detail,
        actor: &caller.name,
        reason: reason.as_str(),
        now: Shared::now(),
    };
    let written = timeout(WRITING, shared.cx.store.note(&note)).await;
    if let Err(error) = written.unwrap_or(Err(StoreError::Slow)) {
        tracing::warn!(%error, action, subject = note.subject, "the audit trail does not have what was done");
    }
}

/// What this host is called.
async fn host() -> String {
    let name = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this proxy".to_owned() } else { name.to_owned() }
}

/// A page of some trail.
pub(super) async fn page(
    shared: &Shared,
    trail: &Trail,
    query: &AuditQuery,
) -> Result<Json<AuditList>, Problem> {
    let limit = query.limit.get();
    let found = shared.cx.store.audit(trail, query.after.as_deref(), limit + 1).await;
    let mut rows = found.map_err(store_problem)?;
    let more = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    let next = rows.last().filter(|_| more).map(|row| row.id.clone());
    let entries = rows.into_iter().map(entry).collect::<Result<_, _>>().map_err(store_problem)?;
    Ok(Json(AuditList { entries, next }))
}

fn entry(row: AuditRow) -> Result<AuditEntry, StoreError> {
    let (before, after) = if row.is_change() {
        (Some(row.before()?.to_string()), Some(row.after()?.to_string()))
    } else {
        (None, row.detail.clone())
    };
    Ok(AuditEntry {
        id: row.id,
        at: instant(row.at),
        actor: row.actor,
        action: row.action,
        kind: row.kind,
        subject: row.subject,
        before,
        after,
        reason: row.reason,
        batch: row.batch,
    })
}
