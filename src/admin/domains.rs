//! Domains, and everyone (`*`): which mode their users have unless they have one of their own.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;

use super::auth::Caller;
use super::change::{planned, undone};
use super::extract::{Json, Path, Query};
use super::problem::Problem;
use super::view::{View, setting};
use super::{Shared, store_problem};
use crate::api::{Change, DomainList, DomainPath, DomainQuery, DomainRow, EVERYONE, Order, SetMode};
use crate::store::{DomainCount, Subject};

/// Who was here within so many seconds is active.
const ACTIVE: i64 = 30 * 24 * 60 * 60;

/// Longest name of a domain, in octets (RFC 1035 §2.3.4).
const MAX_DOMAIN: usize = 253;

/// Lists everyone, then the domains that have users, a setting, or a section in the configuration.
#[utoipa::path(
    get, path = "/api/v1/domains", tag = "domains", operation_id = "list_domains", params(DomainQuery),
    responses((status = 200, description = "A page of domains.", body = DomainList))
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<DomainQuery>,
) -> Result<Json<DomainList>, Problem> {
    let limit = usize::from(query.limit.get());
    let view = View::new(&shared);
    let (mut after, mut rows) = (query.after, Vec::new());
    if after.is_none() {
        rows.push(row(&view, EVERYONE, &everyone(&shared, &view).await?));
        after = Some(EVERYONE.to_owned());
    }
    // `*` is before every domain here, whatever the database thinks of it.
    let behind = after.as_deref().filter(|after| *after != EVERYONE);
    let since = view.now - ACTIVE;
    let most = query.limit.get() + 1;
    let counted = shared.cx.store.domain_counts(behind, most, since).await.map_err(store_problem)?;
    let set = view.domains().chain(view.settings().domains.iter().map(|(name, _)| name));
    let mut names: BTreeSet<&str> = counted.iter().map(|count| count.domain.as_str()).collect();
    names.extend(set.filter(|name| *name != EVERYONE && behind.is_none_or(|behind| *name > behind)));
    let none = DomainCount { domain: String::new(), users: 0, active: 0 };
    let more = names.len() + rows.len() > limit;
    for name in names.into_iter().take(limit - rows.len()) {
        let count = counted.iter().find(|count| count.domain == name).unwrap_or(&none);
        rows.push(row(&view, name, count));
    }
    let next = rows.last().filter(|_| more).map(|row| row.domain.clone());
    Ok(Json(DomainList { domains: rows, next }))
}

/// Shows one domain, or everyone (`*`).
#[utoipa::path(
    get, path = "/api/v1/domains/{domain}", tag = "domains", operation_id = "show_domain",
    params(DomainPath),
    responses(
        (status = 200, description = "The domain.", body = DomainRow),
        (status = 404, description = "That cannot be a domain.", body = crate::api::Problem)
    )
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(DomainPath { domain: name }): Path<DomainPath>,
) -> Result<Json<DomainRow>, Problem> {
    let subject = subject(&name)?;
    let view = View::new(&shared);
    let count = match &subject {
        Subject::Domain(domain) => {
            let users = shared.cx.store.domain_count(domain, view.now - ACTIVE).await;
            users.map_err(store_problem)?
        }
        Subject::Everyone | Subject::User(_) => everyone(&shared, &view).await?,
    };
    Ok(Json(row(&view, subject.name(), &count)))
}

/// Sets the mode of a domain, or of everyone (`*`), now or from a date on.
#[utoipa::path(
    put, path = "/api/v1/domains/{domain}/mode", tag = "domains", operation_id = "set_domain_mode",
    params(DomainPath),
    request_body = SetMode,
    responses(
        (status = 200, description = "What was changed, or would be.", body = Change),
        (status = 404, description = "That cannot be a domain.", body = crate::api::Problem),
        (status = 409, description = "It needs a confirmation, or there are too many domains.", body = crate::api::Problem)
    )
)]
pub(super) async fn set(
    State(shared): State<Shared>,
    caller: Caller,
    Path(DomainPath { domain: name }): Path<DomainPath>,
    Json(order): Json<SetMode>,
) -> Result<Json<Change>, Problem> {
    planned(&shared, &caller, &subject(&name)?, &order).await.map(Json)
}

/// Takes back the newest change of a domain's mode that was not taken back yet.
#[utoipa::path(
    post, path = "/api/v1/domains/{domain}/undo", tag = "domains", operation_id = "undo_domain",
    params(DomainPath), request_body = Order,
    responses(
        (status = 200, description = "What was changed, or would be.", body = Change),
        (status = 404, description = "That cannot be a domain.", body = crate::api::Problem),
        (status = 409, description = "There is nothing to undo, or it needs a confirmation.",
            body = crate::api::Problem)
    )
)]
pub(super) async fn undo(
    State(shared): State<Shared>,
    caller: Caller,
    Path(DomainPath { domain: name }): Path<DomainPath>,
    Json(order): Json<Order>,
) -> Result<Json<Change>, Problem> {
    undone(&shared, &caller, &subject(&name)?, &order).await.map(Json)
}

/// All users together.
async fn everyone(shared: &Shared, view: &View) -> Result<DomainCount, Problem> {
    shared.cx.store.count_users(view.now - ACTIVE).await.map_err(store_problem)
}

fn row(view: &View, domain: &str, count: &DomainCount) -> DomainRow {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let rules = if domain == EVERYONE { view.rules("", None) } else { view.rules(domain, None) };
    DomainRow {
        domain: domain.to_owned(),
        setting: setting(view.domain(domain).unwrap_or_default()),
        configured: view.configured(domain),
        effective: view.effective(&rules),
        users: number(count.users),
        active_30: number(count.active),
    }
}

fn subject(name: &str) -> Result<Subject, Problem> {
    if name == EVERYONE {
        return Ok(Subject::Everyone);
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !name.is_empty() && name.len() <= MAX_DOMAIN && name.chars().all(fits) {
        return Ok(Subject::Domain(name.to_lowercase()));
    }
    let detail = "That cannot be a domain: write what stands behind the @ of its users, or * for everyone.";
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}
