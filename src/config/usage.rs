//! `[usage]`: what is remembered of how customers use POP3, and how often it is written down.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::values;

/// Active users are counted over the last 90 days, so nobody can be forgotten before.
const SHORTEST_RETENTION: Duration = Duration::from_hours(90 * 24);

/// Active users of a day are counted for two more days, in which every proxy has to write.
const LONGEST_FLUSH: Duration = Duration::from_hours(24);

/// `[usage]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// How long something may stay in memory alone: a crash loses this much at most. A known user costs one row for
    /// each interval, however often they poll.
    #[serde(deserialize_with = "flush_interval")]
    pub flush_interval: Duration,
    /// Users who were not here for so long: how they used POP3 is forgotten.
    #[serde(deserialize_with = "retention")]
    pub retention: Duration,
    /// Users about whom something may be unwritten, at most. About 400 octets each.
    #[serde(deserialize_with = "values::positive")]
    pub pending_users: u32,
    /// How often one proxy sums up all users for the metrics.
    #[serde(deserialize_with = "values::duration")]
    pub summary_interval: Duration,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_hours(1),
            retention: Duration::from_hours(400 * 24),
            pending_users: 1_000_000,
            summary_interval: Duration::from_mins(5),
        }
    }
}

fn retention<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let retention = values::duration(from)?;
    if retention < SHORTEST_RETENTION {
        return Err(D::Error::custom(
            "expected \"90d\" or more: the users of the last 90 days are counted, and who is forgotten before cannot be",
        ));
    }
    Ok(retention)
}

fn flush_interval<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let interval = values::duration(from)?;
    if interval > LONGEST_FLUSH {
        return Err(D::Error::custom(
            "expected \"1d\" or less: a crash would lose more, and the counts of past days would miss users",
        ));
    }
    Ok(interval)
}
