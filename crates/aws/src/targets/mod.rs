//! The targets of `events` that are services of AWS, and the secrets that AWS keeps.
//!
//! Requests are signed by `wire` and sent under the same egress policy as every other target's.

mod call;
mod event_bridge;
mod isolate_ec2;
mod keys;
mod lambda;
mod patch_ssm;
mod secrets;
mod security_hub;
mod sns;
mod sqs;

pub use secrets::AwsSecrets;

use lestrade_events::OpenTarget;

/// The kinds, by name.
#[must_use]
pub fn kinds() -> [(&'static str, OpenTarget); 7] {
    [
        ("eventbridge", event_bridge::open),
        ("isolate-ec2", isolate_ec2::open),
        ("lambda", lambda::open),
        ("patch-ssm", patch_ssm::open),
        ("security-hub", security_hub::open),
        ("sns", sns::open),
        ("sqs", sqs::open),
    ]
}
