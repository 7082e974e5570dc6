//! Laws: derived state equals the log replayed; a listing equals the slow and obvious one, page by page, while the world moves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lestrade_findings::*;
use lestrade_matching::Verdict;
use lestrade_model::*;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A resource gets these packages (or none: it is gone).
    Inventory { resource: u8, packages: Option<Vec<u8>> },
    /// A vulnerability is in these packages from now on.
    Advisory { vulnerability: u8, packages: Vec<u8>, fixed: bool },
    /// A resource is looked at again, and nothing is found to have changed.
    Look { resource: u8 },
    /// A resource is in these conditions from now on.
    Conditions { resource: u8, conditions: Vec<u8> },
    /// A vulnerability has another score.
    Rescore { vulnerability: u8, severity: u8 },
    /// A resource is reached from so far.
    Expose { resource: u8, exposure: u8 },
    /// So many containers of an image run; none: its cluster is forgotten.
    Runs { resource: u8, count: Option<u8> },
    /// A vulnerability is called by another id.
    Rename { vulnerability: u8, name: u8 },
    /// A vulnerability is another; that is in the packages of both, or in those that it was in already.
    Merge { vulnerability: u8, into: u8, all: bool },
    /// Days pass.
    Wait { days: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let packages = proptest::collection::vec(0u8..6, 0..4);
    prop_oneof![
        3 => (0u8..5, proptest::option::weighted(0.9, packages.clone())).prop_map(|(resource, packages)| Step::Inventory { resource, packages }),
        3 => (0u8..6, packages, any::<bool>()).prop_map(|(vulnerability, packages, fixed)| Step::Advisory { vulnerability, packages, fixed }),
        1 => (0u8..5).prop_map(|resource| Step::Look { resource }),
        1 => (0u8..5, proptest::collection::vec(0u8..3, 0..3)).prop_map(|(resource, conditions)| Step::Conditions { resource, conditions }),
        1 => (0u8..6, 0u8..6).prop_map(|(vulnerability, severity)| Step::Rescore { vulnerability, severity }),
        1 => (0u8..5, 0u8..4).prop_map(|(resource, exposure)| Step::Expose { resource, exposure }),
        1 => (0u8..5, proptest::option::weighted(0.8, 0u8..4)).prop_map(|(resource, count)| Step::Runs { resource, count }),
        1 => (0u8..6, 0u8..9).prop_map(|(vulnerability, name)| Step::Rename { vulnerability, name }),
        1 => (0u8..6, 0u8..6, any::<bool>()).prop_map(|(vulnerability, into, all)| Step::Merge { vulnerability, into, all }),
        1 => (1u8..12).prop_map(|days| Step::Wait { days }),
    ]
}

/// A small estate that keeps its log as the server does.
struct Lab {
    world: World,
    now: Timestamp,
    /// What vulnerabilities are called now, where that is not what they were called at first.
    names: BTreeMap<u8, String>,
}

impl Lab {
    fn new() -> Self {
        Self { world: World::default(), now: Timestamp::from_millis(DAY), names: BTreeMap::new() }
    }

    fn scope(n: u8) -> Scope {
        Scope::new("aws", if n.is_multiple_of(2) { "111111111111" } else { "222222222222" }, "eu-west-1").unwrap()
    }

    /// Images, and two instances.
    fn key(n: u8) -> ResourceKey {
        let (kind, id) = if n < 3 { (ResourceKind::Image, format!("image-{n}")) } else { (ResourceKind::Instance, format!("i-{n}")) };
        ResourceKey { scope: Self::scope(n), kind, id }
    }

    fn component(n: u8) -> Component {
        Component::new(Ecosystem::of(Family::Npm), &format!("p{n}"), "1.0.0")
    }

    fn name(&self, vulnerability: u8) -> String {
        self.names.get(&vulnerability).cloned().unwrap_or_else(|| format!("CVE-2024-{vulnerability:04}"))
    }

    /// The number of a vulnerability, as the server gives it.
    fn number(&mut self, vulnerability: u8) -> u32 {
        let name = self.name(vulnerability);
        if let Some(id) = self.world.estate.vulnerability_id(&name) {
            return id;
        }
        let entry = self.world.entry_of(&name);
        let (id, _) = self.world.estate.intern_vulnerability(&entry);
        if entry != name {
            self.log(EpisodeBody::Renamed { vulnerability: id, name });
        }
        id
    }

    /// A vulnerability is in these from now on.
    fn revise(&mut self, id: u32, verdicts: BTreeMap<u32, Verdict>) {
        let mut cleared = self.world.estate.verdicts(id).cloned().unwrap_or_default();
        cleared.retain(|component, _| !verdicts.contains_key(component));
        let delta = self.world.estate.revise(id, verdicts);
        self.log(EpisodeBody::Advisory { vulnerability: id, opened: delta.opened, closed: delta.closed });
        if !cleared.is_empty() {
            self.world.keep_cleared(id, self.world.log.head() + 1, cleared.clone());
            self.log(EpisodeBody::Cleared { vulnerability: id, verdicts: cleared.into_iter().collect() });
        }
    }

    fn log(&mut self, body: EpisodeBody) {
        let episode = Episode { position: self.world.log.head() + 1, at: self.now, body };
        self.world.append(episode);
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Wait { days } => self.now = self.now.plus_millis(i64::from(*days) * DAY),
            Step::Runs { resource, count } => {
                let key = Self::key(*resource);
                let Some(id) = self.world.resource_id(&key) else { return };
                let usage = |cluster: &str, count| ImageUse { cluster: cluster.to_owned(), count, last: self.now };
                let uses = count.map(|count| vec![usage("a", count.into()), usage("b", 1)]);
                self.world.set_uses(id, uses.unwrap_or_default());
            }
            Step::Expose { resource, exposure } => {
                let Some(id) = self.world.resource_id(&Self::key(*resource)) else { return };
                let exposures = [Exposure::None, Exposure::Unknown, Exposure::Private, Exposure::Internet];
                self.world.set_exposure(id, exposures[usize::from(*exposure)]);
            }
            Step::Look { resource } => {
                let key = Self::key(*resource);
                if let Some((id, mut entry)) = self.world.resource_id(&key).and_then(|id| Some((id, self.world.resource(id)?.clone()))) {
                    let look = (ScanKind::Package, CoverageReason::Successful);
                    entry.coverage = vec![Coverage { kind: look.0, reason: look.1, detail: String::new(), last_scanned: Some(self.now) }];
                    self.world.set_resource(id, entry);
                }
            }
            Step::Conditions { resource, conditions } => {
                let key = Self::key(*resource);
                let Some(id) = self.world.resource_id(&key) else { return };
                let mut now = RoaringBitmap::new();
                for n in conditions {
                    let ports = (u16::from(*n) + 1, 90);
                    let key =
                        FindingKey::Network { edge: "igw-1".into(), interface: format!("eni-{resource}"), protocol: Protocol::Tcp, ports };
                    let condition = Condition {
                        key,
                        severity: Severity::ALL[usize::from(*n) + 1],
                        title: format!("Port {n}"),
                        description: String::new(),
                        remediation: String::new(),
                        steps: vec![],
                    };
                    let (number, _) = self.world.estate.intern_vulnerability(&condition.name());
                    self.world.set_assessment(number, Assessment::of_condition(condition));
                    now.insert(number);
                }
                let delta = self.world.estate.set_conditions(id, now);
                self.log(EpisodeBody::Condition { resource: id, opened: delta.opened, closed: delta.closed });
            }
            Step::Rescore { vulnerability, severity } => {
                if let Some(id) = self.world.estate.vulnerability_id(&self.name(*vulnerability)) {
                    let mut assessment = (**self.world.assessment(id).unwrap()).clone();
                    assessment.severity = Severity::ALL[usize::from(*severity)];
                    assessment.epss = Some(f64::from(*severity) / 10.0);
                    self.world.set_assessment(id, assessment);
                }
            }
            Step::Rename { vulnerability, name } => {
                let name = format!("GHSA-{name}");
                let Some(id) = self.world.estate.vulnerability_id(&self.name(*vulnerability)) else { return };
                if self.world.estate.vulnerability_id(&name).is_some() {
                    return;
                }
                self.names.insert(*vulnerability, name.clone());
                let assessment = Assessment { id: name.clone(), ..(**self.world.assessment(id).unwrap()).clone() };
                self.log(EpisodeBody::Renamed { vulnerability: id, name });
                self.world.set_assessment(id, assessment);
            }
            Step::Merge { vulnerability, into, all } => {
                let numbered = |n: &u8| self.world.estate.vulnerability_id(&self.name(*n));
                let (Some(id), Some(other)) = (numbered(vulnerability), numbered(into)) else { return };
                if id == other {
                    return;
                }
                let heirs = self.world.ever_in(id) - self.world.ever_in(other);
                let open = self.world.estate.resources_with(id);
                let mut verdicts = self.world.estate.verdicts(other).cloned().unwrap_or_default();
                verdicts.extend(self.world.estate.verdicts(id).cloned().into_iter().flatten().filter(|_| *all));
                self.revise(id, BTreeMap::new());
                self.revise(other, verdicts);
                let unbroken = open & &heirs & self.world.estate.resources_with(other);
                self.log(EpisodeBody::Merged { vulnerability: id, into: other, heirs, unbroken });
                let assessment = (**self.world.assessment(other).unwrap()).clone();
                self.world.set_assessment(other, assessment);
            }
            Step::Inventory { resource, packages } => {
                let key = Self::key(*resource);
                let (id, _) = self.world.intern_resource(&key);
                let details = match key.kind {
                    ResourceKind::Image => {
                        ResourceDetails::Image(ImageDetails { repository: format!("repo-{}", resource % 3), ..ImageDetails::default() })
                    }
                    _ => ResourceDetails::Instance(InstanceDetails::default()),
                };
                let tags = vec![("env".to_owned(), if *resource < 2 { "prod" } else { "dev" }.to_owned())];
                let entry = Resource { key, details, facts: ResourceFacts::default(), tags };
                self.world.set_resource(id, ResourceEntry { resource: entry, inventory: None, coverage: vec![] });
                let set = packages.as_ref().map(|packages| {
                    let ids: Vec<_> = packages.iter().map(|n| self.world.estate.intern_component(&Self::component(*n)).0).collect();
                    self.world.estate.intern_set(&ids).0
                });
                let delta = self.world.estate.assign(id, set);
                self.log(EpisodeBody::Inventory { resource: id, set, previous: None, opened: delta.opened, closed: delta.closed });
            }
            Step::Advisory { vulnerability, packages, fixed } => {
                let name = self.name(*vulnerability);
                let id = self.number(*vulnerability);
                let verdict = Verdict {
                    state: if *fixed { FixState::Fixed } else { FixState::Open },
                    fixed_in: fixed.then(|| "2.0.0".to_owned()),
                    vendor_severity: None,
                };
                let verdicts: BTreeMap<_, _> = packages
                    .iter()
                    .filter_map(|n| self.world.estate.component_id(&Self::component(*n)))
                    .map(|c| (c, verdict.clone()))
                    .collect();
                let mut assessment = assess(&name, &[], None);
                assessment.severity = Severity::ALL[usize::from(*vulnerability) % 6];
                assessment.inspector_score = (*vulnerability > 1).then(|| f64::from(*vulnerability));
                // Some are attacked over a network, and less bad from nearer.
                assessment.nearer_scores = (*vulnerability > 2).then(|| [f64::from(*vulnerability) - 1.0, f64::from(*vulnerability) - 2.0]);
                self.world.set_assessment(id, assessment);
                self.revise(id, verdicts);
            }
        }
    }

    fn pages(&self, criteria: &Criteria, sort: Sort, limit: usize, effort: Effort) -> Vec<String> {
        let scopes = [Self::scope(0), Self::scope(1)];
        let key = TokenKey::new([1; 32]);
        let (mut token, mut all) = (None, Vec::new());
        loop {
            let request = PageRequest { scopes: &scopes, criteria, sort, limit, token: token.as_deref(), now: self.now, effort };
            let page = list(&self.world, &NoInventories, &key, &request).unwrap();
            all.extend(page.findings.iter().map(describe));
            match page.next {
                Some(next) => token = Some(next),
                None => return all,
            }
        }
    }
}

fn describe(finding: &FindingView) -> String {
    format!(
        "{} {} {} {} {:?}",
        finding.arn,
        finding.assessment.id,
        finding.resource.key.id,
        finding.status.as_str(),
        finding.first_observed
    )
}

fn text(field: TextField, tests: Vec<TextTest>) -> Term {
    Term::Text(field, tests)
}

fn criteria() -> impl Strategy<Value = Criteria> {
    let equals = |v: &str| TextTest::Equals(v.to_owned());
    let term = prop_oneof![
        Just(text(TextField::FindingStatus, vec![equals("ACTIVE")])),
        Just(text(TextField::FindingStatus, vec![TextTest::NotEquals("CLOSED".into())])),
        Just(text(TextField::FindingStatus, vec![equals("CLOSED"), equals("SUPPRESSED")])),
        Just(text(TextField::AwsAccountId, vec![equals("111111111111")])),
        Just(text(TextField::Severity, vec![equals("HIGH"), equals("CRITICAL")])),
        Just(text(TextField::VulnerabilityId, vec![TextTest::Prefix("CVE-2024-000".into()), TextTest::NotEquals("CVE-2024-0003".into())])),
        Just(text(TextField::EcrImageRepositoryName, vec![equals("repo-1")])),
        Just(text(TextField::FixAvailable, vec![equals("YES")])),
        Just(Term::State(vec![FixState::Fixed])),
        Just(Term::State(vec![FixState::Open, FixState::Deferred])),
        (0_u32..6).prop_map(|most| Term::Number(NumberField::EcrImageInUseCount, vec![(None, Some(most.into()))])),
        (0i64..60).prop_map(|from| Term::Date(DateField::EcrImageLastInUseAt, vec![(Some(Timestamp::from_millis(from * DAY)), None)])),
        Just(text(TextField::Title, vec![TextTest::Prefix("CVE-2024-0002".into())])),
        Just(Term::Number(NumberField::InspectorScore, vec![(Some(2.0), Some(4.0))])),
        Just(Term::Tag(vec![("env".into(), Some("prod".into()))])),
        Just(text(TextField::FixAvailable, vec![equals("NO"), equals("PARTIAL")])),
        Just(text(TextField::Title, vec![equals("CVE-2024-0001 - p1")])),
        Just(text(TextField::ResourceId, vec![equals("image-1"), equals("image-2"), equals("nothing")])),
        Just(text(TextField::VulnerabilityId, vec![equals("CVE-2024-0001"), equals("CVE-2024-0002")])),
        Just(text(TextField::FindingType, vec![equals("PACKAGE_VULNERABILITY")])),
        Just(text(TextField::NetworkProtocol, vec![equals("TCP")])),
        Just(Term::Ports(vec![(Some(2.0), None)])),
        Just(text(TextField::Title, vec![TextTest::Prefix("Port 1".into())])),
        any::<(bool, u8)>().prop_map(|(prefix, n)| {
            let name = if prefix { TextTest::Prefix("p".into()) } else { TextTest::Equals(format!("p{}", n % 6)) };
            Term::Package(vec![PackageTest { name: Some(name), ..PackageTest::default() }])
        }),
        (0i64..60, 0i64..60).prop_map(|(from, long)| {
            let day = |n: i64| Some(Timestamp::from_millis(n * DAY));
            Term::Date(DateField::FirstObservedAt, vec![(day(from), day(from + long))])
        }),
        (0i64..60).prop_map(|from| Term::Date(DateField::LastObservedAt, vec![(Some(Timestamp::from_millis(from * DAY)), None)])),
    ];
    proptest::collection::vec(term, 0..3).prop_map(|terms| Criteria { terms })
}

fn sort() -> impl Strategy<Value = Sort> {
    let fields = [
        SortField::AwsAccountId,
        SortField::FindingType,
        SortField::Severity,
        SortField::FirstObservedAt,
        SortField::LastObservedAt,
        SortField::FindingStatus,
        SortField::ResourceType,
        SortField::EcrImagePushedAt,
        SortField::EcrImageRepositoryName,
        SortField::EcrImageRegistry,
        SortField::VulnerabilityId,
        SortField::VulnerabilitySource,
        SortField::InspectorScore,
        SortField::VendorSeverity,
        SortField::EpssScore,
        SortField::NetworkProtocol,
        SortField::ComponentType,
        SortField::Absent,
    ];
    (proptest::sample::select(fields.to_vec()), any::<bool>()).prop_map(|(field, descending)| Sort { field, descending })
}

/// Walked or sorted; with as much work as it takes, or so little that pages end before they are full.
fn effort() -> impl Strategy<Value = Effort> {
    (prop_oneof![Just(0), Just(FEW_PAIRS)], prop_oneof![3 => Just(WORK), 1 => 1u64..4]).prop_map(|(few, work)| Effort { few, work })
}

proptest! {
    #[test]
    fn derived_state_equals_the_log_replayed(steps in proptest::collection::vec(step(), 1..40)) {
        let mut lab = Lab::new();
        for step in &steps {
            lab.run(step);
            prop_assert_eq!(lab.world.derived(), lab.world.log.replay(), "after {:?}", step);
        }
    }

    #[test]
    fn a_listing_equals_the_oracle(
        steps in proptest::collection::vec(step(), 1..40), criteria in criteria(), suppressed in proptest::option::of(criteria()),
        sort in sort(), limit in 1usize..7, effort in effort(),
    ) {
        let mut lab = Lab::new();
        steps.iter().for_each(|step| lab.run(step));
        lab.world.suppressions.extend(suppressed.map(|criteria| Suppression { scope: Lab::scope(0), by: "a rule".into(), criteria }));
        let scopes = [Lab::scope(0), Lab::scope(1)];
        let expected: Vec<String> = oracle::list_all(&lab.world, &NoInventories, &scopes, &criteria, sort, lab.now).iter().map(describe).collect();
        prop_assert_eq!(lab.pages(&criteria, sort, limit, effort), expected);
        let active = Criteria { terms: criteria.terms.iter().cloned().chain([text(TextField::FindingStatus, vec![TextTest::Equals("ACTIVE".into())])]).collect() };
        let active = oracle::list_all(&lab.world, &NoInventories, &scopes, &active, sort, lab.now).len() as u64;
        let counted: u64 = aggregate(&lab.world, &NoInventories, &scopes, &criteria, GroupBy::Severity, lab.now).unwrap().iter().map(|g| g.counts.all).sum();
        prop_assert_eq!(counted, active);
        for by in [
            GroupBy::Account, GroupBy::FindingType, GroupBy::Severity, GroupBy::Repository, GroupBy::Resource, GroupBy::Package, GroupBy::Title,
            GroupBy::MachineImage,
        ] {
            let counted = aggregate(&lab.world, &NoInventories, &scopes, &criteria, by, lab.now).unwrap();
            prop_assert_eq!(counted, oracle::aggregate_all(&lab.world, &NoInventories, &scopes, &criteria, by, lab.now), "{:?}", by);
        }
    }

    /// Whoever has the ARN of a finding finds it by that, first seen when it was, however its vulnerability is called by now.
    #[test]
    fn what_is_called_otherwise_is_the_same_finding(
        steps in proptest::collection::vec(step(), 1..40), (from, into, all) in (0u8..6, 0u8..6, any::<bool>()), name in 0u8..9,
    ) {
        let mut lab = Lab::new();
        steps.iter().for_each(|step| lab.run(step));
        let seen = |lab: &Lab| -> BTreeMap<String, (String, String, Timestamp)> {
            let scopes = [Lab::scope(0), Lab::scope(1)];
            let all = oracle::list_all(&lab.world, &NoInventories, &scopes, &Criteria::default(), Sort::default(), lab.now);
            let of = |view: FindingView| (view.resource.key.id, view.status.as_str().to_owned(), view.first_observed);
            all.into_iter().map(|view| (view.arn.to_string(), of(view))).collect()
        };
        let before = seen(&lab);
        lab.run(&Step::Rename { vulnerability: from, name });
        prop_assert_eq!(&seen(&lab), &before);
        let (had, both) = match (lab.world.estate.vulnerability_id(&lab.name(from)), lab.world.estate.vulnerability_id(&lab.name(into))) {
            (Some(one), Some(other)) if one != other => (lab.world.ever_in(one), lab.world.ever_in(one) & lab.world.ever_in(other)),
            _ => Default::default(),
        };
        lab.run(&Step::Merge { vulnerability: from, into, all });
        let after = seen(&lab);
        for (arn, (resource, status, first)) in &before {
            let id = (0..5).map(Lab::key).find(|key| key.id == *resource).and_then(|key| lab.world.resource_id(&key)).unwrap();
            let Some((_, is_now, first_now)) = after.get(arn) else {
                // What closed long ago opened again, as always by another ARN.
                prop_assert!(both.contains(id) && status == "CLOSED", "{} is gone", arn);
                continue;
            };
            // Where both were, one of them ends; where the one was not, nothing happens; elsewhere it ends where the other is not.
            if !had.contains(id) || (!both.contains(id) && all) {
                prop_assert_eq!((is_now, first_now), (status, first), "{}", arn);
            }
        }
    }

    #[test]
    fn pages_do_not_shift_while_the_world_moves(
        before in proptest::collection::vec(step(), 5..30), during in proptest::collection::vec(step(), 0..10), sort in sort(), limit in 1usize..4,
        effort in effort(),
    ) {
        // Sort keys of findings may move; what must not is membership.
        let mut lab = Lab::new();
        before.iter().filter(|s| !matches!(s, Step::Rescore { .. })).for_each(|step| lab.run(step));
        let scopes = [Lab::scope(0), Lab::scope(1)];
        let criteria = Criteria::default();
        let moves = [SortField::FirstObservedAt, SortField::LastObservedAt, SortField::FindingStatus];
        let sort = Sort { field: if moves.contains(&sort.field) { SortField::Severity } else { sort.field }, ..sort };
        let now = lab.now;
        let expected: Vec<String> = oracle::list_all(&lab.world, &NoInventories, &scopes, &criteria, sort, now).iter().map(describe).collect();
        let key = TokenKey::new([1; 32]);
        let first = list(&lab.world, &NoInventories, &key, &PageRequest { scopes: &scopes, criteria: &criteria, sort, limit, token: None, now, effort }).unwrap();
        let mut all: Vec<String> = first.findings.iter().map(describe).collect();
        let mut token = first.next;
        during.iter().filter(|s| matches!(s, Step::Inventory { .. } | Step::Advisory { .. })).for_each(|step| lab.run(step));
        while let Some(next) = token {
            let page = list(&lab.world, &NoInventories, &key, &PageRequest { scopes: &scopes, criteria: &criteria, sort, limit, token: Some(&next), now, effort }).unwrap();
            all.extend(page.findings.iter().map(describe));
            token = page.next;
        }
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn scopes_do_not_see_each_other() {
    let mut lab = Lab::new();
    lab.run(&Step::Inventory { resource: 0, packages: Some(vec![1]) });
    lab.run(&Step::Inventory { resource: 1, packages: Some(vec![1]) });
    lab.run(&Step::Advisory { vulnerability: 1, packages: vec![1], fixed: true });
    let only = [Lab::scope(0)];
    let found = oracle::list_all(&lab.world, &NoInventories, &only, &Criteria::default(), Sort::default(), lab.now);
    assert_eq!(found.iter().map(|f| f.resource.key.id.as_str()).collect::<Vec<_>>(), ["image-0"]);
    assert_eq!(lab.world.resources_in(&Scope::new("aws", "333333333333", "eu-west-1").unwrap()), &RoaringBitmap::new());
}

/// Reading an inventory for each closed finding that is looked at made a page of few take seconds.
#[test]
fn what_a_closed_finding_was_in_is_known_without_an_inventory() {
    let mut lab = Lab::new();
    lab.run(&Step::Inventory { resource: 0, packages: Some(vec![1, 2]) });
    lab.run(&Step::Inventory { resource: 2, packages: Some(vec![1, 3]) });
    lab.run(&Step::Advisory { vulnerability: 1, packages: vec![1, 2], fixed: true });
    // One closes as what is installed changes, the other as the advisory is withdrawn, and then loses the package too.
    lab.run(&Step::Inventory { resource: 0, packages: Some(vec![3]) });
    lab.run(&Step::Advisory { vulnerability: 1, packages: vec![], fixed: true });
    lab.run(&Step::Inventory { resource: 2, packages: Some(vec![3]) });
    let named = |name: &str| Term::Package(vec![PackageTest { name: Some(TextTest::Equals(name.into())), ..PackageTest::default() }]);
    let fixable = text(TextField::FixAvailable, vec![TextTest::Equals("YES".into())]);
    for (terms, expected) in [
        (vec![fixable], vec!["CVE-2024-0001 - p1, p2", "CVE-2024-0001 - p1"]),
        (vec![named("p2")], vec!["CVE-2024-0001 - p1, p2"]),
        (vec![named("p3")], vec![]),
    ] {
        let scopes = [Lab::scope(0), Lab::scope(1)];
        let criteria = Criteria { terms };
        let (sort, now, effort) = (Sort::default(), lab.now, Effort::default());
        let request = PageRequest { scopes: &scopes, criteria: &criteria, sort, limit: 10, token: None, now, effort };
        let page = list(&lab.world, &NoInventories, &TokenKey::new([1; 32]), &request).unwrap();
        assert_eq!(page.findings.iter().map(|finding| finding.title.as_str()).collect::<Vec<_>>(), expected, "{criteria:?}");
        assert!(page.findings.iter().all(|finding| finding.status == FindingStatus::Closed));
    }
}

/// Inventories by their identity.
#[derive(Default)]
struct Kept(BTreeMap<Hash, std::sync::Arc<Inventory>>);

impl InventorySource for Kept {
    fn inventory(&self, id: &Hash) -> Option<std::sync::Arc<Inventory>> {
        self.0.get(id).cloned()
    }
}

/// Gives a resource an inventory in which each package lies in a layer.
fn layered(lab: &mut Lab, kept: &mut Kept, resource: u8, packages: &[(u8, &str)]) {
    lab.run(&Step::Inventory { resource, packages: Some(packages.iter().map(|(package, _)| *package).collect()) });
    let place = |layer: &str| Occurrence {
        component: 0,
        path: "app".into(),
        layer: Some(layer.to_owned()),
        arch: None,
        manager: Manager::NodePackage,
    };
    let found = packages.iter().map(|(package, layer)| (Lab::component(*package), place(layer))).collect();
    let inventory = Inventory::assemble(None, found, vec![]);
    let id = Hash::of(format!("{packages:?}").as_bytes());
    kept.0.insert(id, std::sync::Arc::new(inventory));
    let number = lab.world.resource_id(&Lab::key(resource)).unwrap();
    let entry = lab.world.resource(number).unwrap().clone();
    lab.world.set_resource(number, ResourceEntry { inventory: Some(id), ..entry });
}

proptest! {
    #[test]
    fn counts_by_layer_equal_the_oracle(
        images in proptest::collection::vec(proptest::collection::vec((0u8..6, prop_oneof![Just("one"), Just("two"), Just("three")]), 0..5), 5),
        steps in proptest::collection::vec(step(), 0..20), criteria in criteria(), suppressed in proptest::option::of(criteria()),
    ) {
        let (mut lab, mut kept) = (Lab::new(), Kept::default());
        for (resource, packages) in (0..).zip(&images) {
            layered(&mut lab, &mut kept, resource, packages);
        }
        steps.iter().filter(|step| !matches!(step, Step::Inventory { .. })).for_each(|step| lab.run(step));
        lab.world.suppressions.extend(suppressed.map(|criteria| Suppression { scope: Lab::scope(0), by: "a rule".into(), criteria }));
        let scopes = [Lab::scope(0), Lab::scope(1)];
        let counted = aggregate(&lab.world, &kept, &scopes, &criteria, GroupBy::Layer, lab.now).unwrap();
        prop_assert_eq!(counted, oracle::aggregate_all(&lab.world, &kept, &scopes, &criteria, GroupBy::Layer, lab.now));
    }
}
