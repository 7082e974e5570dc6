//! Loops that never stop. A reconciler is idempotent and takes no input; it is woken by a signal and by a timer, and a failure
//! is logged and tried again, later each time.

use crate::ServerError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Does what is missing.
pub trait Reconciler: Send {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Brings the world closer to what it should be. May be called at any time, any number of times.
    ///
    /// # Errors
    /// When something that it needs fails; it will be called again.
    fn reconcile(&mut self) -> Result<Outcome, ServerError>;

    /// How long until it is to be called again at the latest, after the last call; none leaves it to its interval.
    fn due(&self) -> Option<Duration> {
        None
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something: those that depend on it should look.
    Changed,
    /// Nothing was missing.
    Unchanged,
}

/// Wakes a reconciler. Several wake-ups before it looks are one.
#[derive(Clone, Debug)]
pub struct Signal(SyncSender<Wake>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Look,
    Stop,
}

impl Signal {
    /// Wakes it.
    pub fn wake(&self) {
        let _ = self.0.try_send(Wake::Look);
    }
}

/// Longest pause after failures.
const MAX_BACKOFF: Duration = Duration::from_secs(20);

/// Running reconcilers. Dropping this stops them after what they are doing.
#[derive(Default)]
pub struct Reconcilers {
    running: Vec<(SyncSender<Wake>, Option<JoinHandle<()>>)>,
}

impl Reconcilers {
    /// Runs a reconciler in a thread of its own: at once, then whenever it is woken and at least every `interval`. When it
    /// changed something, `then` are woken.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn run(&mut self, mut reconciler: impl Reconciler + 'static, interval: Duration, then: Vec<Signal>) -> std::io::Result<Signal> {
        let (sender, receiver) = sync_channel(2);
        let signal = Signal(sender.clone());
        let thread = std::thread::Builder::new().name(reconciler.name().to_owned()).spawn(move || {
            let mut failures = 0_u32;
            loop {
                match reconciler.reconcile() {
                    Ok(outcome) => {
                        failures = 0;
                        if outcome == Outcome::Changed {
                            then.iter().for_each(Signal::wake);
                        }
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(reconciler = reconciler.name(), %error, failures, "will be tried again");
                    }
                }
                let backoff = Duration::from_millis(250).saturating_mul(1 << failures.min(8)).min(MAX_BACKOFF);
                let pause = if failures > 0 { backoff } else { reconciler.due().map_or(interval, |due| due.min(interval)) };
                if wait(&receiver, pause) == Wake::Stop {
                    break;
                }
            }
        })?;
        self.running.push((sender, Some(thread)));
        Ok(signal)
    }
}

fn wait(receiver: &Receiver<Wake>, pause: Duration) -> Wake {
    match receiver.recv_timeout(pause) {
        Ok(wake) => wake,
        Err(RecvTimeoutError::Timeout) => Wake::Look,
        Err(RecvTimeoutError::Disconnected) => Wake::Stop,
    }
}

impl Drop for Reconcilers {
    fn drop(&mut self) {
        for (sender, _) in &self.running {
            let _ = sender.send(Wake::Stop);
        }
        for (_, thread) in &mut self.running {
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
