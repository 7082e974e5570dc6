//! What is counted and timed while serving, and how it is told to Prometheus (text format 0.0.4).
//!
//! Labels come from small sets: kinds, reasons, names of targets and feeds. Nothing of a scanned thing is one.

use crate::core::lock;
use crate::hub::Hub;
use crate::{Core, ServerError};
use lestrade_extract::ScanError;
use lestrade_findings::{Criteria, GroupBy, LogPosition, aggregate};
use lestrade_model::{Inventory, ProblemKind, Severity, Timestamp};
use lestrade_report::kind_name;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

/// How long counts of findings are told again although the world has moved: counting them is work.
const COUNTS_MS: i64 = 30_000;

/// By the name of a metric and the value of its label.
type Labelled<T> = Mutex<BTreeMap<(&'static str, String), T>>;

/// Counters and sums since the start.
#[derive(Default)]
pub(crate) struct Meters {
    counters: Labelled<u64>,
    times: Labelled<(Duration, u64)>,
    counted: Mutex<Option<(Timestamp, LogPosition, Counted)>>,
}

/// Findings by severity and status.
type Counted = BTreeMap<(&'static str, &'static str), u64>;

impl Meters {
    fn count(&self, name: &'static str, label: &str) {
        *lock(&self.counters).entry((name, label.to_owned())).or_default() += 1;
    }

    fn time(&self, name: &'static str, label: &str, taken: Duration) {
        let mut times = lock(&self.times);
        let (sum, count) = times.entry((name, label.to_owned())).or_default();
        *sum = sum.saturating_add(taken);
        *count += 1;
    }

    /// A target did not take something.
    pub(crate) fn not_delivered(&self, target: &str) {
        self.count("delivery_failures_total", target);
    }

    /// A feed was polled and brought nothing.
    pub(crate) fn not_fetched(&self, feed: &str) {
        self.count("feed_failures_total", feed);
    }

    /// News was acted upon, so long after it was there.
    pub(crate) fn acted(&self, cause: &'static str, since: Duration) {
        self.time("time_to_finding_seconds", cause, since);
    }

    /// A look at a resource ended.
    pub(crate) fn looked(&self, kind: &'static str, taken: Duration, brought: Result<&Inventory, &ScanError>) {
        self.time("scan_duration_seconds", kind, taken);
        let Ok(inventory) = brought else { return self.count("scan_failures_total", kind) };
        let kinds: std::collections::BTreeSet<&str> = inventory.problems.iter().map(|problem| reason(problem.kind)).collect();
        kinds.iter().for_each(|reason| self.count("scan_partial_total", reason));
        if kinds.contains(reason(ProblemKind::Crashed)) {
            self.count("worker_crash_total", kind);
        }
    }
}

const fn reason(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Malformed => "malformed",
        ProblemKind::Truncated => "truncated",
        ProblemKind::LimitExceeded => "limit_exceeded",
        ProblemKind::Unreadable => "unreadable",
        ProblemKind::Unsupported => "unsupported",
        ProblemKind::DigestMismatch => "digest_mismatch",
        ProblemKind::Crashed => "crashed",
        ProblemKind::UnknownSystem => "unknown_system",
        _ => "other",
    }
}

/// A page in Prometheus's text format.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A metric, and its samples with their labels.
    fn metric(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = (Vec<(&'static str, String)>, f64)>) {
        let _ = writeln!(self.0, "# HELP lestrade_{name} {help}\n# TYPE lestrade_{name} {kind}");
        samples.into_iter().for_each(|(labels, value)| self.sample(name, &labels, value));
    }

    fn sample(&mut self, name: &str, labels: &[(&'static str, String)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "lestrade_{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Open findings that nobody suppressed and those that somebody did, and closed ones, by severity.
fn counted(core: &Core) -> Counted {
    let now = core.now();
    let head = core.world().log.head();
    if let Some((at, position, counts)) = &*lock(&core.meters.counted) {
        let age = now.as_millis().saturating_sub(at.as_millis());
        if (0..COUNTS_MS).contains(&age) || (*position == head && (0..10 * COUNTS_MS).contains(&age)) {
            return counts.clone();
        }
    }
    let world = core.world();
    let scopes: Vec<_> = world.scopes().cloned().collect();
    let severity = |vulnerability| world.assessment(vulnerability).map_or(Severity::Untriaged, |known| known.severity).as_str();
    let mut counts = Counted::new();
    let mut open: BTreeMap<&'static str, u64> = BTreeMap::new();
    for vulnerability in world.estate.present_vulnerabilities() {
        *open.entry(severity(vulnerability)).or_default() += world.estate.resources_with(vulnerability).len();
    }
    for vulnerability in world.log.vulnerabilities_closed_somewhere() {
        let closed = world.log.closed_resources(vulnerability).map_or(0, roaring::RoaringBitmap::len);
        *counts.entry((severity(vulnerability), "CLOSED")).or_default() += closed;
    }
    // Severities are of match sets: no inventory is read for them.
    for group in aggregate(&world, core, &scopes, &Criteria::default(), GroupBy::Severity, now).unwrap_or_default() {
        if let Ok(severity) = group.key.parse::<Severity>() {
            counts.insert((severity.as_str(), "ACTIVE"), group.counts.all);
        }
    }
    for (severity, open) in open {
        let active = counts.get(&(severity, "ACTIVE")).copied().unwrap_or_default();
        counts.insert((severity, "SUPPRESSED"), open.saturating_sub(active));
    }
    drop(world);
    *lock(&core.meters.counted) = Some((now, head, counts.clone()));
    counts
}

/// Everything that is measured, as Prometheus reads it.
///
/// # Errors
/// When the store fails.
pub(crate) fn page(hub: &Hub) -> Result<String, ServerError> {
    let core = hub.core();
    let now = core.now();
    let seconds = |at: Timestamp| now.as_millis().saturating_sub(at.as_millis()).max(0) as f64 / 1000.0;
    let one = |label: &'static str, value: &str| vec![(label, value.to_owned())];
    let mut page = Page::default();

    let findings = counted(core);
    let samples = findings
        .iter()
        .map(|((severity, status), count)| (vec![("severity", (*severity).to_owned()), ("status", (*status).to_owned())], *count as f64));
    page.metric("findings", "gauge", "Findings by severity and status.", samples);
    let mut resources: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
    {
        let world = core.world();
        let all = world.scopes().flat_map(|scope| world.resources_in(scope)).filter_map(|id| world.resource(id));
        for entry in all {
            for coverage in &entry.coverage {
                *resources.entry((kind_name(entry.resource.key.kind), coverage.reason.as_str())).or_default() += 1;
            }
        }
    }
    let samples = resources
        .iter()
        .map(|((kind, reason), count)| (vec![("kind", (*kind).to_owned()), ("reason", (*reason).to_owned())], *count as f64));
    page.metric("resources", "gauge", "Looks at resources by kind and by how they stand.", samples);

    let index = core.index();
    let feeds = index.as_ref().map(|index| index.manifest().feeds.clone()).unwrap_or_default();
    let ages = feeds.iter().map(|feed| (one("feed", &feed.feed), seconds(feed.imported_at)));
    page.metric("feed_age_seconds", "gauge", "Seconds since a feed was last brought in.", ages);
    let records = feeds.iter().map(|feed| (one("feed", &feed.feed), feed.records as f64));
    let polled = core.polls();
    let checked = polled.iter().map(|(feed, poll)| (one("feed", feed), seconds(poll.at)));
    page.metric("feed_polled_seconds", "gauge", "Seconds since a feed was last asked for what is new.", checked);
    page.metric("feed_records", "gauge", "Records of a feed in force.", records);

    let targets = hub.targets()?;
    let lags = targets.iter().map(|target| (one("target", &target.name), target.lag as f64));
    page.metric("outbox_lag_seconds", "gauge", "For how long the first of what a target was not served has been waiting.", lags);
    let behind = targets.iter().map(|target| (one("target", &target.name), target.behind as f64));
    page.metric("outbox_behind", "gauge", "Groups of events that a target was not served.", behind);
    let letters = targets.iter().flat_map(|target| {
        let of = |state: &str, count: u64| (vec![("target", target.name.clone()), ("state", state.to_owned())], count as f64);
        [of("waiting", target.waiting), of("dead", target.dead)]
    });
    page.metric("letters", "gauge", "Messages that a target did not take.", letters);

    let audit = core.audit_state();
    page.metric("audited_resources_total", "counter", "Resources audited.", [(vec![], audit.resources as f64)]);
    page.metric(
        "audit_differences_total",
        "counter",
        "Differences that the audit found; none but for a fault.",
        [(vec![], audit.differences as f64)],
    );

    let counters = lock(&core.meters.counters).clone();
    for (name, label, help) in [
        ("feed_failures_total", "feed", "Polls of a feed that brought nothing."),
        ("delivery_failures_total", "target", "Attempts at a target that failed."),
        ("scan_failures_total", "kind", "Looks that brought nothing."),
        ("scan_partial_total", "reason", "Looks that could not read everything, by why."),
        ("worker_crash_total", "kind", "Workers that died or were stopped."),
    ] {
        let samples = counters.iter().filter(|((counter, _), _)| *counter == name);
        page.metric(name, "counter", help, samples.map(|((_, value), count)| (one(label, value), *count as f64)));
    }
    let times = lock(&core.meters.times).clone();
    for (name, label, help) in
        [("scan_duration_seconds", "kind", "How long looks took."), ("time_to_finding_seconds", "cause", "From news to findings.")]
    {
        page.metric(name, "summary", help, []);
        for ((_, value), (sum, count)) in times.iter().filter(|((timed, _), _)| *timed == name) {
            page.sample(&format!("{name}_sum"), &one(label, value), sum.as_secs_f64());
            page.sample(&format!("{name}_count"), &one(label, value), *count as f64);
        }
    }
    Ok(page.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.metric("x", "gauge", "X.", [(vec![("target", "a\"b\\c\nd".to_owned())], 1.5)]);
        assert_eq!(page.0, "# HELP lestrade_x X.\n# TYPE lestrade_x gauge\nlestrade_x{target=\"a\\\"b\\\\c\\nd\"} 1.5\n");
    }
}
