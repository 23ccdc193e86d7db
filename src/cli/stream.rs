//! Long work: files that are sent and answers that are saved, in pieces, with a progress bar on a terminal.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Frame, Incoming};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::client::{Body, Call, Client};
use super::failure::Failure;
use crate::api;

/// A piece of a file.
const PIECE: usize = 64 * 1024;

/// A download that brings no more for so long has stopped.
const SILENCE: Duration = Duration::from_mins(1);

/// How long a file is held back for a server that does not say that it wants it (RFC 9110 §10.1.1).
const HESITATION: Duration = Duration::from_secs(2);

/// How often a bar without a known end turns.
const TURN: Duration = Duration::from_millis(200);

/// Is standard input or output meant?
fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The open file behind standard input or output, past the buffer of the standard library, which is empty.
fn same(standard: &impl AsFd) -> io::Result<File> {
    Ok(File::from_std(standard.as_fd().try_clone_to_owned()?.into()))
}

/// Can a file that is to be sent be opened?
pub(super) async fn can_be_read(path: &Path) -> Result<(), Failure> {
    if is_standard(path) {
        return Ok(());
    }
    File::open(path).await.map(drop).map_err(|source| Failure::File { path: path.to_owned(), source })
}

/// Sends a file, and reads what came of it.
pub(super) async fn upload<A: DeserializeOwned>(
    client: &Client,
    call: &Call,
    format: api::BulkFormat,
    path: &Path,
) -> Result<A, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let file = if is_standard(path) { same(&io::stdin()) } else { File::open(path).await };
    let file = file.map_err(failed)?;
    let about = file.metadata().await.map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let octets = about.is_file().then_some(about.len());
    if octets.is_some_and(|octets| octets > api::IMPORT_LONGEST) {
        let most = api::IMPORT_LONGEST / (1024 * 1024);
        let what = format!("lastpop takes at most {most} MiB at once; split the file");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, what)));
    }
    let bar = bar(octets);
    let go_on = Arc::new(Notify::new());
    let pieces = pieces(file, bar.clone(), Arc::clone(&go_on));
    let body = Body::File { kind: format.media_type(), pieces, go_on };
    let answer = client.send(call, body).await;
    bar.finish_and_clear();
    client.read(call, answer?).await
}

/// A body that is read as it is sent, once the server wants it.
fn pieces(file: File, bar: ProgressBar, go_on: Arc<Notify>) -> BoxBody<Bytes, io::Error> {
    let next = |(mut file, bar, go_on): (File, ProgressBar, Option<Arc<Notify>>)| async move {
        if let Some(go_on) = go_on {
            // A server that never says so may want it all the same.
            let _ = timeout(HESITATION, go_on.notified()).await;
        }
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => {
                show(&bar, "{spinner} {bytes} sent, waiting for lastpop");
                None
            }
            Ok(octets) => {
                bar.inc(octets as u64);
                Some((Ok(Frame::data(Bytes::from(piece))), (file, bar, None)))
            }
            Err(error) => Some((Err(error), (file, bar, None))),
        }
    };
    BodyExt::boxed(StreamBody::new(stream::unfold((file, bar, Some(go_on)), next)))
}

/// Exports name customers: nobody but their owner reads them.
const MODE: u32 = 0o600;

/// Saves an answer as it comes. A file gets its name only when it is whole.
pub(super) async fn download(client: &Client, call: &Call, path: &Path) -> Result<(), Failure> {
    let answer = client.send(call, Body::None).await?;
    let answer = client.accepted(call, answer).await?;
    if is_standard(path) {
        let mut file = same(&io::stdout()).map_err(Failure::Output)?;
        return copy(client, call, answer, &mut file, Failure::Output).await;
    }
    let failed = |source| Failure::File { path: path.to_owned(), source };
    // A device or a pipe is not replaced by a file.
    if tokio::fs::metadata(path).await.is_ok_and(|found| !found.is_file()) {
        let mut file = File::options().write(true).open(path).await.map_err(failed)?;
        return copy(client, call, answer, &mut file, failed).await;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    // One that broke off may be readable for others.
    let _ = tokio::fs::remove_file(&part).await;
    let mut file = File::options();
    let mut file = file.write(true).create_new(true).mode(MODE).open(&part).await.map_err(failed)?;
    let copied = copy(client, call, answer, &mut file, failed).await;
    let named = match copied {
        Ok(()) => file.sync_all().await.and(tokio::fs::rename(&part, path).await).map_err(failed),
        Err(error) => Err(error),
    };
    if named.is_err() {
        // What is left of it says less than the error does.
        let _ = tokio::fs::remove_file(&part).await;
    }
    named
}

async fn copy(
    client: &Client,
    call: &Call,
    mut answer: Response<Incoming>,
    to: &mut File,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<(), Failure> {
    let bar = bar(None);
    loop {
        let frame = timeout(SILENCE, answer.body_mut().frame()).await;
        let frame =
            frame.map_err(|_| client.cut(call, &format!("nothing came for {} s", SILENCE.as_secs())))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| client.cut(call, &error.to_string()))?;
        if let Ok(piece) = frame.into_data() {
            to.write_all(&piece).await.map_err(&failed)?;
            bar.inc(piece.len() as u64);
        }
    }
    bar.finish_and_clear();
    to.flush().await.map_err(failed)
}

/// A bar for work of which only the end is told.
pub(super) fn waiting() -> ProgressBar {
    turning(ProgressBar::new_spinner(), "{spinner} {elapsed}: lastpop is at it")
}

/// On standard error, and only if that is a terminal.
fn bar(octets: Option<u64>) -> ProgressBar {
    match octets {
        Some(octets) => turning(ProgressBar::new(octets), "{bar:30} {bytes} of {total_bytes}, {eta} left"),
        None => turning(ProgressBar::new_spinner(), "{spinner} {bytes}, {bytes_per_sec}"),
    }
}

fn turning(bar: ProgressBar, template: &str) -> ProgressBar {
    show(&bar, template);
    bar.enable_steady_tick(TURN);
    bar
}

fn show(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
