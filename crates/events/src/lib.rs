//! From the outbox to somebody who acts: targets and delivery.
