//! Named steps of what must survive a crash. A test ends the process at one of them, as a power cut would: nothing is flushed,
//! nothing is told. Programs that are built for use have none of it.

/// A place at which a test may end the process: `LESTRADE_CUT=NAME` in the environment does at the first time that it comes here,
/// `NAME*N` at the N-th, and `*N` at the N-th step whichever it is.
#[cfg(debug_assertions)]
pub fn step(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CUT: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let asked = std::env::var("LESTRADE_CUT").ok()?;
        let (name, times) = asked.split_once('*').unwrap_or((&asked, "1"));
        Some((name.to_owned(), AtomicU64::new(times.parse().ok()?)))
    });
    if let Some((wanted, left)) = &*CUT
        && (wanted.is_empty() || wanted == name)
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn step(_: &'static str) {}
