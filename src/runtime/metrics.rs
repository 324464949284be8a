//! The numbers that the agent tells Prometheus.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::log;

/// Which unit of which environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UnitLabels {
    /// The environment.
    pub environment: String,
    /// The unit.
    pub unit: String,
}

/// A unit and the state that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HealthLabels {
    /// The environment.
    pub environment: String,
    /// The unit.
    pub unit: String,
    /// Health in kstatus words.
    pub status: String,
}

/// Which environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EnvironmentLabels {
    /// The environment.
    pub environment: String,
}

/// A delivery of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// The kind of forge.
    pub sender: &'static str,
    /// What became of it.
    pub result: &'static str,
}

/// All metrics; cheap to clone, all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Passes, by unit.
    pub passes: Family<UnitLabels, Counter>,
    /// Drift found, by unit.
    pub drift: Family<UnitLabels, Counter>,
    /// 1 for the health that a unit has, 0 for those that it had.
    pub health: Family<HealthLabels, Gauge>,
    /// Seconds from the start of a pass to its plan.
    pub plan_seconds: Histogram,
    /// Seconds that the steps of a pass took.
    pub apply_seconds: Histogram,
    /// Seconds since the source was last seen.
    pub source_age: Gauge<f64, AtomicU64>,
    /// Entries that wait for the record's repository.
    pub record_queue: Family<EnvironmentLabels, Gauge>,
    /// Entries that can't be written for now, and are kept in memory.
    pub record_unwritten: Family<EnvironmentLabels, Gauge>,
    /// Deliveries of webhooks.
    pub webhook_deliveries: Family<DeliveryLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            passes: Family::default(),
            drift: Family::default(),
            health: Family::default(),
            plan_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            apply_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            source_age: Gauge::default(),
            record_queue: Family::default(),
            record_unwritten: Family::default(),
            webhook_deliveries: Family::default(),
        }
    }
}

impl Metrics {
    /// In the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        let mut registry = Registry::with_prefix("gitops_agent");
        registry.register("passes", "Passes made", self.passes.clone());
        registry.register("drift", "Objects found drifted", self.drift.clone());
        registry.register(
            "unit_health",
            "Health of a unit, 1 for the status it has",
            self.health.clone(),
        );
        registry.register_with_unit(
            "plan_duration",
            "From the start of a pass to its plan",
            Unit::Seconds,
            self.plan_seconds.clone(),
        );
        registry.register_with_unit(
            "apply_duration",
            "Executing the steps of a pass",
            Unit::Seconds,
            self.apply_seconds.clone(),
        );
        registry.register_with_unit(
            "source_age",
            "Since the environment repository last answered",
            Unit::Seconds,
            self.source_age.clone(),
        );
        registry.register(
            "record_queue_entries",
            "Entries not pushed yet",
            self.record_queue.clone(),
        );
        registry.register(
            "record_unwritten_entries",
            "Entries that cannot be written for now, in memory alone",
            self.record_unwritten.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Deliveries of webhooks, by sender and by what became of them",
            self.webhook_deliveries.clone(),
        );
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written",
            ConstCounter::new(log::lost()),
        );
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}
