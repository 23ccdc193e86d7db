//! Waves: planned changes for many users, in dated steps.

use axum::extract::State;
use axum::http::StatusCode;

use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::problem::Problem;
use super::redownload::permit_many;
use super::{Shared, store_problem};
use crate::api::{CreateWave, Order, RolledBack, Wave, WaveList, WaveName, WavePath, WavePreview, WaveState};
use crate::store::waves;

/// Lists all waves, the newest first.
#[utoipa::path(
    get, path = "/api/v1/waves", tag = "waves", operation_id = "list_waves",
    responses((status = 200, description = "All of them.", body = WaveList))
)]
pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<WaveList>, Problem> {
    Ok(Json(WaveList { waves: shared.cx.store.waves().await.map_err(store_problem)? }))
}

/// Shows one wave.
#[utoipa::path(
    get, path = "/api/v1/waves/{wave}", tag = "waves", operation_id = "show_wave",
    params(WavePath),
    responses(
        (status = 200, description = "The wave.", body = Wave),
        (status = 404, description = "There is no such wave.", body = crate::api::Problem)
    )
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(WavePath { wave: name }): Path<WavePath>,
) -> Result<Json<Wave>, Problem> {
    shared.cx.store.wave(&name).await.map(Json).map_err(store_problem)
}

/// Makes a wave, which does nothing before it is started.
///
/// The same once more is the same wave.
#[utoipa::path(
    post, path = "/api/v1/waves", tag = "waves", operation_id = "create_wave", request_body = CreateWave,
    responses(
        (status = 200, description = "The wave as it would be: nothing was made, as was asked.", body = Wave),
        (status = 201, description = "The wave.", body = Wave),
        (status = 409, description = "There is another wave of that name, or too many.", body = crate::api::Problem),
        (status = 422, description = "Its query names no condition.", body = crate::api::Problem)
    )
)]
pub(super) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<CreateWave>,
) -> Result<(StatusCode, Json<Wave>), Problem> {
    let wave = shared.cx.store.create_wave(&new, &caller.name, Shared::now()).await.map_err(store_problem)?;
    if new.dry_run {
        return Ok((StatusCode::OK, Json(wave)));
    }
    tracing::info!(actor = caller.name, wave = %new.name, reason = new.reason.as_str(), "a wave was made");
    Ok((StatusCode::CREATED, Json(wave)))
}

/// Says what a wave would do if it were started now.
#[utoipa::path(
    get, path = "/api/v1/waves/{wave}/preview", tag = "waves", operation_id = "preview_wave",
    params(WavePath),
    responses(
        (status = 200, description = "What it would do.", body = WavePreview),
        (status = 404, description = "There is no such wave.", body = crate::api::Problem)
    )
)]
pub(super) async fn preview(
    State(shared): State<Shared>,
    Path(WavePath { wave: name }): Path<WavePath>,
) -> Result<Json<WavePreview>, Problem> {
    let configured = shared.cx.settings.load().configured();
    let preview = shared.cx.store.preview_wave(&name, &configured, Shared::now()).await;
    preview.map(Json).map_err(store_problem)
}

/// What can be done with a wave as a whole, beside rolling it back.
#[derive(Debug, Clone, Copy)]
enum Act {
    Start,
    Pause,
    Resume,
}

async fn act(
    shared: &Shared,
    caller: &Caller,
    name: &WaveName,
    order: &Order,
    act: Act,
) -> Result<Json<Wave>, Problem> {
    let store = &shared.cx.store;
    let asked = asked(caller, order);
    let (done, state, what) = match act {
        Act::Start => {
            let configured = shared.cx.settings.load().configured();
            (store.start_wave(name, &asked, &configured).await, WaveState::Running, "start")
        }
        Act::Pause => (store.pause_wave(name, &asked).await, WaveState::Paused, "pause"),
        Act::Resume => (store.resume_wave(name, &asked).await, WaveState::Running, "resume"),
    };
    let wave = done.map_err(store_problem)?;
    if order.dry_run {
        return Ok(Json(Wave { state, ..wave }));
    }
    told(caller, name, order, what);
    Ok(Json(wave))
}

/// The order, as the store takes it.
fn asked<'a>(caller: &'a Caller, order: &'a Order) -> waves::Order<'a> {
    let (actor, reason) = (caller.name.as_str(), order.reason.as_str());
    waves::Order { actor, reason, dry_run: order.dry_run, now: Shared::now() }
}

fn told(caller: &Caller, name: &WaveName, order: &Order, act: &str) {
    tracing::info!(actor = caller.name, wave = %name, act, reason = order.reason.as_str(), "a wave was told what to do");
}

macro_rules! acts {
    ($($name:ident $act:ident $path:literal $id:literal $what:literal;)*) => {
        $(
            #[doc = $what]
            #[utoipa::path(
                post, path = $path, tag = "waves", operation_id = $id,
                params(WavePath), request_body = Order,
                responses(
                    (status = 200, description = "The wave as it is then, or would be.", body = Wave),
                    (status = 404, description = "There is no such wave.", body = crate::api::Problem),
                    (status = 409, description = "It is not in a state for that.", body = crate::api::Problem)
                )
            )]
            pub(super) async fn $name(
                State(shared): State<Shared>,
                caller: Caller,
                Path(WavePath { wave: name }): Path<WavePath>,
                Json(order): Json<Order>,
            ) -> Result<Json<Wave>, Problem> {
                act(&shared, &caller, &name, &order, Act::$act).await
            }
        )*
    };
}

acts! {
    start Start "/api/v1/waves/{wave}/start" "start_wave"
        "Starts a wave: its members are fixed, and its steps fire when their time has come.";
    pause Pause "/api/v1/waves/{wave}/pause" "pause_wave" "Lets no step of a wave fire until it is resumed.";
    resume Resume "/api/v1/waves/{wave}/resume" "resume_wave" "Lets a wave go on.";
}

/// Gives members what they had before the wave, but for those whom somebody has set since.
#[utoipa::path(
    post, path = "/api/v1/waves/{wave}/rollback", tag = "waves", operation_id = "rollback_wave",
    params(WavePath), request_body = Order,
    responses(
        (status = 200, description = "The wave as it is then, or would be, and for how many.", body = RolledBack),
        (status = 404, description = "There is no such wave.", body = crate::api::Problem),
        (status = 409, description = "It is not in a state for that, or it is not confirmed that mail is downloaded again.",
            body = crate::api::Problem)
    )
)]
pub(super) async fn rollback(
    State(shared): State<Shared>,
    caller: Caller,
    Path(WavePath { wave: name }): Path<WavePath>,
    Json(order): Json<Order>,
) -> Result<Json<RolledBack>, Problem> {
    let permit = permit_many(&shared, order.confirm_redownload);
    let done = shared.cx.store.roll_back_wave(&name, &asked(&caller, &order), &permit).await;
    let waves::RolledBack { mut wave, restored, left_alone, moves } = done.map_err(store_problem)?;
    if order.dry_run {
        wave.state = WaveState::RolledBack;
    } else {
        shared.count(&moves);
        told(&caller, &name, &order, "rollback");
    }
    Ok(Json(RolledBack { wave, restored, left_alone }))
}

/// Forgets a wave that is a draft or has ended. What it did stays.
#[utoipa::path(
    delete, path = "/api/v1/waves/{wave}", tag = "waves", operation_id = "delete_wave",
    params(WavePath, Order),
    responses(
        (status = 204, description = "It is gone, or could be."),
        (status = 404, description = "There is no such wave.", body = crate::api::Problem),
        (status = 409, description = "It is not in a state for that.", body = crate::api::Problem)
    )
)]
pub(super) async fn delete(
    State(shared): State<Shared>,
    caller: Caller,
    Path(WavePath { wave: name }): Path<WavePath>,
    Query(order): Query<Order>,
) -> Result<StatusCode, Problem> {
    shared.cx.store.delete_wave(&name, &asked(&caller, &order)).await.map_err(store_problem)?;
    Ok(StatusCode::NO_CONTENT)
}
