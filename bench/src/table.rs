//! Markdown tables and the units in them.

use std::time::Duration;

/// A table that is printed when it is full.
pub(crate) struct Table {
    columns: usize,
}

impl Table {
    /// Prints the title, the command that made the table, and its head.
    pub(crate) fn new(title: &str, command: &str, head: &[&str]) -> Self {
        println!("\n### {title}\n\n`{command}`\n");
        println!("| {} |", head.join(" | "));
        println!("|{}", "---|".repeat(head.len()));
        Self { columns: head.len() }
    }

    /// Prints a row; missing cells are empty.
    pub(crate) fn row(&self, cells: &[&str]) {
        let missing = vec![""; self.columns.saturating_sub(cells.len())];
        println!("| {} |", [cells, &missing].concat().join(" | "));
    }
}

/// A duration with three digits.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    format!("{} {unit}", digits(value))
}

/// Three digits that count.
pub(crate) fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Bytes as MB.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", digits(bytes as f64 / 1e6))
}

/// The median of some durations.
pub(crate) fn median(times: &[Duration]) -> Duration {
    percentile(times, 0.5)
}

/// The duration that a share of them does not exceed.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
