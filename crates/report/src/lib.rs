//! Findings become what somebody reads: a table for a person, JSON for a program, Inspector's shapes for its clients and events.
//!
//! Everything that came from outside is escaped for where it goes: a package's name is data, never a control sequence.

mod escape;
mod fixes;
pub mod inspector;
mod json;
mod scan_report;
mod table;

pub use escape::printable;
pub use fixes::{Fix, fixes};
pub use json::scan_json;
pub use scan_report::{Intelligence, ScanReport};
pub use table::{TableStyle, scan_table};
