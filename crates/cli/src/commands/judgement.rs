//! What is known, opened, and what it says of a target.

use super::target::Target;
use super::{failed, feeds, library};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::Speech;
use lestrade_advisories::{AdvisoriesError, OpenIndex, starter_index};
use lestrade_findings::{Excepted, end_of_life, scan};
use lestrade_matching::{AdvisoryIndex, IndexError, Manifest, Statement, Statements};
use lestrade_model::{Advisory, Clock, Exploitation, Inventory, Timestamp};
use lestrade_report::{Intelligence, ScanReport};

/// The index in force: the library's, or the set that ships with the program.
pub(crate) enum Known {
    Library(Box<OpenIndex>),
    Starter(Box<AdvisoryIndex<Vec<u8>>>),
}

impl Known {
    /// Opens what there is, after fetching what is needed to judge a target and was never brought in.
    pub(crate) fn open_for(settings: &Settings, inventory: &Inventory, speech: Speech) -> Result<Self, Failure> {
        if settings.flag("auto-update") && !settings.flag("offline") {
            feeds::fetch_missing(settings, inventory, speech)?;
        }
        Self::open(settings)
    }

    /// Opens what there is.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        match library(settings).open_current() {
            Ok((_, index)) => Ok(Self::Library(Box::new(index))),
            Err(AdvisoriesError::NoGeneration) => {
                let bytes = starter_index().map_err(failed)?;
                Ok(Self::Starter(Box::new(AdvisoryIndex::open(bytes).map_err(failed)?.reporting(library(settings).mode()))))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What it rests on.
    pub(crate) fn manifest(&self) -> &Manifest {
        match self {
            Self::Library(index) => index.manifest(),
            Self::Starter(index) => index.manifest(),
        }
    }

    /// What it says of a target. What statements speak against is set apart.
    pub(crate) fn judge(&self, target: Target, statements: &Statements, expired: Vec<Statement>) -> Result<ScanReport, Failure> {
        let Target { name, kind, inventory, facts, .. } = target;
        let result = match self {
            Self::Library(index) => scan(index, &inventory, &facts, statements),
            Self::Starter(index) => scan(index, &inventory, &facts, statements),
        };
        let now = SystemClock.now();
        let mut result = result.map_err(failed)?;
        if let Some(finding) = end_of_life(&self.manifest().lifecycles, &inventory, now) {
            let package = finding.packages.first();
            let stated = package.and_then(|package| statements.against(&[&finding.assessment.id], &package.component, ""));
            match (package, stated.cloned()) {
                (Some(package), Some(statement)) => {
                    result.excepted.push(Excepted { assessment: finding.assessment.clone(), package: package.clone(), statement });
                }
                _ => result.findings.push(finding),
            }
        }
        let source_date = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse::<i64>().ok());
        let source_date = source_date.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
        Ok(ScanReport {
            target: name,
            kind,
            inventory,
            result,
            intelligence: Intelligence::from(self.manifest()),
            expired,
            at: source_date.unwrap_or(now),
            source_date,
        })
    }

    /// Everything that is said of a vulnerability.
    pub(crate) fn about(&self, id: &str) -> Result<(Vec<Advisory>, Option<Exploitation>), Failure> {
        fn all<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, id: &str) -> Result<(Vec<Advisory>, Option<Exploitation>), IndexError> {
            let advisories = index.advisories_of(id)?.into_iter().map(|ordinal| index.advisory(ordinal)).collect::<Result<_, _>>()?;
            Ok((advisories, index.exploitation(id)?))
        }
        match self {
            Self::Library(index) => all(index, id),
            Self::Starter(index) => all(index, id),
        }
        .map_err(failed)
    }

    /// The vulnerability that an advisory of this id is about, if there is one. Looks at every record.
    pub(crate) fn vulnerability_of(&self, id: &str) -> Result<Option<String>, Failure> {
        fn find<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, id: &str) -> Result<Option<String>, IndexError> {
            for advisory in index.advisories()? {
                let advisory = advisory?;
                if advisory.key.id.eq_ignore_ascii_case(id) || advisory.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(id)) {
                    return Ok(advisory.vulnerabilities().first().map(|found| (*found).to_owned()));
                }
            }
            Ok(None)
        }
        match self {
            Self::Library(index) => find(index, id),
            Self::Starter(index) => find(index, id),
        }
        .map_err(failed)
    }
}
