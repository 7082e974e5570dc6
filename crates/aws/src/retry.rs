//! Asking again.

use lestrade_wire::{Client, Error, Request, Transport};
use std::time::Duration;

/// How often to ask again when the service is busy, and how long to wait: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The first wait.
    pub first_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(250) }
    }
}

impl Retry {
    /// Calls until there is an answer that another attempt would not change, or the attempts are used up.
    pub(crate) async fn call<T: Transport, R: Request>(&self, client: &Client<T>, input: &R) -> Result<R::Response, Error> {
        let mut wait = self.first_wait;
        for _ in 1..self.attempts {
            match client.call(input).await {
                Err(error) if error.is_retryable() => tokio::time::sleep(wait).await,
                answer => return answer,
            }
            wait *= 2;
        }
        client.call(input).await
    }
}
