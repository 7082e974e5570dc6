//! A simulated estate, made of what real ones are made of: resources share base images (lineages that are rebuilt again and
//! again), runtimes and applications; some have drifted. Package popularity follows Zipf's law. The same seed gives the same
//! fleet.

use lestrade_matching::{ComponentId, Estate};
use lestrade_model::{Component, Ecosystem, Family};
use std::collections::HashMap;

/// Names of the operating system's packages, and of language packages.
const OS_NAMES: u32 = 20_000;
const LANGUAGE_NAMES: u32 = 60_000;
/// All names.
pub(crate) const NAMES: u32 = OS_NAMES + LANGUAGE_NAMES;
/// Exponents of their popularity.
const OS_SKEW: f64 = 1.05;
const LANGUAGE_SKEW: f64 = 0.70;
/// Base images, and how often each was rebuilt with newer versions.
const LINEAGES: u32 = 40;
const REBUILDS: u32 = 60;
/// How many packages a base, a runtime and an application have.
const BASE_PACKAGES: usize = 330;
const RUNTIME_PACKAGES: usize = 120;
const APP_PACKAGES: usize = 160;
const RUNTIMES: u32 = 6_000;
/// How many resources run one application.
const REPLICAS: u32 = 12;

/// SplitMix64: small, even, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        u32::try_from((u128::from(self.next()) * u128::from(n)) >> 64).unwrap_or(0)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Draws ranks by Zipf's law.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: u32, skew: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=n)
                .map(|rank| {
                    sum += f64::from(rank).powf(-skew);
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let at = random.unit() * self.0.last().copied().unwrap_or_default();
        u32::try_from(self.0.partition_point(|sum| *sum < at)).unwrap_or(0)
    }
}

/// A package: its name's number (language packages after the system's) and which of its versions.
pub(crate) type Package = (u32, u32);

/// How many versions of a package there ever were.
pub(crate) fn versions_of(name: u32) -> u32 {
    // Nine on average, as many as the fleet of 1 M resources that the design was measured with.
    3 + (name.wrapping_mul(2_654_435_761) >> 16) % 13
}

/// A package as a component.
pub(crate) fn component((name, version): Package) -> Component {
    let (family, text) = named(name);
    let ecosystem = if family == Family::Debian { Ecosystem::release(family, "12") } else { Ecosystem::of(family) };
    Component::new(ecosystem, &text, &version_text(name, version))
}

/// A package's family and name.
pub(crate) fn named(name: u32) -> (Family, String) {
    match name {
        name if name < OS_NAMES => (Family::Debian, format!("libsystem{name}")),
        name if name % 5 < 3 => (Family::Npm, format!("module-{name}")),
        name => (Family::PyPi, format!("package-{name}")),
    }
}

/// A version as its ecosystem writes it.
pub(crate) fn version_text(name: u32, version: u32) -> String {
    if name < OS_NAMES {
        format!("{}.{}-1+deb12u{version}", name % 7, name % 11)
    } else {
        format!("{}.{version}.{}", name % 7, version % 3)
    }
}

/// The fleet: every resource's packages, on demand.
pub(crate) struct Fleet {
    bases: Vec<Vec<Package>>,
    runtimes: Vec<Vec<Package>>,
    apps: Vec<Vec<Package>>,
    language: Zipf,
    system: Zipf,
    /// How many resources there are.
    pub(crate) resources: u32,
    /// Whether no two resources have the same packages.
    unshared: bool,
}

impl Fleet {
    /// A fleet of so many resources.
    pub(crate) fn new(resources: u32) -> Self {
        let (system, language) = (Zipf::new(OS_NAMES, OS_SKEW), Zipf::new(LANGUAGE_NAMES, LANGUAGE_SKEW));
        let mut random = Random(2026);
        let os = |random: &mut Random| system.draw(random);
        let lang = |random: &mut Random| OS_NAMES + language.draw(random);
        let mut bases = Vec::new();
        for _ in 0..LINEAGES {
            let mut names = distinct(BASE_PACKAGES, || os(&mut random));
            names.sort_unstable();
            let phase: Vec<u32> = names.iter().map(|_| random.below(REBUILDS)).collect();
            for rebuild in 0..REBUILDS {
                // A rebuild takes what is newest then: versions rise, each package at its own times.
                let at = |(name, phase): (&u32, &u32)| {
                    (*name, (versions_of(*name) * (rebuild + phase) / (2 * REBUILDS)).min(versions_of(*name) - 1))
                };
                bases.push(names.iter().zip(&phase).map(at).collect());
            }
        }
        let sets = |count: u32, size: usize, random: &mut Random| -> Vec<Vec<Package>> {
            (0..count)
                .map(|_| {
                    distinct(size, || lang(random)).into_iter().map(|name| (name, name.wrapping_mul(31) % versions_of(name))).collect()
                })
                .collect()
        };
        let runtimes = sets(RUNTIMES.min(resources), RUNTIME_PACKAGES, &mut random);
        let mut apps = sets(resources.div_ceil(REPLICAS), APP_PACKAGES, &mut random);
        for (name, version) in apps.iter_mut().flatten() {
            *version = random.below(versions_of(*name));
        }
        Self { bases, runtimes, apps, language, system, resources, unshared: false }
    }

    /// The same with every resource drifted in its own way, so that nothing is shared: the worst that an estate can be.
    pub(crate) fn unshared(self) -> Self {
        Self { unshared: true, ..self }
    }

    /// The packages of a resource.
    pub(crate) fn packages(&self, resource: u32) -> Vec<Package> {
        let app = resource / REPLICAS;
        let mut random = Random(u64::from(app) << 8);
        let pick = |sets: &[Vec<Package>], random: &mut Random| sets[random.below(sets.len() as u32) as usize].clone();
        let mut packages = pick(&self.bases, &mut random);
        packages.extend(pick(&self.runtimes, &mut random));
        packages.extend(&self.apps[app as usize % self.apps.len()]);
        let mut own = Random((u64::from(resource) << 8) + 1);
        // A tenth has drifted: up to twenty packages were installed or upgraded by hand.
        if self.unshared || own.below(10) == 0 {
            for _ in 0..=own.below(20) + if self.unshared { 20 } else { 0 } {
                let name = self.draw_name(&mut own);
                packages.retain(|(known, _)| *known != name);
                packages.push((name, own.below(versions_of(name))));
            }
        }
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// A name by its popularity.
    pub(crate) fn draw_name(&self, random: &mut Random) -> u32 {
        if random.below(2) == 0 { self.system.draw(random) } else { OS_NAMES + self.language.draw(random) }
    }

    /// Brings all resources into an estate, many sets at a time, as a server that starts does; answers how many components they have
    /// together.
    pub(crate) fn fill(&self, estate: &mut Estate) -> u64 {
        const AT_A_TIME: usize = 1 << 14;
        let mut ids: HashMap<Package, ComponentId> = HashMap::new();
        let (mut last, mut sets, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        let enter = |estate: &mut Estate, sets: &mut Vec<Vec<ComponentId>>, resources: &mut Vec<(u32, usize)>| {
            let entered = estate.intern_sets(std::mem::take(sets));
            resources.drain(..).for_each(|(resource, set)| drop(estate.assign(resource, Some(entered[set].0))));
        };
        let mut components = 0;
        for resource in 0..self.resources {
            let packages = self.packages(resource);
            components += packages.len() as u64;
            if sets.is_empty() || last != packages {
                if sets.len() == AT_A_TIME {
                    enter(estate, &mut sets, &mut resources);
                }
                let mut id = |package: &Package| *ids.entry(*package).or_insert_with(|| estate.intern_component(&component(*package)).0);
                sets.push(packages.iter().map(&mut id).collect());
                last = packages;
            }
            resources.push((resource, sets.len() - 1));
        }
        enter(estate, &mut sets, &mut resources);
        components
    }
}

fn distinct(count: usize, mut draw: impl FnMut() -> u32) -> Vec<u32> {
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::with_capacity(count);
    while names.len() < count {
        let name = draw();
        if seen.insert(name) {
            names.push(name);
        }
    }
    names
}
