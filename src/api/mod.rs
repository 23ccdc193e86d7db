//! What the admin API says and understands: the body of every request and answer, and the bounds of each.
//!
//! The server (`admin`) and the commands (`cli`) share these types, and the `OpenAPI` document is made from
//! them, with their comments. Times are RFC 3339 in UTC, octets are octets, modes are words, and
//! a mode that is `null` means "inherits". Requests refuse fields that they do not know.

use std::time::Duration;

mod audit;
mod bulk;
mod change;
mod domain;
mod network;
mod problem;
mod query;
mod reason;
mod session;
mod steps;
mod summary;
mod target;
mod user;
mod wave;

pub use audit::{AuditEntry, AuditList, AuditQuery};
pub use bulk::{
    BadLine, BatchPath, BatchUndone, BulkFormat, ExportQuery, ExportRow, INHERIT, ImportQuery, ImportReport,
    ImportRow, MembersQuery,
};
pub use change::{Change, Order, SetMode, Unhidden, Unhide};
pub use domain::{DomainList, DomainPath, DomainQuery, DomainRow};
pub use network::{BadNetwork, Network};
pub use problem::{PROBLEM_TYPE, Problem};
pub use query::{BadPageLimit, PAGE_DEFAULT, PAGE_MOST, PageLimit};
pub use reason::{BadReason, REASON_LONGEST, Reason};
pub use session::{Draining, Kick, Kicked, Session, SessionList, SessionQuery, Whom};
pub use steps::{BadSteps, STEPS_MOST, Step, StepProgress, Steps};
pub use summary::{
    ActiveUsers, DAYS_MOST, Daily, DailyList, DailyQuery, DomainCount, ModeCount, NamedCount, Summary,
};
pub use target::{BadDays, BadPercent, Days, Percent, Target, WaveUsers};
pub use user::{
    Effective, Planned, Quota, Rule, Setting, Usage, User, UserDetail, UserFilter, UserList, UserPath,
    UserQuery,
};
pub use wave::{
    BadWaveName, CreateWave, RolledBack, Wave, WaveList, WaveName, WavePath, WavePreview, WaveState,
};

/// Where all routes begin.
pub const PREFIX: &str = "/api/v1";

/// Octets that the body of a request may have, unless it is a stream.
pub const BODY_LONGEST: usize = 64 * 1024;

/// Octets that a streamed import may have: a line of 256 octets for each of a million users.
pub const IMPORT_LONGEST: u64 = 256 * 1024 * 1024;

/// Longest time to an answer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The same where many users are changed in one transaction: that of ten million takes minutes.
pub const DEADLINE_OF_MANY: Duration = Duration::from_mins(30);

/// The name of everyone among the domains.
pub const EVERYONE: &str = "*";
