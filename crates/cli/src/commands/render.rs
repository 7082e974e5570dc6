//! A report in the format that was asked for.

use crate::args::{Format, Output};
use crate::output::{self, Speech};
use lestrade_report::{ScanReport, TableStyle, csv, cyclonedx, cyclonedx_vdr, gitlab, junit, markdown, sarif, scan_json, scan_table, spdx};

pub(super) fn render(report: &ScanReport, wanted: &Output, speech: Speech) -> String {
    match wanted.format {
        Format::Table => scan_table(report, style(wanted, speech)),
        Format::Json => format!("{:#}\n", scan_json(report)),
        Format::Sarif => format!("{:#}\n", sarif(report)),
        Format::Cyclonedx => format!("{:#}\n", cyclonedx(report, wanted.version)),
        Format::CyclonedxVdr => format!("{:#}\n", cyclonedx_vdr(report, wanted.version)),
        Format::SpdxJson => format!("{:#}\n", spdx(report)),
        Format::Csv => csv(report),
        Format::Markdown => markdown(report),
        Format::Gitlab => format!("{:#}\n", gitlab(report)),
        Format::Junit => junit(report),
    }
}

/// How a table is drawn where it goes.
pub(super) fn style(wanted: &Output, speech: Speech) -> TableStyle {
    TableStyle { width: output::width(), colour: wanted.file.is_none() && output::colour(speech.color) }
}
