//! Which vulnerabilities are in which components, forwards and backwards, by the same two gates.
//!
//! * [`affects`] judges one component against one affected entry. It is context-free and the only caller of version orders.
//! * [`applies_to`] adds what depends on the resource, [`Statements`] what somebody says about it (VEX, ignore files).
//! * [`AdvisoryIndex`] is what is known of vulnerabilities, over a byte slice that may be mapped.
//! * [`Estate`] is what is installed where: dictionaries and two joins, never a row per pair.
//!
//! Pure: no I/O, no clock. The scan, the watching server and `explain` all come through here.

mod affects;
mod applies;
mod estate;
pub mod frame;
mod index;
mod judge;
mod mode;
mod named;
mod statements;

pub use affects::{Verdict, affects, comparable};
pub use applies::{Applicability, applies_to};
pub use estate::{
    CLASSES, Class, ComponentId, Estate, ResourceDelta, ResourceId, SetId, SetVulnerabilities, Sharers, Tally, VerdictDelta,
    VulnerabilityId,
};
pub use index::{
    AdvisoryIndex, Entry, FeedState, IndexChanges, IndexDiff, IndexError, Manifest, Rescored, VulnerabilityName, build_index,
    build_index_over, build_index_with, encode_advisory,
};
pub use judge::{judge_component, judge_vulnerability};
pub use mode::ReportMode;
pub use statements::{BadPattern, PackagePattern, Statement, Statements, Status};
