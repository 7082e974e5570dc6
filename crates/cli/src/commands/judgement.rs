//! What is known, opened, and what it says of a target.

use super::target::Target;
use super::{failed, feeds, library};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::Speech;
use lestrade_advisories::{AdvisoriesError, OpenIndex, expect_many, starter_index};
use lestrade_findings::{Excepted, ScanResult, end_of_life, judge, tell};
use lestrade_matching::{AdvisoryIndex, IndexError, Manifest, Statement, Statements};
use lestrade_model::{Advisory, Clock, Exploitation, PackedInventory, ResourceFacts, Timestamp};
use lestrade_report::{Intelligence, ScanReport};

/// So many components are many, to an index that is not in memory.
const MANY: usize = 64;

/// How many components are worth a thread.
const WORTH_A_THREAD: usize = 20_000;

/// Judges an inventory, a large one on all cores.
fn scan_at_once<B: AsRef<[u8]> + Sync>(
    index: &AdvisoryIndex<B>,
    inventory: &PackedInventory,
    facts: &ResourceFacts,
    statements: &Statements,
) -> Result<ScanResult, IndexError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (inventory.len() / WORTH_A_THREAD).clamp(1, cores);
    let each = inventory.len().div_ceil(threads);
    let numbers = |thread: usize| {
        let number = |at: usize| u32::try_from(at.min(inventory.len())).unwrap_or(u32::MAX);
        number(thread * each)..number((thread + 1) * each)
    };
    let parts: Result<Vec<_>, IndexError> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || judge(index, inventory, facts, numbers(thread)))).collect();
        let own = judge(index, inventory, facts, numbers(0));
        let broke = |_| Err(IndexError::Corrupt("a thread that judged broke off"));
        std::iter::once(own).chain(others.into_iter().map(|other| other.join().unwrap_or_else(broke))).collect()
    });
    tell(index, inventory, statements, parts?)
}

/// The index in force: the library's, or the set that ships with the program.
pub(crate) enum Known {
    Library(Box<OpenIndex>),
    Starter(Box<AdvisoryIndex<&'static [u8]>>),
}

impl Known {
    /// Opens what there is, after fetching what is needed to judge a target and was never brought in.
    pub(crate) fn open_for(settings: &Settings, inventory: &PackedInventory, speech: Speech) -> Result<Self, Failure> {
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
                let index = AdvisoryIndex::open(starter_index()).map_err(failed)?;
                Ok(Self::Starter(Box::new(index.reporting(library(settings).mode()))))
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
            Self::Library(index) => {
                if inventory.len() >= MANY {
                    expect_many(index);
                }
                scan_at_once(index, &inventory, &facts, statements)
            }
            Self::Starter(index) => scan_at_once(index, &inventory, &facts, statements),
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
