//! Findings become what somebody reads: a table for a person, JSON for a program, Inspector's shapes for its clients and events.
//!
//! Everything that came from outside is escaped for where it goes: a package's name is data, never a control sequence.

mod asff;
mod csv;
mod cyclonedx;
mod diff;
mod document;
mod escape;
mod estate;
pub mod events;
mod explain;
mod exposure;
mod findings_csv;
mod fixes;
mod gitlab;
pub mod inspector;
mod json;
mod junit;
mod markdown;
mod sarif;
mod scan_report;
mod scan_sbom;
mod spdx;
mod table;

pub use asff::asff;
pub use csv::csv;
pub use cyclonedx::{CycloneDxVersion, cyclonedx, cyclonedx_vdr};
pub use diff::{Diff, DiffEntry, diff, diff_json, diff_table};
pub use document::Document;
pub use escape::{json_text, printable, write_json};
pub use estate::{
    coverage_json, exposure_word, finding_detail_json, finding_json, kind_name, resource_exposure_json, resource_json, resource_name,
    resource_ref_json,
};
pub use explain::{advisory_text, explain, explain_json, exploits_text, rejected};
pub use exposure::{
    exposure_difference_json, exposure_difference_table, exposure_is_partial, exposure_json, exposure_svg, exposure_table, exposure_verdict,
};
pub use findings_csv::{findings_csv_heading, findings_csv_line};
pub use fixes::{Fix, fixes, upgrade_json};
pub use gitlab::gitlab;
pub use json::scan_json;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;
pub use scan_report::{Intelligence, ScanReport};
pub use scan_sbom::{scanned_cyclonedx, scanned_inspector};
pub use spdx::spdx;
pub use table::{TableStyle, scan_table};
