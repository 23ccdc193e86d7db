//! The waves of the API in memory.

use axum::Json;
use axum::extract::Path as In;
use axum::http::StatusCode;
use jiff::Timestamp;
use lastpop::api::{
    CreateWave, ImportReport, Order, StepProgress, Target, Wave, WaveList, WavePreview, WaveState,
};

use super::fake::{Answer, Refused, Shared, unknown, world};

pub(super) async fn waves(state: Shared) -> Json<WaveList> {
    Json(WaveList { waves: world(&state).waves.values().map(|(wave, _)| wave.clone()).collect() })
}

pub(super) async fn create(state: Shared, Json(body): Json<CreateWave>) -> Json<Wave> {
    let step = |step: &lastpop::api::Step| StepProgress {
        at: step.at,
        mode: step.mode,
        fired_at: None,
        users: None,
    };
    let wave = Wave {
        name: body.name.clone(),
        state: WaveState::Draft,
        members: (body.target == Target::Csv).then_some(0),
        target: body.target,
        steps: body.steps.as_slice().iter().map(step).collect(),
        created_by: "admin".to_owned(),
        created_at: Timestamp::now(),
        reason: body.reason.to_string(),
    };
    if !body.dry_run {
        world(&state).waves.insert(body.name.to_string(), (wave.clone(), Vec::new()));
    }
    Json(wave)
}

pub(super) async fn wave(state: Shared, In(name): In<String>) -> Answer<Wave> {
    let world = world(&state);
    Ok(Json(world.waves.get(&name).ok_or_else(|| unknown(&name))?.0.clone()))
}

pub(super) async fn delete(state: Shared, In(name): In<String>) -> Result<StatusCode, Refused> {
    world(&state).waves.remove(&name).map(|_| StatusCode::NO_CONTENT).ok_or_else(|| unknown(&name))
}

pub(super) async fn members(state: Shared, In(name): In<String>, body: String) -> Answer<ImportReport> {
    let mut world = world(&state);
    let (wave, members) = world.waves.get_mut(&name).ok_or_else(|| unknown(&name))?;
    members.extend(body.lines().skip(1).map(str::to_owned));
    let rows = members.len() as u64;
    wave.members = Some(rows);
    Ok(Json(ImportReport { rows, changed: rows, ..ImportReport::default() }))
}

pub(super) async fn preview(state: Shared, In(name): In<String>) -> Answer<WavePreview> {
    let world = world(&state);
    let (wave, members) = world.waves.get(&name).ok_or_else(|| unknown(&name))?;
    let (name, users) = (wave.name.clone(), members.len() as u64);
    let (active_1, active_7, active_30, already, own_setting, never_seen, warnings) =
        (0, 0, 0, 0, 0, users, Vec::new());
    Ok(Json(WavePreview {
        name,
        users,
        active_1,
        active_7,
        active_30,
        already,
        own_setting,
        never_seen,
        warnings,
    }))
}

pub(super) async fn order(
    state: Shared,
    In((name, what)): In<(String, String)>,
    Json(body): Json<Order>,
) -> Answer<Wave> {
    let mut world = world(&state);
    let (wave, _) = world.waves.get_mut(&name).ok_or_else(|| unknown(&name))?;
    let mut after = wave.clone();
    after.state = match what.as_str() {
        "start" | "resume" => WaveState::Running,
        "pause" => WaveState::Paused,
        "rollback" => WaveState::RolledBack,
        _ => return Err(unknown(&what)),
    };
    if !body.dry_run {
        wave.clone_from(&after);
    }
    Ok(Json(after))
}
