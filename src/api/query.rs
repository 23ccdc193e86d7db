//! How much of a list one answer holds.

use serde::{Deserialize, Serialize};

/// Rows of a page, unless the request says otherwise.
pub const PAGE_DEFAULT: u16 = 100;

/// Rows that a page may have: an answer stays below a megabyte.
pub const PAGE_MOST: u16 = 1_000;

/// The number of rows that one answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schema(value_type = u16, minimum = 1, maximum = 1000, default = 100, example = 100)]
pub struct PageLimit(u16);

impl PageLimit {
    /// The number of rows, from 1 to [`PAGE_MOST`].
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As many as are allowed.
    pub const fn most() -> Self {
        Self(PAGE_MOST)
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(PAGE_DEFAULT)
    }
}

/// A page of no row, or of too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of a page is a number from 1 to {PAGE_MOST}")]
pub struct BadPageLimit;

impl TryFrom<u16> for PageLimit {
    type Error = BadPageLimit;

    fn try_from(rows: u16) -> Result<Self, BadPageLimit> {
        if (1..=PAGE_MOST).contains(&rows) { Ok(Self(rows)) } else { Err(BadPageLimit) }
    }
}

impl From<PageLimit> for u16 {
    fn from(limit: PageLimit) -> Self {
        limit.0
    }
}
