//! Requests over HTTP: the API, probes, and metrics themselves.

use prometheus::{Error, IntCounterVec, Opts};

use super::Register;

/// What a route is called that is none of ours.
pub const OTHER: &str = "other";

/// Classes of the status of an answer.
const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Requests over HTTP.
#[derive(Debug)]
pub struct Admin {
    /// Answers, by route and class of status.
    requests: IntCounterVec,
}

impl Admin {
    pub(super) fn new(to: &Register) -> Result<Self, Error> {
        let opts = Opts::new(
            "lastpop_admin_requests_total",
            "Answers to requests over HTTP, by route (method and path) and class of status.",
        );
        Ok(Self { requests: to.add(IntCounterVec::new(opts, &["route", "code"])?)? })
    }

    /// These are served: their series are there from now on.
    pub fn serve<'a>(&self, routes: impl Iterator<Item = &'a str>) {
        for route in routes.chain([OTHER]) {
            for code in CODES {
                self.requests.with_label_values(&[route, code]);
            }
        }
    }

    /// One more answer. The route is one of those that are served, or [`OTHER`].
    pub fn answered(&self, route: &str, status: u16) {
        let code = match status {
            500.. => "5xx",
            400.. => "4xx",
            _ => "2xx",
        };
        self.requests.with_label_values(&[route, code]).inc();
    }
}
