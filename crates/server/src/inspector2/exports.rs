//! Reports of findings, and bills of materials. They go to a folder that stands for S3: a bucket is a folder in it.
//!
//! A report is written before the call that asks for it answers: whoever then asks for its status finds it done or failed.

use super::call::Call;
use super::coverage::resource_filter;
use super::criteria::criteria;
use super::failure::{Failure, invalid_field, not_found, unsupported};
use super::finding::finding;
use lestrade_findings::{ScanResult, Sort};
use lestrade_model::{Inventory, Resource, ResourceKind, Timestamp};
use lestrade_report::{CycloneDxVersion, Intelligence, ScanReport, cyclonedx, findings_csv_heading, findings_csv_line, spdx};
use lestrade_store::Document;
use lestrade_wire::inspector2::{
    CancelFindingsReportRequest, CancelFindingsReportResponse, CancelSbomExportRequest, CancelSbomExportResponse,
    CreateFindingsReportRequest, CreateFindingsReportResponse, CreateSbomExportRequest, CreateSbomExportResponse, Destination,
    ExternalReportStatus, FilterCriteria, GetFindingsReportStatusRequest, GetFindingsReportStatusResponse, GetSbomExportRequest,
    GetSbomExportResponse, ReportFormat, ReportingErrorCode, SbomReportFormat, StringComparison, StringFilter,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const FINDINGS: &str = "inspector2-findings-report";
const SBOMS: &str = "inspector2-sbom-export";
/// As many reports of a kind are remembered of a scope; their files stay.
const REMEMBERED: usize = 100;
const PAGE: usize = 100;
const FAILED: &str = "The report could not be written.";

/// A report that was asked for; `status` is what is answered to whoever asks for it.
#[derive(Serialize, Deserialize)]
struct Asked<T> {
    at: Timestamp,
    status: T,
}

/// What goes wrong while a report is written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

pub(super) fn create_findings_report(call: &Call<'_>, input: CreateFindingsReportRequest) -> Result<CreateFindingsReportResponse, Failure> {
    let folder = folder(call, &input.s3_destination)?;
    let mut filter = input.filter_criteria.clone().unwrap_or_default();
    // A report is of what is open, unless somebody says otherwise.
    filter.finding_status.get_or_insert_with(|| vec![StringFilter { comparison: StringComparison::Equals, value: "ACTIVE".to_owned() }]);
    criteria(&filter)?;
    let id = Uuid::new_v4().to_string();
    let written = write_findings(call, &filter, &input.report_format, &folder, &id);
    let (status, error_code) = outcome(written);
    let status = GetFindingsReportStatusResponse {
        report_id: Some(id.clone()),
        status: Some(status),
        error_message: error_code.as_ref().map(|_| FAILED.to_owned()),
        error_code,
        destination: Some(input.s3_destination),
        filter_criteria: input.filter_criteria,
    };
    remember(call, FINDINGS, &id, status)?;
    Ok(CreateFindingsReportResponse { report_id: Some(id) })
}

pub(super) fn get_findings_report_status(
    call: &Call<'_>,
    input: GetFindingsReportStatusRequest,
) -> Result<GetFindingsReportStatusResponse, Failure> {
    match input.report_id {
        Some(id) => remembered(call, FINDINGS, &id),
        None => {
            let latest = all::<GetFindingsReportStatusResponse>(call, FINDINGS)?.into_iter().max_by_key(|(_, asked)| asked.at);
            latest.map(|(_, asked)| asked.status).ok_or_else(|| not_found("There is no report."))
        }
    }
}

pub(super) fn cancel_findings_report(call: &Call<'_>, input: CancelFindingsReportRequest) -> Result<CancelFindingsReportResponse, Failure> {
    remembered::<GetFindingsReportStatusResponse>(call, FINDINGS, &input.report_id)?;
    Err(finished())
}

pub(super) fn create_sbom_export(call: &Call<'_>, input: CreateSbomExportRequest) -> Result<CreateSbomExportResponse, Failure> {
    let folder = folder(call, &input.s3_destination)?;
    let admits = resource_filter(input.resource_filter_criteria.as_ref())?;
    let mut resources = Vec::new();
    call.backend.resources(&call.principal.scopes(), &mut |entry, _| {
        if let (Some(inventory), true) = (entry.inventory, admits(entry)) {
            resources.push((entry.resource.clone(), inventory));
        }
    })?;
    let id = Uuid::new_v4().to_string();
    let folder = folder.join(format!("{}_outputs_{id}", input.report_format.as_str()));
    let written = resources.iter().try_for_each(|(resource, inventory)| {
        let Some(inventory) = call.backend.inventory(inventory) else { return Ok(()) };
        write_sbom(call.now, resource, &inventory, &input.report_format, &folder)
    });
    let (status, error_code) = outcome(written);
    let status = GetSbomExportResponse {
        report_id: Some(id.clone()),
        format: Some(input.report_format),
        status: Some(status),
        error_message: error_code.as_ref().map(|_| FAILED.to_owned()),
        error_code,
        s3_destination: Some(input.s3_destination),
        filter_criteria: input.resource_filter_criteria,
    };
    remember(call, SBOMS, &id, status)?;
    Ok(CreateSbomExportResponse { report_id: Some(id) })
}

pub(super) fn get_sbom_export(call: &Call<'_>, input: GetSbomExportRequest) -> Result<GetSbomExportResponse, Failure> {
    remembered(call, SBOMS, &input.report_id)
}

pub(super) fn cancel_sbom_export(call: &Call<'_>, input: CancelSbomExportRequest) -> Result<CancelSbomExportResponse, Failure> {
    remembered::<GetSbomExportResponse>(call, SBOMS, &input.report_id)?;
    Err(finished())
}

fn finished() -> Failure {
    invalid_field("reportId", "the report is finished and cannot be cancelled")
}

fn outcome(written: Result<(), WriteError>) -> (ExternalReportStatus, Option<ReportingErrorCode>) {
    match written {
        Ok(()) => (ExternalReportStatus::Succeeded, None),
        Err(error) => {
            tracing::error!(%error, "a report could not be written");
            (ExternalReportStatus::Failed, Some(ReportingErrorCode::InternalError))
        }
    }
}

/// Where a destination is. Its parts are names, so nothing is written outside of the folder of exports.
fn folder(call: &Call<'_>, destination: &Destination) -> Result<PathBuf, Failure> {
    let exports = call.exports.ok_or_else(|| unsupported("no folder for exports is configured."))?;
    let bucket = destination.bucket_name.as_str();
    let of_a_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(of_a_bucket) || !is_name(bucket) || bucket.contains("..") {
        return Err(invalid_field("s3Destination.bucketName", "it must be the name of a bucket"));
    }
    let prefix = destination.key_prefix.as_deref().unwrap_or_default();
    let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
    if prefix.len() > 512 || !parts.iter().all(|part| is_name(part)) {
        return Err(invalid_field("s3Destination.keyPrefix", "its parts must be names of at most 512 characters together"));
    }
    Ok(parts.into_iter().fold(exports.join(bucket), |folder, part| folder.join(part)))
}

fn is_name(part: &str) -> bool {
    !part.starts_with('.') && part.len() <= 200 && part.chars().all(|c| !c.is_control() && !matches!(c, '/' | '\\'))
}

/// Writes a file that is there whole or not at all.
fn write(folder: &Path, name: &str, body: impl FnOnce(&mut BufWriter<File>) -> Result<(), WriteError>) -> Result<(), WriteError> {
    std::fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{name}.part"));
    let mut file = BufWriter::new(File::create(&unfinished)?);
    let written = body(&mut file).and_then(|()| Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?));
    match written {
        Ok(()) => Ok(std::fs::rename(&unfinished, folder.join(name))?),
        Err(error) => {
            let _ = std::fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

fn write_findings(call: &Call<'_>, filter: &FilterCriteria, format: &ReportFormat, folder: &Path, id: &str) -> Result<(), WriteError> {
    let criteria = criteria(filter).map_err(Failure::from)?;
    let csv = *format == ReportFormat::Csv;
    write(folder, &format!("{id}.{}", if csv { "csv" } else { "json" }), |file| {
        file.write_all(if csv { findings_csv_heading() } else { "{\"findings\":[".to_owned() }.as_bytes())?;
        let (mut token, mut first) = (None, true);
        loop {
            let page = call.backend.list_findings(&call.principal.scopes(), &criteria, Sort::default(), PAGE, token.as_deref());
            let page = page.map_err(Failure::from)?;
            for view in &page.findings {
                if csv {
                    file.write_all(findings_csv_line(view).as_bytes())?;
                    continue;
                }
                file.write_all(if first { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *file, &finding(view)?)?;
                first = false;
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        Ok(file.write_all(if csv { b"" } else { b"\n]}\n" })?)
    })
}

/// A bill of materials says what is there, and nothing of vulnerabilities.
fn write_sbom(
    now: Timestamp,
    resource: &Resource,
    inventory: &Inventory,
    format: &SbomReportFormat,
    folder: &Path,
) -> Result<(), WriteError> {
    let key = &resource.key;
    let report = ScanReport {
        target: key.id.clone(),
        kind: if key.kind == ResourceKind::Image { "image" } else { "host" },
        inventory: inventory.clone(),
        result: ScanResult::default(),
        intelligence: Intelligence { generation: 0, newest: None, feeds: Vec::new(), starter_only: false },
        expired: Vec::new(),
        at: now,
        source_date: Some(now),
    };
    let document = if *format == SbomReportFormat::Spdx23 { spdx(&report) } else { cyclonedx(&report, CycloneDxVersion::V1_4) };
    let kind = lestrade_findings::resource_type(key.kind);
    let folder = folder.join(format!("account={}", key.scope.account)).join(format!("resource={kind}"));
    // Ids are longer than names of files may be, and have slashes: the name is a function of the id.
    let name = format!("{}.json", Uuid::new_v5(&Uuid::NAMESPACE_URL, key.id.as_bytes()));
    write(&folder, &name, |file| Ok(serde_json::to_writer(file, &document)?))
}

fn remember<T: Serialize + DeserializeOwned>(call: &Call<'_>, kind: &str, id: &str, status: T) -> Result<(), Failure> {
    let mut earlier: Vec<(String, Timestamp)> = all::<T>(call, kind)?.into_iter().map(|(id, asked)| (id, asked.at)).collect();
    earlier.sort_by_key(|(_, at)| *at);
    for (id, _) in earlier.iter().take((earlier.len() + 1).saturating_sub(REMEMBERED)) {
        call.backend.delete_document(call.scope(), kind, id)?;
    }
    let body = serde_json::to_string(&Asked { at: call.now, status })?;
    Ok(call.backend.put_document(call.scope(), kind, &Document { key: id.to_owned(), body })?)
}

fn remembered<T: DeserializeOwned>(call: &Call<'_>, kind: &str, id: &str) -> Result<T, Failure> {
    let found = all::<T>(call, kind)?.into_iter().find(|(known, _)| known == id);
    found.map(|(_, asked)| asked.status).ok_or_else(|| not_found(format!("There is no report {id}.")))
}

fn all<T: DeserializeOwned>(call: &Call<'_>, kind: &str) -> Result<Vec<(String, Asked<T>)>, Failure> {
    let documents = call.backend.documents(call.scope(), kind)?;
    documents.into_iter().map(|document| Ok((document.key, serde_json::from_str(&document.body)?))).collect()
}
