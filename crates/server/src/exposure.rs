//! What is open in a network becomes conditions of the instances behind it, and from how far each can be reached.

use crate::core::{Core, Draft, lock};
use crate::{Outcome, ServerError};
use lestrade_findings::{Assessment, Condition, Door, PathStep, Reach, Transition, condition_key};
use lestrade_matching::{ResourceId, VulnerabilityId};
use lestrade_model::{Coverage, CoverageReason, Exposure, FindingKey, Protocol, ResourceKind, ScanKind, Scope, Severity};
use lestrade_reachability::{Network, Opening, OpeningSeverity, SourceClass, read_descriptions};
use lestrade_store::{Document, Fan};
use roaring::RoaringBitmap;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

/// The kind of the documents that hold networks as they were described last.
const DOCUMENTS: &str = "network";
/// The key under which an earlier build kept all of it; now each list has its own.
const DESCRIBED: &str = "described";

/// That nothing has changed is noted this often.
const NOTED_EVERY_MS: i64 = 15 * 60 * 1000;

/// What is open at one instance.
#[derive(Default)]
struct Open<'a> {
    /// By name, as a port may be open at several addresses of one interface.
    conditions: BTreeMap<String, (FindingKey, &'a Opening)>,
    doors: Vec<Door>,
    exposure: Exposure,
}

/// A network as it was described last, and what was told of it.
#[derive(Default)]
pub(crate) struct Known {
    document: Value,
    network: Option<Network>,
    /// What could not be asked for.
    gaps: Vec<String>,
    /// What was not understood of it.
    problems: Vec<String>,
    /// The instances that have their openings, and whether each was gone.
    told: HashMap<ResourceId, bool>,
    /// How often the world had been rebuilt by then.
    rebuilds: u64,
    /// The instance of each interface, as it was described last.
    instances: HashMap<String, String>,
}

impl Core {
    /// Takes in a network as it was described: a document of the `describe-*` calls, with what could not be asked for. Evaluated
    /// is what differs from the description before.
    ///
    /// The document is kept, so that a server that starts again knows what is open before it has asked anybody.
    ///
    /// # Errors
    /// When the document describes no network, or the store fails.
    pub fn describe_network(&self, scope: &Scope, document: &Value, gaps: &[String]) -> Result<Outcome, ServerError> {
        let outcome = self.expose(scope, document, gaps)?;
        self.keep_network(scope, document)?;
        Ok(outcome)
    }

    /// Takes in one object of a network as it is described now, none when it is gone: of `SecurityGroups` the one whose `GroupId`
    /// is this. Answers none where the network was not described before; then all of it is to be.
    ///
    /// # Errors
    /// When the network with the object in it describes none, or the store fails.
    pub fn describe_object(
        &self,
        scope: &Scope,
        list: &str,
        name: &str,
        id: &str,
        object: Option<Value>,
    ) -> Result<Option<Outcome>, ServerError> {
        let (mut document, gaps) = {
            let networks = lock(&self.networks);
            let Some(known) = networks.get(scope).filter(|known| known.network.is_some()) else { return Ok(None) };
            (known.document.clone(), known.gaps.clone())
        };
        let Some(objects) = document[list].as_array_mut() else { return Ok(None) };
        match (objects.iter_mut().find(|known| known[name] == id), object) {
            (Some(known), Some(object)) => *known = object,
            (None, Some(object)) => objects.push(object),
            (_, None) => objects.retain(|known| known[name] != id),
        }
        self.describe_network(scope, &document, &gaps).map(Some)
    }

    /// Keeps a description list by list: what changes is mostly one of them.
    fn keep_network(&self, scope: &Scope, document: &Value) -> Result<(), ServerError> {
        let mut store = self.store();
        let kept: HashMap<String, String> =
            store.documents(scope, DOCUMENTS)?.into_iter().map(|document| (document.key, document.body)).collect();
        let lists = document.as_object().into_iter().flatten();
        for (key, list) in lists.clone() {
            let body = list.to_string();
            if kept.get(key) != Some(&body) {
                store.put_document(scope, DOCUMENTS, &Document { key: key.clone(), body })?;
            }
        }
        for gone in kept.keys().filter(|key| document.get(key.as_str()).is_none()) {
            store.delete_document(scope, DOCUMENTS, gone)?;
        }
        Ok(())
    }

    /// Takes in the networks as they were described before this server was started.
    ///
    /// # Errors
    /// When the store fails. A document that is damaged is passed over and told: the next look brings another.
    pub fn recall_networks(&self) -> Result<(), ServerError> {
        let scopes: Vec<Scope> = self.world().scopes().cloned().collect();
        for scope in scopes {
            let kept = self.store().documents(&scope, DOCUMENTS)?;
            let mut whole = serde_json::Map::new();
            let mut damaged = None;
            for document in kept {
                match serde_json::from_str::<Value>(&document.body) {
                    // An earlier build kept all in one.
                    Ok(Value::Object(lists)) if document.key == DESCRIBED => whole.extend(lists),
                    Ok(list) => drop(whole.insert(document.key, list)),
                    Err(error) => damaged = Some(format!("{}: {error}", document.key)),
                }
            }
            if whole.is_empty() && damaged.is_none() {
                continue;
            }
            let taken = match damaged {
                Some(reason) => Err(reason),
                None => self.expose(&scope, &Value::Object(whole), &[]).map(drop).map_err(|error| error.to_string()),
            };
            if let Err(reason) = taken {
                tracing::warn!(%scope, reason, "a network that was described before cannot be read");
            }
        }
        Ok(())
    }

    fn expose(&self, scope: &Scope, document: &Value, gaps: &[String]) -> Result<Outcome, ServerError> {
        let unusable = |reason: String| ServerError::Source { source_name: format!("the network of {scope}"), reason };
        let snapshot = read_descriptions(std::slice::from_ref(document)).map_err(|error| unusable(error.to_string()))?;
        // Before the world's lock: what is worked out here is nobody else's.
        let mut networks = lock(&self.networks);
        let known = networks.entry(scope.clone()).or_default();
        // A world that was rebuilt from the store has been told nothing yet.
        let rebuilds = self.rebuilds.load(Ordering::Relaxed);
        let unsure = known.rebuilds != rebuilds || (&known.gaps[..], &known.problems) != (gaps, &snapshot.problems);
        let problems = snapshot.problems.clone();
        // After a start the same is worked out again, and is nothing that anybody has to be told of.
        let is_news = known.network.is_some() && known.rebuilds == rebuilds;
        let (network, moved) = match known.network.take() {
            Some(mut network) => {
                let moved = network.update(snapshot);
                (network, Some(moved))
            }
            None => (Network::new(snapshot), None),
        };
        // Of instances whose interfaces came or went both the old and the new one.
        let of_interface = |id: &String| network.snapshot().interfaces.get(id).and_then(|interface| interface.instance.clone());
        let moved: Option<HashSet<String>> = moved.map(|moved| {
            let before = moved.iter().flat_map(|id| known.instances.get(id).cloned());
            moved.iter().filter_map(of_interface).chain(before).collect()
        });
        known.instances = network.snapshot().interfaces.iter().filter_map(|(id, it)| Some((id.clone(), it.instance.clone()?))).collect();
        let interfaces = by_instance(&network);
        let mut guard = self.world_mut();
        let mut draft = Draft::new(self, &mut guard)?;
        let instances: Vec<ResourceId> = draft.world.resources_in(scope).iter().collect();
        let mut outcome = Outcome::Unchanged;
        for id in instances {
            let Some(entry) = draft.world.resource(id).filter(|entry| entry.resource.key.kind == ResourceKind::Instance) else { continue };
            let name = entry.resource.key.id.clone();
            // One that is gone has no network, whatever was described when it was there; of one that is left out none is looked at.
            let unwatched = [CoverageReason::ResourceTerminated, CoverageReason::ExcludedByTag];
            let gone = entry.coverage.iter().any(|coverage| unwatched.contains(&coverage.reason));
            let own = interfaces.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let unknown = what_is_unknown(&network, &problems, gaps, own);
            let same = known.told.insert(id, gone) == Some(gone) && !unsure;
            if !same || moved.as_ref().is_none_or(|moved| moved.contains(&name)) {
                let open = if gone { Open::default() } else { open(&network, own) };
                let exposure = match open.exposure {
                    Exposure::None if !unknown.is_empty() => Exposure::Unknown,
                    exposure => exposure,
                };
                let before = draft.world.reach(id);
                // What is described in part closes nothing: it may be there again in a minute.
                let whole = gone || is_whole(&network, own);
                let exposure = if whole { exposure } else { exposure.max(draft.world.exposure(id)) };
                draft.world.set_exposure(id, exposure);
                if is_news {
                    draft.tell_scores(id, before);
                }
                let mut doors = open.doors;
                if !whole {
                    let known = draft.world.doors(id).iter().filter(|door| !doors.contains(door)).cloned().collect::<Vec<_>>();
                    doors.extend(known);
                }
                draft.world.set_doors(id, doors);
                if draft.set_conditions(id, &open.conditions, whole) {
                    outcome = Outcome::Changed;
                }
            }
            if !gone {
                draft.cover_network(id, unknown);
            }
        }
        draft.commit(self)?;
        known.rebuilds = rebuilds;
        known.document.clone_from(document);
        known.gaps = gaps.to_vec();
        known.problems = problems;
        known.network = Some(network);
        Ok(outcome)
    }
}

impl Draft<'_> {
    /// Gives a resource the conditions that it has now, beside those that it had where these are not all. Answers whether they are
    /// others than before.
    fn set_conditions(&mut self, id: ResourceId, open: &BTreeMap<String, (FindingKey, &Opening)>, all: bool) -> bool {
        // That the system is past its end is no matter of the network.
        let mut now = self.conditions_that(id, |condition| !all || !condition.is_of_network());
        for (name, (key, opening)) in open {
            let condition = self.vulnerability(name);
            let known = condition_of(key.clone(), steps(opening));
            if self.world.assessment(condition).and_then(|known| known.condition.as_ref()) != Some(&known) {
                self.world.set_assessment(condition, Assessment::of_condition(known));
            }
            now.insert(condition);
        }
        self.change_conditions(id, now)
    }

    /// Gives a resource these conditions in place of those that it has. Answers whether they are others than before.
    pub(crate) fn change_conditions(&mut self, id: ResourceId, now: RoaringBitmap) -> bool {
        let delta = self.world.estate.set_conditions(id, now);
        if delta.opened.is_empty() && delta.closed.is_empty() {
            return false;
        }
        let (opened, closed) = (delta.opened, delta.closed);
        self.episode(lestrade_findings::EpisodeBody::Condition { resource: id, opened: opened.clone(), closed: closed.clone() });
        self.tell(Some(Transition::Opened), Fan::Resource { resource: id, vulnerabilities: opened });
        self.tell(Some(Transition::Closed), Fan::Resource { resource: id, vulnerabilities: closed });
        true
    }

    /// Tells of the findings whose score is another one now that their resource is attacked from nearer or farther than before.
    fn tell_scores(&mut self, id: ResourceId, before: Reach) {
        let now = self.world.reach(id);
        let is_other = |id: &VulnerabilityId| {
            let known = self.world.assessment(*id);
            known.is_some_and(|assessment| assessment.score_at(before) != assessment.score_at(now))
        };
        let vulnerabilities = self.world.estate.vulnerabilities_of(id).iter().filter(is_other).collect();
        self.tell(None, Fan::Resource { resource: id, vulnerabilities });
    }

    /// Notes that a resource's network was looked at.
    fn cover_network(&mut self, id: ResourceId, unknown: String) {
        let at = self.at();
        let Some(mut entry) = self.world.resource(id).cloned() else { return };
        let coverage = Coverage { kind: ScanKind::Network, reason: CoverageReason::Successful, detail: unknown, last_scanned: Some(at) };
        let news = match entry.coverage.iter_mut().find(|known| known.kind == ScanKind::Network) {
            Some(known) => {
                let news = (known.reason, &known.detail) != (coverage.reason, &coverage.detail);
                let age = known.last_scanned.map(|last| at.as_millis().saturating_sub(last.as_millis()));
                // A network that changes often is no reason to write a row for each of its instances each time.
                if !news && age.is_some_and(|age| (0..NOTED_EVERY_MS).contains(&age)) {
                    return;
                }
                *known = coverage.clone();
                news
            }
            None => {
                entry.coverage.push(coverage.clone());
                true
            }
        };
        self.change.resources.push((id, entry.clone().into()));
        self.world.set_resource(id, entry);
        if news {
            self.tell(None, Fan::Coverage { resource: id, coverage });
        }
    }
}

/// The interfaces of each instance.
fn by_instance(network: &Network) -> HashMap<&str, Vec<&String>> {
    let mut instances: HashMap<&str, Vec<&String>> = HashMap::new();
    for (id, interface) in &network.snapshot().interfaces {
        if let Some(instance) = &interface.instance {
            instances.entry(instance).or_default().push(id);
        }
    }
    instances
}

/// Whether all is described that an instance with some interfaces refers to. Each instance has interfaces.
fn is_whole(network: &Network, interfaces: &[&String]) -> bool {
    !interfaces.is_empty() && interfaces.iter().all(|id| network.unknown(id).next().is_none())
}

/// What is open at the interfaces of an instance.
fn open<'n>(network: &'n Network, interfaces: &[&'n String]) -> Open<'n> {
    let mut open = Open { exposure: Exposure::None, ..Open::default() };
    for opening in interfaces.iter().flat_map(|id| network.all_openings(id)) {
        let Some(protocol) = Protocol::numbered(opening.protocol) else { continue };
        let exposure = exposure_of(opening.class);
        open.exposure = open.exposure.max(exposure);
        open.doors.push(Door {
            exposure,
            edge: opening.via.to_string(),
            interface: opening.interface.to_string(),
            address: opening.address,
            protocol,
            ports: opening.ports,
        });
        let key =
            FindingKey::Network { edge: opening.via.to_string(), interface: opening.interface.to_string(), protocol, ports: opening.ports };
        let name = condition_of(key.clone(), Vec::new()).name();
        open.conditions.entry(name).or_insert((key, opening));
    }
    open
}

const fn exposure_of(class: SourceClass) -> Exposure {
    match class {
        SourceClass::Internet => Exposure::Internet,
        // What decides before the instance may let it pass.
        SourceClass::LoadBalancer | SourceClass::Appliance => Exposure::LoadBalancer,
        SourceClass::Peer | SourceClass::Vpn | SourceClass::Transit => Exposure::Private,
    }
}

/// What about the network of an instance with some interfaces is not known, in one clause; empty when all is.
fn what_is_unknown(network: &Network, problems: &[String], gaps: &[String], interfaces: &[&String]) -> String {
    let mut unknown: Vec<&str> = interfaces.iter().flat_map(|id| network.unknown(id)).map(String::as_str).collect();
    unknown.extend(interfaces.is_empty().then_some("its interfaces are not described"));
    unknown.extend(problems.iter().map(String::as_str));
    unknown.extend(gaps.iter().map(String::as_str));
    match unknown.as_slice() {
        [] => String::new(),
        [one] => format!("not known: {one}"),
        [one, rest @ ..] => format!("not known: {one} (and {} more)", rest.len()),
    }
}

fn steps(opening: &Opening) -> Vec<PathStep> {
    let step = |step: &lestrade_reachability::Step| PathStep { id: step.component_id.to_string(), kind: step.component_type.to_owned() };
    let instance = opening.instance.as_ref().map(|id| PathStep { id: id.to_string(), kind: INSTANCE.to_owned() });
    let path: Vec<PathStep> = opening.path.iter().map(step).collect();
    let ends_there = path.last().is_some_and(|last| last.kind == INSTANCE);
    path.into_iter().chain(instance.filter(|_| !ends_there)).collect()
}

const INSTANCE: &str = "AWS::EC2::Instance";

/// The condition of a key. Inspector's words.
pub(crate) fn condition_of(key: FindingKey, steps: Vec<PathStep>) -> Condition {
    if let FindingKey::EndOfLife { os } = &key {
        return Condition::ended(os);
    }
    let FindingKey::Network { edge, interface, protocol, ports } = &key else {
        return Condition {
            key,
            severity: Severity::Untriaged,
            title: String::new(),
            description: String::new(),
            remediation: String::new(),
            steps,
        };
    };
    let class = SourceClass::of_edge(edge);
    let number = if *protocol == Protocol::Tcp { 6 } else { 17 };
    let at = steps.iter().find(|step| step.kind == INSTANCE).map_or_else(String::new, |step| format!("On the instance {}, ", step.id));
    let what = if at.is_empty() { "The port range" } else { "the port range" };
    Condition {
        severity: match class.severity(number, *ports) {
            OpeningSeverity::High => Severity::High,
            OpeningSeverity::Medium => Severity::Medium,
            OpeningSeverity::Low => Severity::Low,
            OpeningSeverity::Informational => Severity::Informational,
        },
        title: class.title(number, *ports),
        description: format!(
            "{at}{what} {}-{} is reachable from the {} {edge} from an attached ENI {interface}.",
            ports.0,
            ports.1,
            edge_word(class)
        ),
        remediation: "You can restrict access to your instance by modifying the Security Groups or ACLs in the network path.".to_owned(),
        steps,
        key,
    }
}

const fn edge_word(class: SourceClass) -> &'static str {
    match class {
        SourceClass::Internet => "InternetGateway",
        SourceClass::Peer => "VPC Peering Connection",
        SourceClass::Vpn => "Virtual Private Gateway",
        SourceClass::Transit => "Transit Gateway",
        SourceClass::LoadBalancer => "Load Balancer",
        SourceClass::Appliance => "Appliance",
    }
}

/// What is known of a condition by its name alone, after a start: its path comes with the network.
pub(crate) fn recalled(name: &str) -> Option<Assessment> {
    condition_key(name).map(|key| Assessment::of_condition(condition_of(key, Vec::new())))
}
