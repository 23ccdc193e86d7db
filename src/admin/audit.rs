//! The audit trail: who changed what, when and why.

use axum::extract::State;

use super::extract::{Json, Query};
use super::problem::Problem;
use super::{Shared, store_problem};
use crate::api::{AuditEntry, AuditList, AuditQuery};
use crate::policy::instant;
use crate::store::{AuditRow, StoreError, Trail};

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
        batch: Some(row.batch),
    })
}
