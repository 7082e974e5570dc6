//! `inspector-scan` `ScanSbom`: a bill of materials in, what is vulnerable in it out. Nothing is kept.

use super::backend::{Backend, BackendError};
use lestrade_extract::Scanner;
use lestrade_report::{scanned_cyclonedx, scanned_inspector};
use lestrade_wire::inspector_scan::{
    Api, Error, InternalServerException, InternalServerExceptionReason, OutputFormat, ScanSbomRequest, ScanSbomResponse,
    ThrottlingException, ValidationException, ValidationExceptionField, ValidationExceptionReason,
};
use lestrade_wire::rest_json::{self, Invalid};
use lestrade_wire::{HttpRequest, HttpResponse, Service};
use std::io::Write;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the service is called in the scope of a signature.
pub(super) const SIGNING_NAME: &str = Api::SIGNING_NAME;
/// How many documents are read at once: each is on disk and has a worker.
const AT_ONCE: usize = 4;

/// What reads documents.
pub(super) struct Scans {
    scanner: Arc<Scanner>,
    places: Semaphore,
}

impl Scans {
    pub(super) fn new(scanner: Arc<Scanner>) -> Self {
        Self { scanner, places: Semaphore::new(AT_ONCE) }
    }
}

/// Whether a request is for this service: its one operation is none of `inspector2`.
pub(super) fn is_asked(request: &HttpRequest) -> bool {
    rest_json::route::<Api>(&request.method, &request.path).is_some()
}

/// Answers a request whose sender is known: whoever has a key may ask. Blocks.
pub(super) fn answer(backend: &impl Backend, scans: Option<&Scans>, request: &HttpRequest) -> HttpResponse {
    let answer = rest_json::decode::<ScanSbomRequest>(request, &[]).map_err(invalid);
    let answer = answer.and_then(|input| scan(backend, scans, &input)).and_then(|output| {
        rest_json::success::<ScanSbomRequest>(&output).map_err(|error| {
            tracing::error!(%error, "an answer could not be written");
            fault("Internal server error.")
        })
    });
    answer.unwrap_or_else(|error| {
        rest_json::failure(&error).unwrap_or_else(|_| rest_json::refusal(500, "InternalServerException", "Internal server error."))
    })
}

fn scan(backend: &impl Backend, scans: Option<&Scans>, input: &ScanSbomRequest) -> Result<ScanSbomResponse, Error> {
    let format = input.output_format.as_ref().unwrap_or(&OutputFormat::CycloneDx15);
    if *format == OutputFormat::InspectorAlt {
        return Err(refused(ValidationExceptionReason::Other, "Not supported by Lestrade: the output format INSPECTOR_ALT."));
    }
    if input.sbom["bomFormat"] != "CycloneDX" {
        return Err(refused(ValidationExceptionReason::UnsupportedSbomType, "The SBOM is not CycloneDX in JSON."));
    }
    let Some(scans) = scans else { return Err(fault("No documents are scanned here.")) };
    let Ok(_place) = scans.places.try_acquire() else {
        let message = "As many documents as can be are being scanned.".to_owned();
        return Err(ThrottlingException { message, retry_after_seconds: Some(1) }.into());
    };
    let kept = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a document could not be kept while it is read");
        fault("Internal server error.")
    };
    let mut file = tempfile::NamedTempFile::new().map_err(|error| kept(&error))?;
    let bytes = serde_json::to_vec(&input.sbom).map_err(|error| kept(&error))?;
    file.write_all(&bytes).map_err(|error| kept(&error))?;
    let name = input.sbom.pointer("/metadata/component/name").and_then(serde_json::Value::as_str).unwrap_or("sbom");
    let report = match backend.scan_document(&scans.scanner, file.path(), name) {
        Ok(Some(report)) => report,
        // An empty answer would call clean what nobody judged.
        Ok(None) => return Err(fault("There is no vulnerability intelligence in force: nothing can be judged.")),
        Err(BackendError::Document(why)) => return Err(refused(ValidationExceptionReason::UnsupportedSbomType, &why)),
        Err(error) => {
            tracing::error!(%error, "a bill of materials could not be scanned");
            return Err(fault("Internal server error."));
        }
    };
    let sbom = if *format == OutputFormat::Inspector { scanned_inspector(&report) } else { scanned_cyclonedx(&report) };
    Ok(ScanSbomResponse { sbom: Some(sbom) })
}

fn refused(reason: ValidationExceptionReason, message: &str) -> Error {
    ValidationException { message: message.to_owned(), reason, fields: None }.into()
}

fn fault(message: &str) -> Error {
    let reason = InternalServerExceptionReason::Other;
    InternalServerException { message: message.to_owned(), reason, retry_after_seconds: None }.into()
}

fn invalid(invalid: Invalid) -> Error {
    match invalid {
        Invalid::Unreadable(why) => refused(ValidationExceptionReason::CannotParse, &format!("The request cannot be parsed: {why}")),
        Invalid::Fields(violations) => {
            let fields: Vec<_> = violations
                .into_iter()
                .map(|violation| ValidationExceptionField { name: violation.path, message: violation.message })
                .collect();
            let each: Vec<String> = fields.iter().map(|field| format!("{}: {}", field.name, field.message)).collect();
            let (message, reason) = (each.join("; "), ValidationExceptionReason::FieldValidationFailed);
            ValidationException { message, reason, fields: Some(fields) }.into()
        }
    }
}
