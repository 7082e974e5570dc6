//! Reports of findings, and bills of materials.
//!
//! Whoever asks for one is answered at once: it waits in the store, and is written by a reconciler, in the order in which they were
//! asked for. So one that a server was stopped in is written by the next.

mod place;
mod write;

pub use place::{BucketPlace, ExportPlace};

use self::write::{WriteError, Writer, of_what_is_open};
use super::backend::Backend;
use super::call::Call;
use super::coverage::resource_filter;
use super::criteria::criteria;
use super::failure::{Failure, invalid_field, not_found, throttled, unsupported};
use super::front::Front;
use crate::reconcile::{Outcome, Reconciler, Signal};
use crate::{Core, ServerError};
use lestrade_model::{Scope, Timestamp};
use lestrade_store::Document;
use lestrade_sys::step;
use lestrade_wire::inspector2::{
    CancelFindingsReportRequest, CancelFindingsReportResponse, CancelSbomExportRequest, CancelSbomExportResponse,
    CreateFindingsReportRequest, CreateFindingsReportResponse, CreateSbomExportRequest, CreateSbomExportResponse, Destination,
    ExternalReportStatus, GetFindingsReportStatusRequest, GetFindingsReportStatusResponse, GetSbomExportRequest, GetSbomExportResponse,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use uuid::Uuid;

const FINDINGS: &str = "inspector2-findings-report";
const SBOMS: &str = "inspector2-sbom-export";
/// Those that wait to be written, of every scope.
const WAITING: &str = "inspector2-report-waiting";
/// As many reports of a kind are remembered of a scope; their files stay.
const REMEMBERED: usize = 100;
/// As many wait at a time.
const MOST_WAITING: usize = 50;
/// As many servers begin a report that none of them ends. A report that ends the server would else end every one that follows.
const MOST_BEGUN: u32 = 3;

/// Where reports are written, and what is under way.
pub(super) struct Exports {
    place: ExportPlace,
    /// The scope under which those that wait are kept.
    home: Scope,
    under_way: Mutex<Option<(String, Arc<AtomicBool>)>>,
    /// The report that this server was last counted for.
    counted: Mutex<Option<String>>,
    stopped: AtomicBool,
    wake: OnceLock<Signal>,
}

impl Exports {
    pub(super) fn new(place: ExportPlace, home: Scope) -> Self {
        Self { place, home, under_way: Mutex::default(), counted: Mutex::default(), stopped: AtomicBool::new(false), wake: OnceLock::new() }
    }

    /// Who is woken when there is something to write.
    pub(super) fn waking(&self, signal: Signal) {
        let _ = self.wake.set(signal);
    }

    /// Leaves what is under way to the next server.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.break_off(None);
    }

    fn break_off(&self, id: Option<&str>) {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, broken_off)) = under_way.as_ref()
            && id.is_none_or(|id| id == known)
        {
            broken_off.store(true, Ordering::Relaxed);
        }
    }

    fn begin(&self, id: &str) -> Arc<AtomicBool> {
        let broken_off = Arc::new(AtomicBool::new(self.stopped.load(Ordering::Relaxed)));
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), Arc::clone(&broken_off)));
        broken_off
    }

    fn counted(&self) -> MutexGuard<'_, Option<String>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that wait, in the order in which they were asked for.
    fn waiting(&self, backend: &dyn Backend) -> Result<Vec<Waiting>, Failure> {
        let documents = backend.documents(&self.home, WAITING)?;
        documents.iter().map(|document| Ok(serde_json::from_str(&document.body)?)).collect()
    }

    fn keep(&self, backend: &dyn Backend, waiting: &Waiting) -> Result<(), Failure> {
        Ok(backend.put_document(&self.home, WAITING, &waiting.document()?)?)
    }

    fn forget(&self, backend: &dyn Backend, waiting: &Waiting) -> Result<(), Failure> {
        backend.delete_document(&self.home, WAITING, &waiting.key())?;
        Ok(())
    }
}

/// What was asked for.
#[derive(Clone, Serialize, Deserialize)]
enum Report {
    Findings(Box<CreateFindingsReportRequest>),
    Sboms(Box<CreateSbomExportRequest>),
}

/// A report that waits to be written.
#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    id: String,
    at: Timestamp,
    /// Who asked, and whose findings and resources that is about.
    owner: Scope,
    scopes: Vec<Scope>,
    report: Report,
    /// How many servers began to write it. One that stops in order takes itself off again.
    #[serde(default)]
    begun: u32,
}

impl Waiting {
    fn document(&self) -> Result<Document, Failure> {
        Ok(Document { key: self.key(), body: serde_json::to_string(self)? })
    }

    /// Sorts by when it was asked for.
    fn key(&self) -> String {
        format!("{:014}-{}", self.at.as_millis(), self.id)
    }

    fn kind(&self) -> &'static str {
        match self.report {
            Report::Findings(_) => FINDINGS,
            Report::Sboms(_) => SBOMS,
        }
    }
}

/// How a report that was asked for stands.
#[derive(Serialize, Deserialize)]
struct Asked<T> {
    at: Timestamp,
    status: T,
}

/// The answer to whoever asks how a report stands.
trait Status: Serialize + DeserializeOwned {
    const KIND: &'static str;

    fn of(waiting: &Waiting, status: ExternalReportStatus) -> Option<Self>;

    /// The same, of one that failed.
    fn failed(self, error: &WriteError) -> Self;
}

impl Status for GetFindingsReportStatusResponse {
    const KIND: &'static str = FINDINGS;

    fn of(waiting: &Waiting, status: ExternalReportStatus) -> Option<Self> {
        let Report::Findings(input) = &waiting.report else { return None };
        Some(Self {
            report_id: Some(waiting.id.clone()),
            status: Some(status),
            error_code: None,
            error_message: None,
            destination: Some(input.s3_destination.clone()),
            filter_criteria: input.filter_criteria.clone(),
        })
    }

    fn failed(self, error: &WriteError) -> Self {
        let (code, message) = error.told();
        Self { error_code: Some(code), error_message: Some(message), ..self }
    }
}

impl Status for GetSbomExportResponse {
    const KIND: &'static str = SBOMS;

    fn of(waiting: &Waiting, status: ExternalReportStatus) -> Option<Self> {
        let Report::Sboms(input) = &waiting.report else { return None };
        Some(Self {
            report_id: Some(waiting.id.clone()),
            format: Some(input.report_format.clone()),
            status: Some(status),
            error_code: None,
            error_message: None,
            s3_destination: Some(input.s3_destination.clone()),
            filter_criteria: input.resource_filter_criteria.clone(),
        })
    }

    fn failed(self, error: &WriteError) -> Self {
        let (code, message) = error.told();
        Self { error_code: Some(code), error_message: Some(message), ..self }
    }
}

pub(super) fn create_findings_report(call: &Call<'_>, input: CreateFindingsReportRequest) -> Result<CreateFindingsReportResponse, Failure> {
    check(call, &input.s3_destination)?;
    criteria(&of_what_is_open(&input))?;
    Ok(CreateFindingsReportResponse { report_id: Some(wait(call, Report::Findings(Box::new(input)))?) })
}

pub(super) fn create_sbom_export(call: &Call<'_>, input: CreateSbomExportRequest) -> Result<CreateSbomExportResponse, Failure> {
    check(call, &input.s3_destination)?;
    drop(resource_filter(input.resource_filter_criteria.as_ref())?);
    Ok(CreateSbomExportResponse { report_id: Some(wait(call, Report::Sboms(Box::new(input)))?) })
}

pub(super) fn get_findings_report_status(
    call: &Call<'_>,
    input: GetFindingsReportStatusRequest,
) -> Result<GetFindingsReportStatusResponse, Failure> {
    match input.report_id {
        Some(id) => stands(call, &id),
        None => {
            let latest = all::<GetFindingsReportStatusResponse>(call)?.into_iter().max_by_key(|(_, asked)| asked.at);
            latest.map(|(_, asked)| asked.status).ok_or_else(|| not_found("There is no report."))
        }
    }
}

pub(super) fn get_sbom_export(call: &Call<'_>, input: GetSbomExportRequest) -> Result<GetSbomExportResponse, Failure> {
    stands(call, &input.report_id)
}

pub(super) fn cancel_findings_report(call: &Call<'_>, input: CancelFindingsReportRequest) -> Result<CancelFindingsReportResponse, Failure> {
    cancel::<GetFindingsReportStatusResponse>(call, &input.report_id)?;
    Ok(CancelFindingsReportResponse { report_id: input.report_id })
}

pub(super) fn cancel_sbom_export(call: &Call<'_>, input: CancelSbomExportRequest) -> Result<CancelSbomExportResponse, Failure> {
    cancel::<GetSbomExportResponse>(call, &input.report_id)?;
    Ok(CancelSbomExportResponse { report_id: Some(input.report_id) })
}

fn exports<'c>(call: &Call<'c>) -> Result<&'c Exports, Failure> {
    call.exports.ok_or_else(|| unsupported("nowhere to write reports is configured."))
}

/// Whether something may be written to a destination. Its parts are names, so that nothing is written outside of the folder of
/// exports.
fn check(call: &Call<'_>, destination: &Destination) -> Result<(), Failure> {
    let exports = exports(call)?;
    let bucket = destination.bucket_name.as_str();
    let of_a_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(of_a_bucket) || !is_name(bucket) || bucket.contains("..") {
        return Err(invalid_field("s3Destination.bucketName", "it must be the name of a bucket"));
    }
    if !exports.place.allows(bucket) {
        return Err(invalid_field("s3Destination.bucketName", "the server is not configured to write to it"));
    }
    let prefix = destination.key_prefix.as_deref().unwrap_or_default();
    let parts = prefix.split('/').filter(|part| !part.is_empty());
    if prefix.len() > 512 || !parts.into_iter().all(is_name) {
        return Err(invalid_field("s3Destination.keyPrefix", "its parts must be names of at most 512 characters together"));
    }
    Ok(())
}

fn is_name(part: &str) -> bool {
    !part.starts_with('.') && part.len() <= 200 && part.chars().all(|c| !c.is_control() && !matches!(c, '/' | '\\'))
}

/// Keeps what was asked for until it is written; its id.
fn wait(call: &Call<'_>, report: Report) -> Result<String, Failure> {
    let exports = exports(call)?;
    if exports.waiting(call.backend)?.len() >= MOST_WAITING {
        return Err(throttled("Too many reports wait to be written."));
    }
    let id = Uuid::new_v4().to_string();
    let (owner, scopes) = (call.scope().clone(), call.principal.scopes());
    let waiting = Waiting { id: id.clone(), at: call.now, owner, scopes, report, begun: 0 };
    exports.keep(call.backend, &waiting)?;
    if let Some(signal) = exports.wake.get() {
        signal.wake();
    }
    Ok(id)
}

fn cancel<T: Status>(call: &Call<'_>, id: &str) -> Result<(), Failure> {
    let exports = exports(call)?;
    let waiting = exports.waiting(call.backend)?.into_iter().find(|waiting| waiting.id == id && waiting.owner == *call.scope());
    let Some((status, waiting)) = waiting.and_then(|waiting| Some((T::of(&waiting, ExternalReportStatus::Cancelled)?, waiting))) else {
        stands::<T>(call, id)?;
        return Err(invalid_field("reportId", "the report is finished and cannot be cancelled"));
    };
    remember(call.backend, &waiting, status)?;
    exports.forget(call.backend, &waiting)?;
    exports.break_off(Some(id));
    Ok(())
}

fn remember<T: Status>(backend: &dyn Backend, waiting: &Waiting, status: T) -> Result<(), Failure> {
    let mut earlier: Vec<(String, Timestamp)> = done::<T>(backend, &waiting.owner)?.into_iter().map(|(id, asked)| (id, asked.at)).collect();
    earlier.sort_by_key(|(_, at)| *at);
    for (id, _) in earlier.iter().take((earlier.len() + 1).saturating_sub(REMEMBERED)) {
        backend.delete_document(&waiting.owner, T::KIND, id)?;
    }
    let body = serde_json::to_string(&Asked { at: waiting.at, status })?;
    Ok(backend.put_document(&waiting.owner, T::KIND, &Document { key: waiting.id.clone(), body })?)
}

fn stands<T: Status>(call: &Call<'_>, id: &str) -> Result<T, Failure> {
    let found = all::<T>(call)?.into_iter().find(|(known, _)| known == id);
    found.map(|(_, asked)| asked.status).ok_or_else(|| not_found(format!("There is no report {id}.")))
}

fn done<T: Status>(backend: &dyn Backend, owner: &Scope) -> Result<Vec<(String, Asked<T>)>, Failure> {
    let documents = backend.documents(owner, T::KIND)?;
    documents.into_iter().map(|document| Ok((document.key, serde_json::from_str(&document.body)?))).collect()
}

/// The caller's reports. What is done may wait for another moment.
fn all<T: Status>(call: &Call<'_>) -> Result<Vec<(String, Asked<T>)>, Failure> {
    let waiting = exports(call)?.waiting(call.backend)?;
    let mut all = done::<T>(call.backend, call.scope())?;
    for waiting in waiting.iter().filter(|waiting| waiting.owner == *call.scope()) {
        if !all.iter().any(|(id, _)| *id == waiting.id)
            && let Some(status) = T::of(waiting, ExternalReportStatus::InProgress)
        {
            all.push((waiting.id.clone(), Asked { at: waiting.at, status }));
        }
    }
    Ok(all)
}

impl<B: Backend> Front<B> {
    /// Writes the reports that wait, until none does or the server stops.
    pub(super) fn write_reports(&self) -> Result<Outcome, Failure> {
        let (Some(exports), backend) = (self.exports(), self.backend()) else { return Ok(Outcome::Unchanged) };
        let mut outcome = Outcome::Unchanged;
        while let Some(mut waiting) = exports.waiting(backend)?.into_iter().next() {
            // What ended it may have been cut off before it was taken from those that wait.
            if backend.documents(&waiting.owner, waiting.kind())?.iter().any(|known| known.key == waiting.id) {
                exports.forget(backend, &waiting)?;
                continue;
            }
            let broken_off = exports.begin(&waiting.id);
            let is_counted = exports.counted().as_ref() == Some(&waiting.id);
            let written = if !is_counted && waiting.begun >= MOST_BEGUN {
                Err(WriteError::Fatal(waiting.begun))
            } else {
                if !is_counted && !self.count(exports, &mut waiting)? {
                    continue;
                }
                let writer = Writer { backend, place: &exports.place, scopes: &waiting.scopes, at: waiting.at, broken_off: &broken_off };
                match &waiting.report {
                    Report::Findings(input) => writer.findings(&waiting.id, input),
                    Report::Sboms(input) => writer.sboms(&waiting.id, input),
                }
            };
            // Nobody cancels it from here on.
            let _turn = self.turn();
            let is_cancelled = !exports.waiting(backend)?.iter().any(|known| known.id == waiting.id);
            match (is_cancelled, &written) {
                (true, _) => continue,
                (false, Err(WriteError::BrokenOff)) => {
                    waiting.begun = waiting.begun.saturating_sub(1);
                    exports.keep(backend, &waiting)?;
                    *exports.counted() = None;
                    break;
                }
                (false, Err(error)) => tracing::error!(report = waiting.id, %error, "a report is not written"),
                (false, Ok(())) => tracing::info!(report = waiting.id, "a report is written"),
            }
            match waiting.kind() {
                FINDINGS => end::<GetFindingsReportStatusResponse>(backend, &waiting, written.err().as_ref())?,
                _ => end::<GetSbomExportResponse>(backend, &waiting, written.err().as_ref())?,
            }
            exports.forget(backend, &waiting)?;
            outcome = Outcome::Changed;
        }
        Ok(outcome)
    }

    /// Notes that one more server begins a report, before it does; false when it was cancelled meanwhile.
    fn count(&self, exports: &Exports, waiting: &mut Waiting) -> Result<bool, Failure> {
        let _turn = self.turn();
        let is_wanted = exports.waiting(self.backend())?.iter().any(|known| known.id == waiting.id);
        if is_wanted {
            waiting.begun += 1;
            exports.keep(self.backend(), waiting)?;
            *exports.counted() = Some(waiting.id.clone());
            step("report: begun");
        }
        Ok(is_wanted)
    }
}

fn end<T: Status>(backend: &dyn Backend, waiting: &Waiting, error: Option<&WriteError>) -> Result<(), Failure> {
    let status = if error.is_some() { ExternalReportStatus::Failed } else { ExternalReportStatus::Succeeded };
    let Some(status) = T::of(waiting, status) else { return Ok(()) };
    let status = match error {
        Some(error) => status.failed(error),
        None => status,
    };
    remember(backend, waiting, status)
}

/// Writes the reports that clients of AWS asked for.
pub struct WriteReports {
    /// Whom they ask.
    pub front: Arc<Front<Core>>,
}

impl Reconciler for WriteReports {
    fn name(&self) -> &'static str {
        "reports"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        self.front.write_reports().map_err(|failure| ServerError::Reports(failure.to_string()))
    }
}
