//! A report in the format that was asked for.

use crate::args::{Format, Output};
use crate::failure::Failure;
use crate::output::{self, Speech};
use lestrade_report::{
    Document, ScanReport, TableStyle, csv, cyclonedx, cyclonedx_vdr, gitlab, junit, markdown, sarif, scan_json, scan_table, spdx,
};

/// Writes it where it is to go.
pub(super) fn render(report: &ScanReport, wanted: &Output, speech: Speech) -> Result<(), Failure> {
    let text = match wanted.format {
        Format::Table => scan_table(report, style(wanted, speech)),
        Format::Json => return document(&scan_json(report), wanted),
        Format::Sarif => format!("{:#}\n", sarif(report)),
        Format::Cyclonedx => return document(&cyclonedx(report, wanted.version), wanted),
        Format::CyclonedxVdr => format!("{:#}\n", cyclonedx_vdr(report, wanted.version)),
        Format::SpdxJson => return document(&spdx(report), wanted),
        Format::Csv => csv(report),
        Format::Markdown => markdown(report),
        Format::Gitlab => format!("{:#}\n", gitlab(report)),
        Format::Junit => junit(report),
    };
    output::write(wanted.file.as_deref(), &text)
}

/// Writes a document while it is made.
fn document(document: &Document<'_>, wanted: &Output) -> Result<(), Failure> {
    output::write_with(wanted.file.as_deref(), |out| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        out.write_all(b"\n")
    })
}

/// How a table is drawn where it goes.
pub(super) fn style(wanted: &Output, speech: Speech) -> TableStyle {
    TableStyle { width: output::width(), colour: wanted.file.is_none() && output::colour(speech.color) }
}
