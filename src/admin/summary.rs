//! How far the migration is, today and on the days before.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::extract::{Json, Query};
use super::problem::Problem;
use super::{Shared, store_problem};
use crate::api::{
    ActiveUsers, DAYS_MOST, Daily, DailyList, DailyQuery, DomainCount, EVERYONE, ModeCount, NamedCount,
    Summary,
};
use crate::policy::{Mode, instant};
use crate::store::daily::Day;

/// Says how far the migration is, as it was counted last.
#[utoipa::path(
    get, path = "/api/v1/summary", tag = "summary", operation_id = "summary",
    responses((status = 200, description = "The numbers.", body = Summary))
)]
pub(super) async fn summary(State(shared): State<Shared>) -> Json<Summary> {
    let snapshot = shared.cx.usage.snapshot();
    let counted = &snapshot.summary;
    let named = |(name, users): &(String, u64)| NamedCount { name: name.clone(), users: *users };
    let [day, days_7, days_30, days_90] = counted.active;
    Json(Summary {
        as_of: instant(counted.at),
        users: counted.users,
        modes: Mode::ALL
            .map(|mode| ModeCount { mode, users: counted.modes.get(&mode).copied().unwrap_or_default() })
            .to_vec(),
        active: ActiveUsers { day, days_7, days_30, days_90 },
        domains: counted
            .domains
            .iter()
            .map(|row| DomainCount { domain: row.domain.clone(), users: row.users, active_30: row.active[2] })
            .collect(),
        families: counted.families.iter().map(named).collect(),
        tls: counted.tls.iter().map(named).collect(),
        knocking: counted.refused[2],
        hidden_messages: counted.hidden_messages,
        hidden_octets: counted.hidden_octets,
        nearly_full: counted.nearly_full,
    })
}

/// Lists the days before: the burn-down, longer than metrics are kept.
#[utoipa::path(
    get, path = "/api/v1/daily", tag = "summary", operation_id = "daily", params(DailyQuery),
    responses((status = 200, description = "Days on which something happened.", body = DailyList))
)]
pub(super) async fn daily(
    State(shared): State<Shared>,
    Query(DailyQuery { from, to, domain }): Query<DailyQuery>,
) -> Result<Json<DailyList>, Problem> {
    let today = instant(Shared::now()).to_zoned(TimeZone::UTC).date();
    let last = to.unwrap_or(today);
    let month = last.checked_sub(30.days()).unwrap_or(Date::MIN);
    let (first, last) = (number(from.unwrap_or(month)), number(last));
    if last - first >= i64::from(DAYS_MOST) {
        let detail = format!("That is more than {DAYS_MOST} days: ask for fewer at once.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let domain = domain.filter(|domain| domain != EVERYONE).map(|domain| domain.to_lowercase());
    let days = shared.cx.store.days(domain.as_deref(), first, last).await.map_err(store_problem)?;
    let name = domain.unwrap_or_else(|| EVERYONE.to_owned());
    Ok(Json(DailyList { days: days.into_iter().map(|day| of(&day, &name)).collect() }))
}

/// Days since 1970.
fn number(date: Date) -> i64 {
    let begin = date.to_zoned(TimeZone::UTC).map(|midnight| midnight.timestamp().as_second());
    begin.unwrap_or_default().div_euclid(24 * 60 * 60)
}

fn of(day: &Day, domain: &str) -> Daily {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    Daily {
        day: instant(day.day.saturating_mul(24 * 60 * 60)).to_zoned(TimeZone::UTC).date(),
        domain: domain.to_owned(),
        active_1: count(day.active_1),
        active_7: count(day.active_7),
        active_30: count(day.active_30),
        sessions: count(day.sessions),
        messages: count(day.messages),
        octets: count(day.octets),
        deleted: count(day.deleted),
        refused: count(day.refused),
    }
}
