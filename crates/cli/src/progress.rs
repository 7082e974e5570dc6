//! Bars of what is on its way, for a person who watches a terminal; nothing where nobody does.

use crate::output::Speech;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lestrade_extract::PullProgress;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A bar for each thing that is on its way, on standard error.
pub(crate) struct Bars {
    all: MultiProgress,
    by_name: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    pub(crate) fn new(speech: Speech) -> Self {
        let watched = std::io::stderr().is_terminal() && !speech.quiet && std::env::var_os("CI").is_none();
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), by_name: Mutex::default() }
    }

    /// So many bytes of a thing have come, of so many.
    pub(crate) fn moved(&self, name: &str, bytes: u64, total: Option<u64>) {
        let mut bars = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(name.to_owned()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            let template = "{prefix:28} {bar:30} {bytes:>10} / {total_bytes:10} {bytes_per_sec}";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_owned());
            bar
        });
        bar.set_length(total.unwrap_or(bytes).max(bytes));
        bar.set_position(bytes);
    }

    /// A thing is there, or will not come.
    pub(crate) fn finished(&self, name: &str, what: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(bar) = self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name) {
            bar.finish_with_message(what);
        }
    }

    /// Something is being done that nobody knows the length of.
    pub(crate) fn busy(&self, with: &'static str) {
        let bar = self.all.add(ProgressBar::new_spinner().with_message(with));
        bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Takes all bars away.
    pub(crate) fn clear(&self) {
        let _ = self.all.clear();
    }
}

impl PullProgress for Bars {
    fn fetched(&self, digest: &str, bytes: u64, total: Option<u64>) {
        self.moved(short(digest), bytes, total);
    }

    fn done(&self, digest: &str) {
        self.finished(short(digest), "");
    }
}

/// As much of a digest as a person compares. It is one that was checked to be a digest.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}
