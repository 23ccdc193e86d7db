//! What all changes of many users have in common: the lines of the audit trail are written first, by one statement
//! that decides what changes, and the users are then set to what those lines say.

use sqlx::AssertSqlSafe;

use super::changes::mode;
use super::generation::Concerns;
use super::{Store, StoreError};
use crate::policy::Mode;

/// Users of a domain whose own mode changed in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moves {
    /// Their domain, which decides what they inherit.
    pub domain: String,
    /// Before; `None` is no mode of their own.
    pub from: Option<Mode>,
    /// Since then. The same as before where only a plan or the language changed.
    pub to: Option<Mode>,
    /// In the end: what is planned, and without a plan the same as `to`.
    pub then: Option<Mode>,
    /// How many users.
    pub users: u64,
}

/// Domain, own modes before, after and in the end, and how many users.
pub(super) type MovesRow = (String, Option<String>, Option<String>, Option<String>, i64);

/// Says whether a change may be made, once it is known whom it moves; an error breaks it off, and nothing is changed.
pub type Permit<'a> = &'a (dyn Fn(&[Moves]) -> Result<(), StoreError> + Sync);

/// Writes what changes. Parameters: the id of the change, time, actor, reason; and those of `changes`, a SELECT of
/// `username`, `domain`, and each column of a setting and `language` as `old_…` and `new_…`.
pub(super) fn audit_lines(action: &'static str, changes: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "INSERT INTO audit (id, at, actor, action, kind, subject, old_mode, old_since, old_planned_mode,
            old_planned_from, new_mode, new_since, new_planned_mode, new_planned_from, old_language,
            new_language, reason, batch)
        SELECT $1 || '/' || c.username, $2, $3, '{action}', 'user', c.username, c.old_mode, c.old_since,
            c.old_planned_mode, c.old_planned_from, c.new_mode, c.new_since, c.new_planned_mode,
            c.new_planned_from, c.old_language, c.new_language, $4, $1
        FROM ({changes}) AS c
        -- The order of the keys is how an index grows fastest.
        ORDER BY c.username"
    ))
}

/// What a change would do: the moves of `changes`, where $1 is the time.
pub(super) fn would_move(changes: &str) -> AssertSqlSafe<String> {
    let moves = of_columns("c", "$1");
    AssertSqlSafe(format!("SELECT c.domain, {moves}, count(*) FROM ({changes}) AS c GROUP BY 1, 2, 3, 4"))
}

/// What the audit trail says that a change did, once users are set to it. Parameter: the id of the change.
pub(super) fn moves_of() -> AssertSqlSafe<String> {
    let moves = of_columns("a", "a.at");
    AssertSqlSafe(format!(
        "SELECT u.domain, {moves}, count(*) FROM audit a JOIN users u ON u.username = a.subject
        WHERE a.batch = $1 AND a.kind = 'user' GROUP BY 1, 2, 3, 4"
    ))
}

/// The modes of [`MovesRow`], of a table with columns `old_…` and `new_…`.
fn of_columns(table: &str, now: &str) -> String {
    let [from, to] = ["old_", "new_"].map(|side| own_mode(&format!("{table}.{side}"), now));
    let then = format!(
        "CASE WHEN {table}.new_planned_from IS NULL THEN {table}.new_mode ELSE {table}.new_planned_mode END"
    );
    [from, to, then].join(", ")
}

/// The mode that the columns of a setting say at a time: a plan whose time has come counts as carried out.
pub(super) fn own_mode(columns: &str, now: &str) -> String {
    format!("CASE WHEN {columns}planned_from <= {now} THEN {columns}planned_mode ELSE {columns}mode END")
}

/// Makes rows for users who have none and are to be set, with the domain that `table` has for them. Parameters: the
/// id of the change, and the `key` of rows in `table`.
pub(super) fn make_users(table: &'static str, key: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "INSERT INTO users (username, domain)
        SELECT t.username, t.domain FROM {table} t
        WHERE t.{key} = $2 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.username = t.username)
            AND EXISTS (SELECT 1 FROM audit a WHERE a.id = $1 || '/' || t.username)
        -- Somebody may have logged in for the first time meanwhile.
        ON CONFLICT (username) DO NOTHING"
    ))
}

/// Sets users to what the audit trail says of a change. Parameters: the id of the change, and what `set_by` says of
/// those whose setting it is about, and not only their language.
pub(super) const SET_USERS: &str =
    "UPDATE users SET mode = a.new_mode, mode_since = a.new_since, planned_mode = a.new_planned_mode,
        planned_from = a.new_planned_from,
        set_by = CASE WHEN a.old_mode IS DISTINCT FROM a.new_mode
            OR a.old_planned_mode IS DISTINCT FROM a.new_planned_mode
            OR a.old_planned_from IS DISTINCT FROM a.new_planned_from THEN $2 ELSE users.set_by END,
        language = CASE WHEN a.new_language IS NULL THEN users.language ELSE NULLIF(a.new_language, '') END
    FROM audit a WHERE a.batch = $1 AND a.kind = 'user' AND a.subject = users.username";

/// From columns.
pub(super) fn moves(rows: Vec<MovesRow>) -> Result<Vec<Moves>, StoreError> {
    let moved = |(domain, from, to, then, users): MovesRow| {
        let [from, to, then] = [from, to, then].map(|word| mode(word.as_deref()));
        Ok(Moves { domain, from: from?, to: to?, then: then?, users: count(users) })
    };
    let mut all: Vec<Moves> = rows.into_iter().map(moved).collect::<Result<_, StoreError>>()?;
    all.sort_unstable();
    Ok(all)
}

/// All users of them.
pub(super) fn total(moves: &[Moves]) -> u64 {
    moves.iter().map(|moved| moved.users).sum()
}

/// What `count(*)` says is never negative.
pub(super) fn count(counted: i64) -> u64 {
    counted.unsigned_abs()
}

/// What the audit trail says was done to all: so many lines, so many users. A row that was removed meanwhile, because
/// nothing was known of its user, makes the difference; then all of it is to be done again.
pub(super) fn all_set(lines: u64, users: u64) -> Result<(), StoreError> {
    if lines == users { Ok(()) } else { Err(StoreError::Busy) }
}

impl Store {
    /// Lets a change that was committed be in force here, and tells the other proxies. What cannot be read now, the next
    /// look at the generation reads, and that is no error: the change is made.
    pub(super) async fn announce(&self, generation: i64, concerns: &Concerns) {
        drop(self.changed(generation, concerns).await);
        self.tell(generation, concerns).await;
        if let Concerns::User(user) = concerns {
            self.read_again(user).await;
        }
    }

    /// The same for a change of so many users. Without any there is nothing to read again but a few domains.
    pub(super) async fn announce_users(&self, generation: i64, users: u64) {
        let concerns = if users > 0 { Concerns::Anything } else { Concerns::Domains };
        self.announce(generation, &concerns).await;
    }
}
