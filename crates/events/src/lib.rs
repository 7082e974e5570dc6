//! From the outbox to somebody who acts.
//!
//! A rule chooses events by a [`Pattern`] and says in which words which [`Target`] gets them. A target takes messages and says of each
//! whether the receiver has it. Delivery is at least once, with an id that is the same at every attempt, so that a receiver that
//! keeps ids sees every state change exactly once. When a message is sent, and when it is tried again, is decided by the
//! server's deliver reconciler with what [`schedule`](RetryPolicy) and [`Digests`] say; a target only knows how to send.

mod digest;
mod egress;
mod event;
mod headline;
pub mod http;
mod input;
mod pattern;
mod record;
mod rule;
mod schedule;
mod secret;
mod target;
mod targets;
mod template;
mod transform;

pub use digest::{DigestPolicy, Digests};
pub use egress::EgressPolicy;
pub use event::{Event, Message, Names};
pub use pattern::{EventFields, NotAnEvent, Pattern, PatternError, RuleSet};
pub use record::TargetRecord;
pub use rule::{Rule, RuleError, Rules, Words};
pub use schedule::{Rate, RetryPolicy, TokenBucket, parse_duration};
pub use secret::{LocalSecrets, Secret, Secrets};
pub use target::{DeliveryError, ForgetfulNotes, Kinds, Notes, OpenTarget, Proposal, Sent, Surroundings, Target};
pub use template::Template;
pub use transform::{EventPath, TransformError, Transformer};
