//! What there is, in the model's words.

mod clusters;
mod functions;
mod images;
mod instances;

pub use clusters::{RunningImage, discover_clusters, discover_running};
pub use functions::{FunctionCode, discover_function, discover_functions};
pub use images::{FoundImage, discover_images, discover_repositories};
pub use instances::discover_instances;

use lestrade_model::Timestamp;
use lestrade_wire::EpochSeconds;

/// Tags as the model keeps them: sorted by key.
fn sorted(mut tags: Vec<(String, String)>) -> Vec<(String, String)> {
    tags.sort_unstable();
    tags
}

fn instant(seconds: Option<EpochSeconds>) -> Timestamp {
    seconds.map(Timestamp::from).unwrap_or_default()
}
