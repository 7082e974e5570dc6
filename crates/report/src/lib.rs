//! Findings become what somebody reads: a table for a person, JSON for a program, Inspector's shapes for its clients and events.
//!
//! Everything that came from outside is escaped for where it goes: a package's name is data, never a control sequence.

mod cyclonedx;
mod escape;
mod fixes;
pub mod inspector;
mod json;
mod sarif;
mod scan_report;
mod table;

pub use cyclonedx::cyclonedx;
pub use escape::printable;
pub use fixes::{Fix, fixes};
pub use json::scan_json;
pub use sarif::sarif;
pub use scan_report::{Intelligence, ScanReport};
pub use table::{TableStyle, scan_table};
