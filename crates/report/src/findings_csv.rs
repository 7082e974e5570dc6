//! Findings of an estate as CSV (RFC 4180), in columns that Inspector's reports of findings have too: a line for each finding.

use crate::csv::line;
use lestrade_findings::{AffectedPackage, FindingView};
use lestrade_model::ResourceDetails;

const COLUMNS: [&str; 22] = [
    "AWS Account Id",
    "Severity",
    "Fix Available",
    "Finding Type",
    "Title",
    "Description",
    "Finding ARN",
    "First Seen",
    "Last Seen",
    "Last Updated",
    "Resource ID",
    "Resource Type",
    "Container Image Tags",
    "Region",
    "Affected Packages",
    "Package Installed Version",
    "Fixed in Version",
    "File Path",
    "Inspector Score",
    "Status",
    "Vulnerability Id",
    "EPSS Score",
];

/// The line of headings.
#[must_use]
pub fn findings_csv_heading() -> String {
    line(COLUMNS.map(str::to_owned))
}

/// The line of a finding. What there are several of is joined by `, `, the packages in one order.
#[must_use]
pub fn findings_csv_line(view: &FindingView) -> String {
    let assessment = &view.assessment;
    let key = &view.resource.key;
    let tags = match &view.resource.details {
        ResourceDetails::Image(image) => image.tags.join(", "),
        _ => String::new(),
    };
    let packages = |cell: fn(&AffectedPackage) -> Option<&str>| {
        view.packages.iter().map(|package| cell(package).unwrap_or("NotAvailable")).collect::<Vec<_>>().join(", ")
    };
    line([
        key.scope.account.clone(),
        view.severity.as_str().to_owned(),
        view.fix_available.as_str().to_owned(),
        view.key.finding_type().as_str().to_owned(),
        view.title.clone(),
        assessment.summary.clone(),
        view.arn.as_str().to_owned(),
        view.first_observed.to_string(),
        view.last_observed.to_string(),
        view.updated.to_string(),
        key.id.clone(),
        lestrade_findings::resource_type(key.kind).to_owned(),
        tags,
        key.scope.region.clone(),
        packages(|package| Some(&package.component.name)),
        packages(|package| Some(&package.component.version)),
        packages(|package| package.fixed_in.as_deref()),
        packages(|package| package.path.as_deref()),
        view.inspector_score().map_or_else(String::new, |score| score.to_string()),
        view.status.as_str().to_owned(),
        if assessment.condition.is_none() { assessment.id.clone() } else { String::new() },
        assessment.epss.map_or_else(String::new, |epss| epss.to_string()),
    ])
}
