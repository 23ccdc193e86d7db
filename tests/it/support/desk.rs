//! The support desk: it changes the state of a lastpop that runs, through the library, as another proxy would. On
//! PostgreSQL only, or while no lastpop runs: a file serves one process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lastpop::api::{CreateWave, Step, Target, WaveName};
use lastpop::config::StateUrl;
use lastpop::import::Row;
use lastpop::policy::{Mode, Setting};
use lastpop::store::waves::{Added, Order};
use lastpop::store::{Change, Changed, Configured, Store, StoreError, Subject};
use lastpop::users::UserName;
use tokio::runtime::Runtime;

/// Who changes, in the audit trail.
const ACTOR: &str = "ilze";

/// Why.
const REASON: &str = "a test";

/// Somebody who may change rules.
pub(crate) struct Desk {
    runtime: Runtime,
    store: Store,
}

impl Desk {
    /// Opens the state, and makes it if there is none.
    pub(crate) fn open(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = StateUrl::parse(url).expect("the address of a state");
        let store = runtime.block_on(Store::open(&url, 0)).expect("a state");
        Self { runtime, store }
    }

    /// Sets a rule at `now` (Unix seconds); gives the number of the change.
    pub(crate) fn set(&self, subject: &Subject, setting: Setting, now: i64) -> Result<i64, StoreError> {
        let setting = Setting { since: now, ..setting };
        let change = Change { subject, actor: ACTOR, reason: REASON, now };
        self.runtime
            .block_on(self.store.set(&change, &|_| Ok(setting)))
            .map(|Changed { generation, .. }| generation)
    }

    /// Takes the newest change of a rule back.
    pub(crate) fn undo(&self, subject: &Subject, now: i64) -> Result<i64, StoreError> {
        let change = Change { subject, actor: ACTOR, reason: REASON, now };
        self.runtime
            .block_on(self.store.undo(&change, &|_, _| Ok(())))
            .map(|Changed { generation, .. }| generation)
    }

    /// Has hidden mail from `since` on (Unix seconds; 0: all) shown again.
    pub(crate) fn unhide(&self, user: &UserName, since: i64, now: i64) -> Result<i64, StoreError> {
        let id = self.runtime.block_on(self.store.ask_to_unhide(user, since, ACTOR, REASON, now))?;
        // Ids are the numbers of changes.
        Ok(id.parse().expect("a number"))
    }

    /// Makes and starts a wave of these users, with steps at these times (Unix seconds).
    pub(crate) fn wave(&self, name: &str, users: &[UserName], steps: &[(i64, Mode)], now: i64) {
        let step = |&(at, mode): &(i64, Mode)| Step { at: Timestamp::from_second(at).expect("a time"), mode };
        let new = CreateWave {
            name: name.parse().expect("a name"),
            target: Target::Csv,
            steps: steps.iter().map(step).collect::<Vec<_>>().try_into().expect("steps"),
            reason: REASON.parse().expect("a reason"),
            dry_run: false,
        };
        let order = Order { actor: ACTOR, reason: REASON, dry_run: false, now };
        let configured = Configured { mode: Mode::Pop3, domains: BTreeMap::new() };
        self.runtime.block_on(async {
            self.store.create_wave(&new, ACTOR, now).await.expect("made");
            add_members(&self.store, &new.name, users, false, now).await.expect("added");
            self.store.start_wave(&new.name, &order, &configured).await.expect("started");
        });
    }

    /// Lets go of the state.
    pub(crate) fn close(self) {
        self.runtime.block_on(self.store.close());
    }
}

/// Puts users into a wave, as the API does.
pub(crate) async fn add_members(
    store: &Store,
    wave: &WaveName,
    users: &[UserName],
    dry_run: bool,
    now: i64,
) -> Result<Added, StoreError> {
    let list = store.begin_import(ACTOR, REASON, now).await?;
    let row = |user: &UserName| Row { user: user.clone(), mode: None, from: None, language: None };
    let rows: Vec<Row> = users.iter().map(row).collect();
    store.stage(&list, &rows).await?;
    store.add_members(wave, &list, dry_run).await
}
