//! An entry of a document, whichever kind of document it stands in, and what becomes of it.

use super::Say;
use super::message::Message;
use lestrade_model::{
    Component, Ecosystem, Family, Kb, Manager, OsRelease, PackageUrl, PackedComponent, PackedPlace, Packer, Problem, ProblemKind,
    plain_purl,
};
use std::borrow::Cow;
use std::io;

/// What an entry says.
#[derive(Debug, Default)]
pub(super) struct Package<'a> {
    /// What stands before the name where no package URL says it.
    pub(super) group: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) purl: Option<&'a str>,
    /// The source package's name and version.
    pub(super) source: Option<(&'a str, Cow<'a, str>)>,
    /// Where it lies, as the tool that wrote the document found it.
    pub(super) path: Option<&'a str>,
    pub(super) layer: Option<&'a str>,
    pub(super) arch: Option<&'a str>,
    /// The ecosystem, where no package URL says it.
    pub(super) ecosystem: Option<&'a str>,
    /// Whether it is said that an operating system's package owns it.
    pub(super) os_owned: bool,
    /// The updates that are installed in it, where it is Windows.
    pub(super) updates: Option<&'a str>,
}

/// The entries of a document.
#[derive(Debug, Default)]
pub(super) struct Packages {
    pub(super) os: Option<OsRelease>,
    pub(super) problems: Vec<Problem>,
    list: Packer,
    /// Ecosystems of packages that name no release, by what is left if no system is named either, with their numbers.
    of_system: Vec<(Ecosystem, u32)>,
    /// The number of the ecosystem that the package before was of.
    before: Option<(Family, u32)>,
}

impl Packages {
    /// Says which system it is, unless that was said before.
    pub(super) fn set_os(&mut self, name: &str, version: &str) {
        if self.os.is_some() {
            return;
        }
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

    pub(super) fn add(&mut self, package: &Package<'_>) {
        if self.list.len() >= super::MAX_ENTRIES {
            if !self.problems.iter().any(|problem| problem.kind == ProblemKind::LimitExceeded) {
                self.problem("", ProblemKind::LimitExceeded, format!("more than {} packages", super::MAX_ENTRIES));
            }
            return;
        }
        match package.purl.filter(|_| package.updates.is_none()).and_then(plain_purl) {
            Some((family, name, version)) => self.add_plain(package, &family, &name, version),
            None => self.add_any(package),
        }
    }

    /// Adds what most packages of large documents are: nothing of it needs to be put together.
    fn add_plain(&mut self, package: &Package<'_>, family: &Family, name: &str, version: &str) {
        let ecosystem = Ecosystem::of(family.clone());
        let number = match &self.before {
            Some((before, number)) if before == family => *number,
            _ => self.list.ecosystem(&ecosystem),
        };
        self.before = Some((family.clone(), number));
        let source = package.source.as_ref().filter(|(name, _)| !name.is_empty());
        let source = source.map(|(name, own)| (*name, if own.is_empty() { version } else { own.as_ref() }));
        let source = source.filter(|source| *source != (name, version));
        let component = PackedComponent { ecosystem: &ecosystem, name, version, source, module: None, os_owned: package.os_owned };
        self.list.push_as(number, &component, &place(package, package.arch, family));
    }

    fn add_any(&mut self, package: &Package<'_>) {
        let url = package.purl.map(str::parse::<PackageUrl>);
        let name: Cow<'_, str> =
            if package.group.is_empty() { package.name.into() } else { format!("{}/{}", package.group, package.name).into() };
        if let Some(Err(error)) = &url {
            let detail = format!("'{}' is {error}", package.purl.unwrap_or_default().chars().take(100).collect::<String>());
            self.problem(&name, ProblemKind::Malformed, detail);
        }
        let url = url.and_then(Result::ok);
        let placed = url.as_ref().and_then(Component::from_purl_alone);
        let of_system = placed.as_ref().is_some_and(|(_, names_release)| !names_release);
        let component = placed.map(|(component, _)| component).unwrap_or_else(|| {
            let unknown = || Ecosystem::of(Family::Other(url.as_ref().map_or("unknown", |url| url.kind.as_str()).to_owned()));
            let said = package.ecosystem.filter(|_| url.is_none()).and_then(|text| text.parse().ok());
            Component::new(said.unwrap_or_else(unknown), &name, package.version)
        });
        let component = match &package.source {
            Some((name, version)) if !name.is_empty() => {
                let version = if version.is_empty() { component.version.clone() } else { version.clone().into_owned() };
                component.from_source(name, &version)
            }
            _ => component,
        };
        let component = match package.updates {
            Some(updates) if component.ecosystem.family == Family::Windows => component.with_updates(&Kb::all_in(updates).collect()),
            _ => component,
        };
        let component = component.owned_by_os(package.os_owned);
        let arch = package.arch.or_else(|| url.as_ref().and_then(|url| url.qualifiers.get("arch").map(String::as_str)));
        let place = place(package, arch, &component.ecosystem.family);
        if of_system {
            let number = self.number_of_system(&component.ecosystem);
            self.list.push_as(number, &(&component).into(), &place);
        } else {
            self.list.push(&(&component).into(), &place);
        }
    }

    /// The number of the ecosystem of packages that are the system's.
    fn number_of_system(&mut self, otherwise: &Ecosystem) -> u32 {
        if let Some((_, number)) = self.of_system.iter().find(|(known, _)| known == otherwise) {
            return *number;
        }
        // A document that makes up more distributions than there are has its packages stand apart from any system.
        if self.of_system.len() >= MAX_DISTRIBUTIONS {
            return self.list.ecosystem(otherwise);
        }
        let number = self.list.new_ecosystem(otherwise.clone());
        self.of_system.push((otherwise.clone(), number));
        number
    }

    /// Says the records that are held, if they are more than so many bytes.
    pub(super) fn say(&mut self, list: usize, held: usize, say: &mut Say<'_>) -> io::Result<()> {
        if self.list.held() <= held {
            return Ok(());
        }
        let (message, records) = Message::part(list, self.list.part());
        say(&message, &records)
    }

    /// What there is to say when all was read: that there was nothing, and which system packages are of that named none.
    pub(super) fn settle(&mut self) -> Vec<(u32, Ecosystem)> {
        if self.list.is_empty() {
            // A document may well be of something without packages; that nobody could be judged is to be seen.
            self.problem("", ProblemKind::Malformed, "the document names no package".into());
        }
        let system = self.os.as_ref().and_then(OsRelease::ecosystem);
        system.into_iter().flat_map(|system| self.of_system.iter().map(move |(_, number)| (*number, system.clone()))).collect()
    }
}

/// How many distributions packages may be of that name no release.
const MAX_DISTRIBUTIONS: usize = 100;

fn place<'a>(package: &Package<'a>, arch: Option<&'a str>, family: &Family) -> PackedPlace<'a> {
    PackedPlace { path: package.path.unwrap_or_default(), layer: package.layer, arch, manager: manager(family) }
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
