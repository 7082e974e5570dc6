//! What is wrong with which resource: identity, life cycle, score, filters, queries and aggregations. Pure.
//!
//! Package findings are *derived* from the estate index, never stored. What is stored is the [`EpisodeLog`]: when which match
//! sets or resources gained or lost a vulnerability. Everything that a finding has beyond the present verdict (first observed,
//! closed, generation) is a read of that log.

mod aggregate;
mod assess;
mod condition;
mod criteria;
mod episodes;
mod kept;
mod listening;
pub mod oracle;
mod query;
mod reach;
mod risk;
mod scan;
mod suppressed;
mod token;
mod upgrades;
mod view;
mod world;

pub use aggregate::{Counts, Group, GroupBy, aggregate};
pub use assess::{Assessment, assess};
pub use condition::{Condition, PathStep, condition_key};
pub use criteria::{Criteria, DateField, NumberField, PackageTest, Side, Term, TextField, TextTest};
pub use episodes::{
    CLOSED_RETENTION_MS, Episode, EpisodeBody, EpisodeLog, LogPosition, PairEvent, PairHistory, REOPEN_WINDOW_MS, Transition,
};
pub use listening::{Door, Listening, ReachedSocket};
pub use query::{Effort, FEW_PAIRS, Page, PageRequest, QueryError, Sort, SortField, WORK, list};
pub use reach::Reach;
pub use risk::{RiskFactors, RiskScore, risk};
pub use scan::{Excepted, Judged, ScanFinding, ScanResult, end_of_life, judge, scan, tell};
pub use suppressed::{shown_otherwise, suppressed_of};
pub use token::{TokenError, TokenKey};
pub use upgrades::{Upgrade, upgrades};
pub use view::{AffectedPackage, FindingView, FixAvailable, InventorySource, NoInventories, WEIGHT_TAG, resource_type, view_of};
pub use world::{Activity, INSTANCE_TAG, ResourceEntry, Suppression, World};
