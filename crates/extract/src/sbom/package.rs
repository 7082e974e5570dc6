//! An entry of a document, whichever kind of document it stands in, and what becomes of it.

use lestrade_model::{Component, Ecosystem, Family, Kb, Manager, Occurrence, OsRelease, PackageUrl, Problem, ProblemKind};

/// What an entry says.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) purl: Option<String>,
    /// The source package's name and version.
    pub(super) source: Option<(String, String)>,
    /// Where it lies, as the tool that wrote the document found it.
    pub(super) path: Option<String>,
    pub(super) layer: Option<String>,
    pub(super) arch: Option<String>,
    /// The ecosystem, where no package URL says it.
    pub(super) ecosystem: Option<String>,
    /// Whether it is said that an operating system's package owns it.
    pub(super) os_owned: bool,
    /// The updates that are installed in it, where it is Windows.
    pub(super) updates: Option<String>,
}

/// The entries of a document.
#[derive(Debug, Default)]
pub(super) struct Packages {
    pub(super) os: Option<OsRelease>,
    pub(super) found: Vec<(Component, Occurrence)>,
    pub(super) problems: Vec<Problem>,
}

impl Packages {
    pub(super) fn set_os(&mut self, name: &str, version: &str) {
        // Tools write `redhat` where os-release says `rhel`.
        let id = match name.to_ascii_lowercase().as_str() {
            "redhat" => "rhel".to_owned(),
            "amazon" => "amzn".to_owned(),
            "oracle" => "ol".to_owned(),
            "alma" => "almalinux".to_owned(),
            other => other.to_owned(),
        };
        // Others are followed by what people call the release; a product of Windows has several words.
        let version = if id == "windows" { version } else { version.split(' ').next().unwrap_or_default() };
        self.os = Some(OsRelease { id, version: version.to_owned(), pretty_name: format!("{name} {version}") });
    }

    pub(super) fn problem(&mut self, path: &str, kind: ProblemKind, detail: String) {
        self.problems.push(Problem { path: path.to_owned(), kind, detail });
    }

    pub(super) fn add(&mut self, package: Package) {
        if self.found.len() >= super::MAX_ENTRIES {
            if !self.problems.iter().any(|problem| problem.kind == ProblemKind::LimitExceeded) {
                self.problem("", ProblemKind::LimitExceeded, format!("more than {} packages", super::MAX_ENTRIES));
            }
            return;
        }
        let url = package.purl.as_deref().map(str::parse::<PackageUrl>);
        if let Some(Err(error)) = &url {
            let detail = format!("'{}' is {error}", package.purl.as_deref().unwrap_or_default().chars().take(100).collect::<String>());
            self.problem(&package.name, ProblemKind::Malformed, detail);
        }
        let url = url.and_then(Result::ok);
        let placed = url.as_ref().and_then(|url| Component::from_purl(url, self.os.as_ref()));
        let arch = package.arch.or_else(|| url.as_ref().and_then(|url| url.qualifiers.get("arch").cloned()));
        let component = placed.unwrap_or_else(|| {
            let unknown = || Ecosystem::of(Family::Other(url.as_ref().map_or("unknown", |url| url.kind.as_str()).to_owned()));
            let said = package.ecosystem.as_deref().filter(|_| url.is_none()).and_then(|text| text.parse().ok());
            Component::new(said.unwrap_or_else(unknown), &package.name, &package.version)
        });
        let component = match package.source {
            Some((name, version)) if !name.is_empty() => {
                let version = if version.is_empty() { component.version.clone() } else { version };
                component.from_source(&name, &version)
            }
            _ => component,
        };
        let component = match package.updates {
            Some(updates) if component.ecosystem.family == Family::Windows => component.with_updates(&Kb::all_in(&updates).collect()),
            _ => component,
        };
        let manager = manager(&component.ecosystem.family);
        let occurrence = Occurrence { component: 0, path: package.path.unwrap_or_default(), layer: package.layer, arch, manager };
        self.found.push((component.owned_by_os(package.os_owned), occurrence));
    }
}

/// The usual manager of a family's packages: a document does not say which it was.
fn manager(family: &Family) -> Manager {
    match family {
        Family::Debian | Family::Ubuntu => Manager::Dpkg,
        Family::Alpine | Family::Wolfi | Family::Chainguard => Manager::Apk,
        Family::Arch => Manager::Pacman,
        Family::Windows => Manager::WindowsServicing,
        family if family.is_os() => Manager::Rpm,
        Family::PyPi => Manager::Pip,
        Family::Npm => Manager::Npm,
        Family::CratesIo => Manager::Cargo,
        Family::Go => Manager::GoModules,
        Family::RubyGems => Manager::Bundler,
        Family::Maven => Manager::Jar,
        Family::NuGet => Manager::NuGet,
        Family::Packagist => Manager::Composer,
        _ => Manager::Other,
    }
}
