//! Many users at once: import, export, and the members of a wave, as streams in bounded memory.

use std::error::Error;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::LengthLimitError;

use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::problem::Problem;
use super::redownload::permit_many;
use super::view::View;
use super::{Shared, store_problem};
use crate::api::{
    BatchPath, BatchUndone, BulkFormat, ExportQuery, ExportRow, INHERIT, ImportQuery, ImportReport,
    MembersQuery, Order, WavePath,
};
use crate::import::{Content, Line, Reader, Row};
use crate::policy::Mode;
use crate::store::{Batch, Select, Store, StoreError, Undone};

/// Rows that are handed to the store at once.
const ROWS: usize = 2_000;

/// Users that an export reads at once.
const PAGE: u16 = 1_000;

/// A body that is read line by line.
struct Lines {
    body: axum::body::BodyDataStream,
    reader: Option<Reader>,
    taken: Taken,
}

/// What was read of it so far.
#[derive(Default)]
struct Taken {
    rows: Vec<Row>,
    report: ImportReport,
}

impl Taken {
    fn take(&mut self, line: Line) {
        self.report.rows += 1;
        match line {
            Line::Row(row) => self.rows.push(row),
            Line::Bad(bad) => {
                self.report.bad_lines += 1;
                if self.report.bad.len() < ImportReport::BAD_MOST {
                    self.report.bad.push(bad);
                }
            }
        }
    }
}

impl Lines {
    fn new(shared: &Shared, format: BulkFormat, content: Content, body: Body) -> Self {
        let names = shared.cx.settings.load().names.clone();
        let reader = Some(Reader::new(format, content, names));
        Self { body: body.into_data_stream(), reader, taken: Taken::default() }
    }

    /// The next rows; an empty list is the end.
    async fn next(&mut self) -> Result<Vec<Row>, Problem> {
        while self.taken.rows.len() < ROWS {
            let Some(reader) = &mut self.reader else { break };
            match self.body.next().await {
                Some(Ok(chunk)) => reader.push(&chunk, |line| self.taken.take(line)),
                Some(Err(error)) => {
                    tracing::info!(%error, "a list broke off");
                    return Err(broken(&error));
                }
                None => {
                    if let Some(reader) = self.reader.take() {
                        reader.finish(|line| self.taken.take(line));
                    }
                }
            }
        }
        Ok(std::mem::take(&mut self.taken.rows))
    }
}

/// Why a list is not read to its end.
fn broken(error: &axum::Error) -> Problem {
    let mut causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    if causes.any(<dyn Error>::is::<LengthLimitError>) {
        let detail = "The list is longer than one may be; nothing was changed. Send it in parts.";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
    }
    let detail = "The list broke off, or nothing more of it came for a minute; nothing was changed.";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Stages all lines, and does what is to be done with them: all of it or nothing.
async fn taken<T, F: Future<Output = Result<T, StoreError>>>(
    store: &Store,
    batch: &Batch,
    dry_run: bool,
    mut lines: Lines,
    work: impl FnOnce() -> F,
) -> Result<(ImportReport, T), Problem> {
    let staged: Result<(), Problem> = async {
        loop {
            let rows = lines.next().await?;
            if rows.is_empty() {
                return Ok(());
            }
            store.stage(batch, &rows).await.map_err(store_problem)?;
        }
    }
    .await;
    let done = match staged {
        Ok(()) => work().await.map_err(store_problem),
        Err(problem) => Err(problem),
    };
    if done.is_err() || dry_run {
        // What is left over is removed within a day as well.
        if let Err(error) = store.abandon(batch).await {
            tracing::warn!(%error, "rows of a list that was not taken are left in the state for a day");
        }
    }
    Ok((ImportReport { dry_run, ..lines.taken.report }, done?))
}

/// Sets many users at once, all of them or none.
///
/// Lines that cannot be used are named and left out; all others become one change.
#[utoipa::path(
    post, path = "/api/v1/import", tag = "users", operation_id = "import_users", params(ImportQuery),
    request_body(description = "Rows as CSV or NDJSON, see `format`.",
        content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, description = "What was changed, or would be.", body = ImportReport),
        (status = 409, description = "It is not confirmed that mail is downloaded again.", body = crate::api::Problem)
    )
)]
pub(super) async fn import(
    State(shared): State<Shared>,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let store = &shared.cx.store;
    let begun = store.begin_import(&caller.name, query.reason.as_str(), Shared::now()).await;
    let batch = begun.map_err(store_problem)?;
    let permit = permit_many(&shared, query.confirm_redownload);
    let lines = Lines::new(&shared, query.format, Content::Settings, body);
    let apply = || store.apply(&batch, query.dry_run, &permit);
    let (mut report, applied) = taken(store, &batch, query.dry_run, lines, apply).await?;
    report.changed(applied.changed);
    report.never_seen = applied.never_seen;
    report.batch = applied.batch;
    if !query.dry_run {
        shared.count(&applied.moves);
        tracing::info!(
            actor = caller.name,
            changed = report.changed,
            batch = report.batch,
            reason = query.reason.as_str(),
            "users were imported"
        );
    }
    Ok(Json(report))
}

/// Undoes a change of many users as a whole: an import, a step of a wave, or its rollback.
///
/// Users who were changed in another way since stay as they are.
#[utoipa::path(
    post, path = "/api/v1/batches/{batch}/undo", tag = "users", operation_id = "undo_batch",
    params(BatchPath), request_body = Order,
    responses(
        (status = 200, description = "What was restored, or would be.", body = BatchUndone),
        (status = 409, description = "Nothing of it is left to undo, or it is not confirmed that mail is downloaded again.",
            body = crate::api::Problem)
    )
)]
pub(super) async fn undo(
    State(shared): State<Shared>,
    caller: Caller,
    Path(BatchPath { batch }): Path<BatchPath>,
    Json(Order { reason, dry_run, confirm_redownload }): Json<Order>,
) -> Result<Json<BatchUndone>, Problem> {
    if !batch.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(store_problem(StoreError::NothingToUndo(format!("the batch {}", batch.escape_debug()))));
    }
    let permit = permit_many(&shared, confirm_redownload);
    let (store, now) = (&shared.cx.store, Shared::now());
    let undone = store.undo_batch(&batch, &caller.name, reason.as_str(), now, dry_run, &permit).await;
    let undone = undone.map_err(store_problem)?;
    if !dry_run {
        tracing::info!(
            actor = caller.name,
            batch,
            users = undone.restored,
            reason = reason.as_str(),
            "a change of many users was undone"
        );
        shared.count(&undone.moves);
    }
    let Undone { batch, restored, left_alone, .. } = undone;
    Ok(Json(BatchUndone { dry_run, restored, left_alone, batch }))
}

/// Writes users as CSV or NDJSON, which an import takes again.
///
/// `mode` and `from` are what an import would be told: what is set for the user, or where something is planned what
/// that will be, and when. What is in force now are `effective_mode` and `effective_rule`, in NDJSON `effective`.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "users", operation_id = "export_users", params(ExportQuery),
    responses((status = 200, description = "The users, as a stream.",
        content((String = "text/csv"), (String = "application/x-ndjson"))))
)]
pub(super) async fn export(State(shared): State<Shared>, Query(query): Query<ExportQuery>) -> Response {
    let format = query.format;
    let select = View::new(&shared).select(query.filter());
    let pages = pages(shared, select, format);
    ([(header::CONTENT_TYPE, format.media_type())], Body::from_stream(pages)).into_response()
}

/// Pages of an export, each read when the one before has been taken.
fn pages(
    shared: Shared,
    select: Select,
    format: BulkFormat,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let first = (format == BulkFormat::Csv).then(|| Ok(Bytes::from_static(HEADER.as_bytes())));
    let rest = stream::try_unfold(Some(String::new()), move |after| {
        let (shared, select) = (shared.clone(), select.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = page(&shared, &select, &after, format).await;
            page.map(|(text, next)| Some((text, next))).map_err(|error| {
                tracing::error!(%error, "an export broke off");
                std::io::Error::other(error)
            })
        }
    });
    stream::iter(first).chain(rest)
}

/// One page, and where the next one begins.
async fn page(
    shared: &Shared,
    select: &Select,
    after: &str,
    format: BulkFormat,
) -> Result<(Bytes, Option<String>), StoreError> {
    let rows = shared.cx.store.users(select, after, PAGE).await?;
    let next = (rows.len() == usize::from(PAGE)).then(|| rows.last().map(|row| row.username.clone()));
    let view = View::new(shared);
    let mut text = Vec::new();
    for row in rows {
        write(&view.user(row)?.into(), format, &mut text);
    }
    Ok((Bytes::from(text), next.flatten()))
}

/// The columns of an export; the first four are those of an import.
const HEADER: &str = "user,mode,from,language,domain,effective_mode,effective_rule,first_seen,last_seen,\
    address,tls,method,sessions,messages,octets,deleted,refused,last_refused,\
    maildrop_messages,maildrop_octets,hidden_messages,hidden_octets,quota_used,quota_limit,poll_interval,\
    keeps_mail,family\n";

fn write(row: &ExportRow, format: BulkFormat, out: &mut Vec<u8>) {
    match format {
        // Writing to memory cannot fail.
        BulkFormat::Ndjson => {
            let _ = serde_json::to_writer(&mut *out, row);
            out.push(b'\n');
        }
        BulkFormat::Csv => {
            let mut record = csv::WriterBuilder::new().has_headers(false).from_writer(out);
            let _ = record.write_record(fields(row));
        }
    }
}

fn fields(ExportRow { mode, from, user }: &ExportRow) -> [String; 27] {
    fn some<T: ToString>(value: Option<&T>) -> String {
        value.map(T::to_string).unwrap_or_default()
    }
    let usage = &user.usage;
    let quota = usage.quota.as_ref();
    [
        user.user.clone(),
        mode.map_or(INHERIT, Mode::as_str).to_owned(),
        some(from.as_ref()),
        user.language.clone().unwrap_or_default(),
        user.domain.clone(),
        user.effective.mode.to_string(),
        user.effective.rule.as_str().to_owned(),
        some(usage.first_seen.as_ref()),
        some(usage.last_seen.as_ref()),
        usage.address.clone().unwrap_or_default(),
        usage.tls.clone().unwrap_or_default(),
        usage.method.clone().unwrap_or_default(),
        usage.sessions.to_string(),
        usage.messages.to_string(),
        usage.octets.to_string(),
        usage.deleted.to_string(),
        usage.refused.to_string(),
        some(usage.last_refused.as_ref()),
        some(usage.maildrop_messages.as_ref()),
        some(usage.maildrop_octets.as_ref()),
        some(usage.hidden_messages.as_ref()),
        some(usage.hidden_octets.as_ref()),
        some(quota.map(|quota| &quota.used)),
        some(quota.map(|quota| &quota.limit)),
        some(usage.poll_interval.as_ref()),
        some(usage.keeps_mail.as_ref()),
        usage.family.clone().unwrap_or_default(),
    ]
}

/// Puts users into a wave that takes a list, all of them or none.
///
/// Lines that cannot be used are named and left out.
#[utoipa::path(
    put, path = "/api/v1/waves/{wave}/members", tag = "waves", operation_id = "add_wave_members",
    params(WavePath, MembersQuery),
    request_body(description = "Users as CSV with a column `user`, or as NDJSON, see `format`.",
        content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, description = "Who was added, or would be.", body = ImportReport),
        (status = 404, description = "There is no such wave.", body = crate::api::Problem),
        (status = 409, description = "The wave takes no list, or not any more.", body = crate::api::Problem)
    )
)]
pub(super) async fn members(
    State(shared): State<Shared>,
    caller: Caller,
    Path(WavePath { wave }): Path<WavePath>,
    Query(query): Query<MembersQuery>,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let store = &shared.cx.store;
    // Before anything is read: a wave that takes no list is told at once.
    store.takes_members(&wave).await.map_err(store_problem)?;
    let begun = store.begin_import(&caller.name, query.reason.as_str(), Shared::now()).await;
    let batch = begun.map_err(store_problem)?;
    let lines = Lines::new(&shared, query.format, Content::Members, body);
    let add = || store.add_members(&wave, &batch, query.dry_run);
    let (mut report, added) = taken(store, &batch, query.dry_run, lines, add).await?;
    report.changed(added.added);
    report.never_seen = added.never_seen;
    if !query.dry_run {
        tracing::info!(
            actor = caller.name,
            wave = %wave,
            users = added.added,
            reason = query.reason.as_str(),
            "users were put into a wave"
        );
    }
    Ok(Json(report))
}

#[cfg(test)]
mod tests {
    use http_body_util::Limited;

    use super::*;
    use crate::users::Names;

    /// Whose length nobody knew before.
    #[tokio::test]
    async fn a_list_that_is_too_long_is_called_so() {
        let read = async |most: usize| {
            let body = Body::new(Limited::new(Body::from("user\nanna\n"), most));
            let reader = Some(Reader::new(BulkFormat::Csv, Content::Members, Names::default()));
            let mut lines = Lines { body: body.into_data_stream(), reader, taken: Taken::default() };
            lines.next().await.map(|rows| rows.len()).map_err(|problem| problem.into_response().status())
        };
        assert_eq!(read(10).await, Ok(1));
        assert_eq!(read(9).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
