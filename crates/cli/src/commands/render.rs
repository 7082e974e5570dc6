//! A report in the format that was asked for.

use crate::args::{Format, Output};
use crate::failure::Failure;
use crate::output::{self, Speech};
use lestrade_report::{
    ScanReport, TableStyle, csv, cyclonedx, cyclonedx_vdr, gitlab, junit, markdown, sarif, scan_json, scan_table, spdx, write_json,
};

/// Writes it where it is to go.
pub(super) fn render(report: &ScanReport, wanted: &Output, speech: Speech) -> Result<(), Failure> {
    let to = wanted.file.as_deref();
    let text = match wanted.format {
        Format::Table => scan_table(report, style(wanted, speech)),
        Format::Json => return output::write_with(to, |out| write_json(&scan_json(report), out)),
        Format::Sarif => return output::write_with(to, |out| write_json(&sarif(report), out)),
        Format::Cyclonedx => return output::write_with(to, |out| write_json(&cyclonedx(report, wanted.version), out)),
        Format::CyclonedxVdr => return output::write_with(to, |out| write_json(&cyclonedx_vdr(report, wanted.version), out)),
        Format::SpdxJson => return output::write_with(to, |out| write_json(&spdx(report), out)),
        Format::Csv => csv(report),
        Format::Markdown => markdown(report),
        Format::Gitlab => return output::write_with(to, |out| write_json(&gitlab(report), out)),
        Format::Junit => junit(report),
    };
    output::write(to, &text)
}

/// How a table is drawn where it goes.
pub(super) fn style(wanted: &Output, speech: Speech) -> TableStyle {
    TableStyle { width: output::width(), colour: wanted.file.is_none() && output::colour(speech.color) }
}
