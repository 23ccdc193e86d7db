//! The state store: facts that must outlive the process, in a database.
//!
//! At present that is one fact, and it cannot be made again once it is lost: which recipe for unique-ids
//! served a user first. It stays that user's as long as UIDVALIDITY stands, whatever the configuration says
//! later, because a client that sees other unique-ids downloads everything again.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::config::StateUrl;
use crate::uidl::Recipe;

/// How long a login waits for another's write.
const BUSY: Duration = Duration::from_secs(5);

/// Connections to the database. Reads go side by side, and a write takes a fraction of a millisecond.
const CONNECTIONS: u32 = 4;

/// Pins that are kept in memory, so that a poll asks the database nothing and a lost database stops only
/// those that this proxy has not served. About 200 octets each.
const CACHED: usize = 100_000;

/// The database.
#[derive(Debug)]
pub struct Store {
    pool: SqlitePool,
    /// By user: the UIDVALIDITY served last, and its recipe.
    pins: Cache<String, (u32, Arc<Recipe>)>,
}

/// What served a user first.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The recipe.
    pub recipe: Arc<Recipe>,
    /// Was this user last served under another UIDVALIDITY?
    pub uidvalidity_changed: bool,
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or is no database.
    #[error("cannot open the state in {path}: {source}; check that its folder exists and may be written to")]
    Open {
        /// The file.
        path: String,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Its tables are not ours, or from a newer lastpop.
    #[error("cannot use the state: {0}; it may have been written by a newer lastpop")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A query failed.
    #[error("the state store failed: {0}")]
    Query(#[from] sqlx::Error),
    /// A recipe in it is none: somebody else wrote there.
    #[error("the state holds a recipe for unique-ids that is none: {0}")]
    Recipe(String),
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings its tables up to date.
    pub async fn open(url: &StateUrl) -> Result<Self, StoreError> {
        let StateUrl::Sqlite(path) = url;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A pin is on the disk before the client reads a unique-id that relies on it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let opened =
            SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY).connect_with(options);
        let pool =
            opened.await.map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
        sqlx::migrate!("src/store/migrations").run(&pool).await?;
        Ok(Self { pool, pins: Cache::new(CACHED) })
    }

    /// The recipe that served `user` first under this UIDVALIDITY; if none has, `configured` does from now
    /// on. `now` is in Unix seconds.
    pub async fn pin(
        &self,
        user: &str,
        uidvalidity: u32,
        configured: &Recipe,
        now: i64,
    ) -> Result<Pin, StoreError> {
        if let Some((cached, recipe)) = self.pins.get(user)
            && cached == uidvalidity
        {
            return Ok(Pin { recipe, uidvalidity_changed: false });
        }
        let recipe = match self.pinned(user, uidvalidity).await? {
            Some(recipe) => recipe,
            None => self.pin_first(user, uidvalidity, configured, now).await?,
        };
        let recipe = Arc::new(recipe);
        let uidvalidity_changed = self.served_under(user, uidvalidity).await?;
        self.pins.insert(user.to_owned(), (uidvalidity, Arc::clone(&recipe)));
        Ok(Pin { recipe, uidvalidity_changed })
    }

    async fn pin_first(
        &self,
        user: &str,
        uidvalidity: u32,
        configured: &Recipe,
        now: i64,
    ) -> Result<Recipe, StoreError> {
        let insert =
            "INSERT INTO uidl_pins (username, uidvalidity, recipe, first_served) VALUES ($1, $2, $3, $4)
            ON CONFLICT (username, uidvalidity) DO NOTHING";
        sqlx::query(insert)
            .bind(user)
            .bind(i64::from(uidvalidity))
            .bind(configured.template())
            .bind(now)
            .execute(&self.pool)
            .await?;
        // Another session of the same user may have been first.
        Ok(self.pinned(user, uidvalidity).await?.unwrap_or_else(|| configured.clone()))
    }

    /// Remembers the UIDVALIDITY, and says whether it is another one than before.
    async fn served_under(&self, user: &str, uidvalidity: u32) -> Result<bool, StoreError> {
        let insert = "INSERT INTO last_uidvalidity (username, uidvalidity) VALUES ($1, $2)
            ON CONFLICT (username) DO NOTHING";
        sqlx::query(insert).bind(user).bind(i64::from(uidvalidity)).execute(&self.pool).await?;
        // Of several sessions at once, one changes the row, and that one tells.
        let update = "UPDATE last_uidvalidity SET uidvalidity = $2 WHERE username = $1 AND uidvalidity <> $2";
        let updated = sqlx::query(update).bind(user).bind(i64::from(uidvalidity)).execute(&self.pool).await?;
        Ok(updated.rows_affected() > 0)
    }

    async fn pinned(&self, user: &str, uidvalidity: u32) -> Result<Option<Recipe>, StoreError> {
        let query = "SELECT recipe FROM uidl_pins WHERE username = $1 AND uidvalidity = $2";
        let template: Option<String> = sqlx::query_scalar(query)
            .bind(user)
            .bind(i64::from(uidvalidity))
            .fetch_optional(&self.pool)
            .await?;
        template.map(|template| Recipe::parse(&template).map_err(StoreError::Recipe)).transpose()
    }

    /// Closes the database, so that everything is in its one file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str) -> Recipe {
        Recipe::parse(text).expect("a recipe")
    }

    async fn opened(directory: &tempfile::TempDir) -> Store {
        Store::open(&StateUrl::Sqlite(directory.path().join("state.db"))).await.expect("a store")
    }

    async fn served(store: &Store, user: &str, uidvalidity: u32, configured: &str) -> (String, bool) {
        let pin = store.pin(user, uidvalidity, &recipe(configured), 0).await.expect("a pin");
        (pin.recipe.template().to_owned(), pin.uidvalidity_changed)
    }

    #[tokio::test]
    async fn the_first_recipe_stays_across_restarts_and_configurations() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = opened(&directory).await;
        let first = served(&store, "anna", 7, "uw").await;
        assert_eq!(first, ("{uidvalidity:08x}{uid:08x}".to_owned(), false));
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        store.close().await;
        let store = opened(&directory).await;
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        assert_eq!(served(&store, "bob", 7, "cyrus").await.0, "{uidvalidity}.{uid}");
    }

    #[tokio::test]
    async fn another_uidvalidity_is_told_once_and_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = opened(&directory).await;
        assert!(!served(&store, "anna", 7, "uw").await.1);
        assert_eq!(served(&store, "anna", 8, "cyrus").await, ("{uidvalidity}.{uid}".to_owned(), true));
        assert_eq!(served(&store, "anna", 8, "uw").await, ("{uidvalidity}.{uid}".to_owned(), false));
        // A restored backup brings the old one back.
        assert_eq!(served(&store, "anna", 7, "cyrus").await, ("{uidvalidity:08x}{uid:08x}".to_owned(), true));
    }

    #[tokio::test]
    async fn many_first_logins_at_once_are_no_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(opened(&directory).await);
        let logins = (0..24).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { served(&store, ["anna", "bob"][number % 2], 7, "uw").await.1 })
        });
        for login in logins.collect::<Vec<_>>() {
            assert!(!login.await.expect("no panic"));
        }
    }

    #[tokio::test]
    async fn a_lost_store_still_knows_whom_it_has_served() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = opened(&directory).await;
        let first = served(&store, "anna", 7, "uw").await;
        store.close().await;
        assert_eq!(served(&store, "anna", 7, "cyrus").await, first);
        assert!(store.pin("bob", 7, &recipe("uw"), 0).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.db");
        std::fs::write(&path, "this is no database, and it is long enough to be read as one".repeat(100))
            .expect("written");
        let error = Store::open(&StateUrl::Sqlite(path)).await.expect_err("no database").to_string();
        assert!(error.contains("state.db") || error.contains("cannot use the state"), "{error}");
        let nowhere = StateUrl::Sqlite(directory.path().join("no/such/folder/state.db"));
        let error = Store::open(&nowhere).await.expect_err("no folder").to_string();
        assert!(error.starts_with("cannot open the state in "), "{error}");
    }
}
