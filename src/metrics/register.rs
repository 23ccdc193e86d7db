//! Makes metrics with our prefix, registered, with every series that can be.

use prometheus::core::Collector;
use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Where metrics are registered.
pub(super) struct Register(pub(super) Registry);

/// A label and the values that it can have.
pub(super) type Label<'a> = (&'a str, &'a [&'a str]);

fn named(name: &str, help: &str) -> Opts {
    Opts::new(format!("lastpop_{name}"), help)
}

fn buckets(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(format!("lastpop_{name}"), help).buckets(buckets.to_vec())
}

impl Register {
    pub(super) fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add(IntCounter::with_opts(named(name, help))?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add(IntGauge::with_opts(named(name, help))?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        (label, values): Label<'_>,
    ) -> Result<IntGaugeVec, Error> {
        let vec = self.add(IntGaugeVec::new(named(name, help), &[label])?)?;
        for value in values {
            vec.with_label_values(&[value]);
        }
        Ok(vec)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        (label, values): Label<'_>,
    ) -> Result<IntCounterVec, Error> {
        let vec = self.add(IntCounterVec::new(named(name, help), &[label])?)?;
        for value in values {
            vec.with_label_values(&[value]);
        }
        Ok(vec)
    }

    pub(super) fn counters_by(
        &self,
        name: &str,
        help: &str,
        first: Label<'_>,
        second: Label<'_>,
    ) -> Result<IntCounterVec, Error> {
        let vec = self.add(IntCounterVec::new(named(name, help), &[first.0, second.0])?)?;
        for one in first.1 {
            second.1.iter().for_each(|two| drop(vec.with_label_values(&[one, two])));
        }
        Ok(vec)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, Error> {
        self.add(Histogram::with_opts(buckets(name, help, bounds))?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        (label, values): Label<'_>,
        bounds: &[f64],
    ) -> Result<HistogramVec, Error> {
        let vec = self.add(HistogramVec::new(buckets(name, help, bounds), &[label])?)?;
        for value in values {
            vec.with_label_values(&[value]);
        }
        Ok(vec)
    }
}
