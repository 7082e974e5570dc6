//! What is in a report, and how it is written.

use super::place::{ExportPlace, said_by_bucket};
use crate::inspector2::backend::Backend;
use crate::inspector2::coverage::resource_filter;
use crate::inspector2::criteria::criteria;
use crate::inspector2::failure::Failure;
use crate::inspector2::finding::finding;
use lestrade_findings::{ScanResult, Sort};
use lestrade_model::{Hash, Inventory, ResourceKey, ResourceKind, Scope, Timestamp};
use lestrade_report::{CycloneDxVersion, Intelligence, ScanReport, cyclonedx, findings_csv_heading, findings_csv_line, spdx};
use lestrade_wire::inspector2::{
    CreateFindingsReportRequest, CreateSbomExportRequest, Destination, ReportFormat, ReportingErrorCode, SbomReportFormat,
    StringComparison, StringFilter,
};
use lestrade_wire::s3::Object;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// How many findings are read at a time.
const PAGE: usize = 500;

/// Why a report is not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nothing meets the criteria.
    #[error("no findings meet the criteria")]
    Nothing,
    /// Inventories that cannot be read; what is of the others is written.
    #[error("the inventories of {0} resources cannot be read; the others are written")]
    Missing(u64),
    /// It was cancelled, or the server stops.
    #[error("broken off")]
    BrokenOff,
    /// So many servers began it and ended before it was written.
    #[error("{0} servers ended while they wrote it; it is given up")]
    Fatal(u32),
}

impl From<serde_json::Error> for WriteError {
    /// What a file says while it is written to comes out as it went in.
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl WriteError {
    /// The code of it for whoever asked, and what is said. What a bucket says of itself is not repeated.
    pub(super) fn told(&self) -> (ReportingErrorCode, String) {
        match self {
            Self::Nothing => (ReportingErrorCode::NoFindingsFound, "No findings meet the criteria.".to_owned()),
            Self::Fatal(times) => {
                let message = format!("The server ended {times} times while the report was written. It is not tried again.");
                (ReportingErrorCode::InternalError, message)
            }
            Self::Missing(_) => (ReportingErrorCode::InternalError, format!("Not all is written: {self}.")),
            Self::Io(error) if let Some(error) = said_by_bucket(error) => {
                let code = error.refusal().map(|refusal| refusal.code.as_str()).unwrap_or_default();
                match code {
                    "NoSuchBucket" => (ReportingErrorCode::BucketNotFound, "There is no such bucket.".to_owned()),
                    "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                        (ReportingErrorCode::IncompatibleBucketRegion, "The bucket is in another region.".to_owned())
                    }
                    code if code.starts_with("KMS") || code.starts_with("InvalidArgument") => {
                        (ReportingErrorCode::MalformedKmsKey, "The KMS key cannot be used.".to_owned())
                    }
                    _ if error.is_denied() || matches!(code, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AllAccessDisabled") => {
                        (ReportingErrorCode::InvalidPermissions, "The server may not write to the bucket.".to_owned())
                    }
                    _ => (ReportingErrorCode::InternalError, "The bucket does not take the report.".to_owned()),
                }
            }
            _ => (ReportingErrorCode::InternalError, "The report could not be written.".to_owned()),
        }
    }
}

/// Writes reports, until somebody says that they are not wanted any more.
pub(super) struct Writer<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) place: &'a ExportPlace,
    /// Whose findings and resources a report is of.
    pub(super) scopes: &'a [Scope],
    pub(super) at: Timestamp,
    pub(super) broken_off: &'a AtomicBool,
}

impl Writer<'_> {
    fn go_on(&self) -> Result<(), WriteError> {
        if self.broken_off.load(Ordering::Relaxed) { Err(WriteError::BrokenOff) } else { Ok(()) }
    }

    /// Findings in one file.
    pub(super) fn findings(&self, id: &str, input: &CreateFindingsReportRequest) -> Result<(), WriteError> {
        let criteria = criteria(&of_what_is_open(input)).map_err(Failure::from)?;
        let csv = input.report_format == ReportFormat::Csv;
        let (ending, media) = if csv { ("csv", "text/csv; charset=utf-8") } else { ("json", "application/json") };
        let object = object(&input.s3_destination, &format!("{id}.{ending}"), media);
        self.place.write(object, |file| {
            file.write_all(if csv { findings_csv_heading() } else { "{\"findings\":[".to_owned() }.as_bytes())?;
            let (mut token, mut first) = (None, true);
            loop {
                self.go_on()?;
                let page = self.backend.list_findings(self.scopes, &criteria, Sort::default(), PAGE, token.as_deref());
                let page = page.map_err(Failure::from)?;
                for view in &page.findings {
                    if csv {
                        file.write_all(findings_csv_line(view).as_bytes())?;
                    } else {
                        file.write_all(if first { b"\n" } else { b",\n" })?;
                        serde_json::to_writer(&mut *file, &finding(view)?)?;
                    }
                    first = false;
                }
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
            if first {
                return Err(WriteError::Nothing);
            }
            Ok(file.write_all(if csv { b"" } else { b"\n]}\n" })?)
        })
    }

    /// A bill of materials of each resource, each in a file of its own.
    pub(super) fn sboms(&self, id: &str, input: &CreateSbomExportRequest) -> Result<(), WriteError> {
        let admits = resource_filter(input.resource_filter_criteria.as_ref())?;
        let missing = AtomicU64::new(0);
        for scope in self.scopes {
            let mut chosen: Vec<(ResourceKey, Hash)> = Vec::new();
            let scope = std::slice::from_ref(scope);
            let mut choose = |entry: &lestrade_findings::ResourceEntry, _: lestrade_findings::Activity<'_>| {
                if let (Some(inventory), true) = (entry.inventory, admits(entry)) {
                    chosen.push((entry.resource.key.clone(), inventory));
                }
            };
            self.backend.resources(scope, &mut choose).map_err(Failure::from)?;
            self.sboms_of(chosen, &|key, inventory| {
                self.go_on()?;
                match self.backend.inventory(inventory) {
                    Some(inventory) => self.sbom(id, input, key, &inventory),
                    None => {
                        tracing::warn!(resource = key.id, "its inventory cannot be read, so its bill of materials is not written");
                        missing.fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    }
                }
            })?;
        }
        match missing.into_inner() {
            0 => Ok(()),
            missing => Err(WriteError::Missing(missing)),
        }
    }

    /// As many at a time as is well where they go.
    fn sboms_of(
        &self,
        chosen: Vec<(ResourceKey, Hash)>,
        write: &(dyn Fn(&ResourceKey, &Hash) -> Result<(), WriteError> + Sync),
    ) -> Result<(), WriteError> {
        let left = Mutex::new(chosen.into_iter());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some((key, inventory)) = next() {
                write(&key, &inventory)?;
            }
            Ok(())
        };
        std::thread::scope(|threads| {
            let others: Vec<_> = (1..self.place.at_once()).map(|_| threads.spawn(work)).collect();
            let own: Result<(), WriteError> = work();
            let broke = |_| WriteError::Io(std::io::Error::other("a thread that wrote broke off"));
            others.into_iter().map(|other| other.join().map_err(broke).flatten()).fold(own, Result::and)
        })
    }

    /// It says what is there, and nothing of vulnerabilities.
    fn sbom(&self, id: &str, input: &CreateSbomExportRequest, key: &ResourceKey, inventory: &Inventory) -> Result<(), WriteError> {
        let report = ScanReport {
            target: key.id.clone(),
            kind: if key.kind == ResourceKind::Image { "image" } else { "host" },
            inventory: inventory.into(),
            result: ScanResult::default(),
            intelligence: Intelligence { generation: 0, newest: None, feeds: Vec::new(), starter_only: false },
            expired: Vec::new(),
            at: self.at,
            source_date: Some(self.at),
        };
        let is_spdx = input.report_format == SbomReportFormat::Spdx23;
        let document = if is_spdx { spdx(&report) } else { cyclonedx(&report, CycloneDxVersion::V1_4) };
        // Ids are longer than names of files may be, and have slashes: the name is a function of the id.
        let name = format!(
            "{}_outputs_{id}/account={}/resource={}/{}.json",
            input.report_format.as_str(),
            key.scope.account,
            lestrade_findings::resource_type(key.kind),
            Uuid::new_v5(&Uuid::NAMESPACE_URL, key.id.as_bytes())
        );
        self.place.write(object(&input.s3_destination, &name, "application/json"), |file| Ok(serde_json::to_writer(file, &document)?))
    }
}

/// A report is of what is open, unless somebody says otherwise.
pub(super) fn of_what_is_open(input: &CreateFindingsReportRequest) -> lestrade_wire::inspector2::FilterCriteria {
    let mut filter = input.filter_criteria.clone().unwrap_or_default();
    filter.finding_status.get_or_insert_with(|| vec![StringFilter { comparison: StringComparison::Equals, value: "ACTIVE".to_owned() }]);
    filter
}

/// A file of a report at its destination.
fn object(destination: &Destination, name: &str, media: &'static str) -> Object {
    let prefix = destination.key_prefix.as_deref().unwrap_or_default();
    let parts = prefix.split('/').filter(|part| !part.is_empty()).chain([name]);
    Object {
        bucket: destination.bucket_name.clone(),
        key: parts.collect::<Vec<_>>().join("/"),
        media,
        kms_key: Some(destination.kms_key_arn.clone()),
    }
}
