//! Users: what is known of them, which mode is in force and why, and changing it.

use axum::extract::State;
use axum::http::StatusCode;

use super::auth::Caller;
use super::change::{planned, undone};
use super::extract::{Json, Path, Query};
use super::problem::Problem;
use super::view::View;
use super::{Shared, store_problem};
use crate::api::{AuditList, AuditQuery, Change, Order, SetMode, UserDetail, UserList, UserPath, UserQuery};
use crate::store::{Subject, Trail};
use crate::users::UserName;

/// Lists users, in the order of their names.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "list_users", params(UserQuery),
    responses((status = 200, description = "A page of users.", body = UserList))
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(query): Query<UserQuery>,
) -> Result<Json<UserList>, Problem> {
    let (limit, after) = (query.limit.get(), query.after.clone().unwrap_or_default());
    let view = View::new(&shared);
    let select = view.select(query.filter());
    let mut rows = shared.cx.store.users(&select, &after, limit + 1).await.map_err(store_problem)?;
    // One more than a page tells whether there is another.
    let more = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    let next = rows.last().filter(|_| more).map(|row| row.username.clone());
    let users =
        rows.into_iter().map(|row| view.user(row)).collect::<Result<_, _>>().map_err(store_problem)?;
    Ok(Json(UserList { users, next }))
}

/// Shows one user, and explains the mode.
#[utoipa::path(
    get, path = "/api/v1/users/{user}", tag = "users", operation_id = "show_user",
    params(UserPath),
    responses(
        (status = 200, description = "The user.", body = UserDetail),
        (status = 404, description = "The user is not known.", body = crate::api::Problem)
    )
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(UserPath { user: name }): Path<UserPath>,
) -> Result<Json<UserDetail>, Problem> {
    let user = named(&shared, &name)?;
    let row = shared.cx.store.user(&user).await.map_err(store_problem)?;
    let Some(row) = row else { return Err(unknown(user.as_str())) };
    let view = View::new(&shared);
    let explanation = view.explain(&row).map_err(store_problem)?;
    Ok(Json(UserDetail { user: view.user(row).map_err(store_problem)?, explanation }))
}

/// Lists what was done to one user, newest first.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/history", tag = "users", operation_id = "user_history",
    params(UserPath, AuditQuery),
    responses(
        (status = 200, description = "A page of the audit trail.", body = AuditList),
        (status = 404, description = "That cannot be a user.", body = crate::api::Problem)
    )
)]
pub(super) async fn history(
    State(shared): State<Shared>,
    Path(UserPath { user: name }): Path<UserPath>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let subject = named(&shared, &name)?.as_str().to_owned();
    let trail = Trail { kind: Some("user"), subject: Some(subject), batch: query.batch.clone() };
    super::audit::page(&shared, &trail, &query).await
}

/// Sets the mode of one user, now or from a date on.
///
/// It takes the place of whatever was set or planned for the user before. A session that is under way goes on to its
/// end.
#[utoipa::path(
    put, path = "/api/v1/users/{user}/mode", tag = "users", operation_id = "set_user_mode",
    params(UserPath), request_body = SetMode,
    responses(
        (status = 200, description = "What was changed, or would be.", body = Change),
        (status = 404, description = "That cannot be a user.", body = crate::api::Problem),
        (status = 409, description = "It needs a confirmation.", body = crate::api::Problem)
    )
)]
pub(super) async fn set(
    State(shared): State<Shared>,
    caller: Caller,
    Path(UserPath { user: name }): Path<UserPath>,
    Json(order): Json<SetMode>,
) -> Result<Json<Change>, Problem> {
    let subject = Subject::User(named(&shared, &name)?);
    planned(&shared, &caller, &subject, &order).await.map(Json)
}

/// Takes back the newest change of one user's mode that was not taken back yet.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/undo", tag = "users", operation_id = "undo_user",
    params(UserPath), request_body = Order,
    responses(
        (status = 200, description = "What was changed, or would be.", body = Change),
        (status = 404, description = "That cannot be a user.", body = crate::api::Problem),
        (status = 409, description = "There is nothing to undo, or it needs a confirmation.",
            body = crate::api::Problem)
    )
)]
pub(super) async fn undo(
    State(shared): State<Shared>,
    caller: Caller,
    Path(UserPath { user: name }): Path<UserPath>,
    Json(order): Json<Order>,
) -> Result<Json<Change>, Problem> {
    let subject = Subject::User(named(&shared, &name)?);
    undone(&shared, &caller, &subject, &order).await.map(Json)
}

/// The user whom a path names.
pub(super) fn named(shared: &Shared, name: &str) -> Result<UserName, Problem> {
    let user = shared.canonical(name);
    if user.can_be_said() {
        return Ok(user);
    }
    let detail = "Nobody can log in with such a name: it is empty, too long, or has line ends or NUL in it.";
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

/// Nobody of that name.
pub(super) fn unknown(user: &str) -> Problem {
    let detail = format!(
        "{} is not known here: nobody of that name has logged in through lastpop, and nothing was set. Is the \
        spelling right, and the domain?",
        user.escape_debug()
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}
