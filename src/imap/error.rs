//! What can go wrong with an upstream, and the questions that every error answers: whose fault, may it be
//! tried again on a new connection, which label.

use super::frame::FrameError;
use super::response::{Kind, Malformed, Reason, Status};

/// Something went wrong between us and an IMAP server. Its texts are for logs; no client reads them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address of the upstream could be reached.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address as configured.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS handshake failed: an expired certificate, a wrong name, an unknown CA.
    #[error("TLS with {address} failed: {source}")]
    Tls {
        /// The address as configured.
        address: String,
        /// What rustls said.
        source: std::io::Error,
    },
    /// Connecting, the handshake or the greeting took too long.
    #[error("connecting to {address} took too long")]
    ConnectTimeout {
        /// The address as configured.
        address: String,
    },
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server said BYE.
    #[error("the server said BYE")]
    Bye(Option<Reason>),
    /// No octet came for as long as `upstream.response_timeout` allows.
    #[error("no answer in time")]
    Timeout,
    /// The server does not keep to the protocol.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The server refused the user name or the password.
    #[error("the user name or the password was refused")]
    Credentials,
    /// The server answered NO.
    #[error("{command} was refused: NO")]
    No {
        /// The verb.
        command: &'static str,
        /// The reason in its response code, if it gave a known one.
        reason: Option<Reason>,
    },
    /// The server answered BAD: it did not like our command.
    #[error("{command} was refused: BAD")]
    Bad {
        /// The verb.
        command: &'static str,
    },
    /// The listing does not hold what SELECT has promised; the connection is fine.
    #[error("the listing is not complete")]
    Incomplete,
    /// The server cannot be used as it is configured; a person must change something.
    #[error("the server cannot be used: {0}")]
    Unusable(&'static str),
}

impl Error {
    /// The error for a tagged NO or BAD. `Status::kind` of a tagged response is never another.
    pub fn refused(command: &'static str, status: &Status<'_>) -> Self {
        match status.kind {
            Kind::No => Self::No { command, reason: status.reason() },
            Kind::Ok | Kind::Bad | Kind::Bye | Kind::Preauth => Self::Bad { command },
        }
    }

    /// Is the connection lost or in an unknown state, so that a new one may do better?
    pub const fn is_connection_lost(&self) -> bool {
        match self {
            Self::Io(_) | Self::Closed | Self::Bye(_) | Self::Timeout | Self::Protocol(_) => true,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::ConnectTimeout { .. }
            | Self::Credentials
            | Self::No { .. }
            | Self::Bad { .. }
            | Self::Incomplete
            | Self::Unusable(_) => false,
        }
    }

    /// A label from a closed set, for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::ConnectTimeout { .. } | Self::Timeout => "timeout",
            Self::Io(_) | Self::Closed => "io",
            Self::Bye(_) => "bye",
            Self::Protocol(_) | Self::Incomplete => "protocol",
            Self::Credentials => "credentials",
            Self::No { .. } => "no",
            Self::Bad { .. } => "bad",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Every label that [`Error::label`] gives.
    pub const LABELS: [&'static str; 10] =
        ["credentials", "connect", "tls", "timeout", "io", "bye", "protocol", "no", "bad", "unusable"];
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::Protocol(match error {
            FrameError::LineTooLong => "a line is longer than 64 KiB",
            FrameError::BadLiteral => "a literal has no believable size",
        })
    }
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::Protocol("a response cannot be understood")
    }
}
