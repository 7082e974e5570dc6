//! What there is, in the model's words.

mod clusters;
mod functions;
mod images;
mod instances;
mod machine_images;
mod repositories;

pub use clusters::{RunningImage, discover_clusters, discover_running};
pub use functions::{FunctionCode, FunctionVersions, LATEST, discover_function, discover_functions, discover_versions};
pub use images::{FoundImage, discover_images, discover_repositories};
pub use instances::discover_instances;
pub use machine_images::{FoundMachineImage, discover_machine_images};
pub use repositories::{RegistryRules, registry_rules, wildcard};

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
