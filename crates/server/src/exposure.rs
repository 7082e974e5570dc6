//! What is open in a network becomes conditions of the instances behind it, and from how far each can be reached.

use crate::core::{Core, Draft};
use crate::{Outcome, ServerError};
use lestrade_findings::{Assessment, Condition, PathStep, Transition, condition_key};
use lestrade_matching::ResourceId;
use lestrade_model::{Coverage, CoverageReason, Exposure, FindingKey, Protocol, ResourceKind, ScanKind, Scope, Severity};
use lestrade_reachability::{Analysis, Opening, OpeningSeverity, Snapshot, SourceClass, evaluate, read_descriptions};
use lestrade_store::{Document, Fan};
use roaring::RoaringBitmap;
use serde_json::Value;
use std::collections::BTreeMap;

/// The kind of the documents that hold networks as they were described last.
const DOCUMENTS: &str = "network";
/// The key of the one that a scope has.
const DESCRIBED: &str = "described";

/// That nothing has changed is noted this often.
const NOTED_EVERY_MS: i64 = 15 * 60 * 1000;

/// What is open at one instance.
#[derive(Default)]
struct Open<'a> {
    /// By name, as a port may be open at several addresses of one interface.
    conditions: BTreeMap<String, (FindingKey, &'a Opening)>,
    exposure: Exposure,
}

impl Core {
    /// Takes in a network as it was described: a document of the `describe-*` calls, with what could not be asked for.
    ///
    /// The document is kept, so that a server that starts again knows what is open before it has asked anybody.
    ///
    /// # Errors
    /// When the document describes no network, or the store fails.
    pub fn describe_network(&self, scope: &Scope, document: &Value, gaps: &[String]) -> Result<Outcome, ServerError> {
        let outcome = self.expose(scope, document, gaps)?;
        let body = document.to_string();
        let mut store = self.store();
        let kept = store.documents(scope, DOCUMENTS)?;
        if kept.iter().all(|known| known.body != body) {
            store.put_document(scope, DOCUMENTS, &Document { key: DESCRIBED.to_owned(), body })?;
        }
        Ok(outcome)
    }

    /// Takes in the networks as they were described before this server was started.
    ///
    /// # Errors
    /// When the store fails. A document that is damaged is passed over and told: the next look brings another.
    pub fn recall_networks(&self) -> Result<(), ServerError> {
        let scopes: Vec<Scope> = self.world().scopes().cloned().collect();
        for scope in scopes {
            let kept = self.store().documents(&scope, DOCUMENTS)?;
            for document in kept {
                let read = serde_json::from_str(&document.body).map_err(|error| error.to_string());
                let taken = read.and_then(|value| self.expose(&scope, &value, &[]).map_err(|error| error.to_string()));
                if let Err(reason) = taken {
                    tracing::warn!(%scope, reason, "a network that was described before cannot be read");
                }
            }
        }
        Ok(())
    }

    fn expose(&self, scope: &Scope, document: &Value, gaps: &[String]) -> Result<Outcome, ServerError> {
        let unusable = |reason: String| ServerError::Source { source_name: format!("the network of {scope}"), reason };
        let snapshot = read_descriptions(std::slice::from_ref(document)).map_err(|error| unusable(error.to_string()))?;
        let analysis = evaluate(&snapshot);
        let open = by_instance(&analysis);
        let mut guard = self.world_mut();
        let mut draft = Draft::new(self, &mut guard);
        let instances: Vec<ResourceId> = draft.world.resources_in(scope).iter().collect();
        let mut outcome = Outcome::Unchanged;
        for id in instances {
            let Some(entry) = draft.world.resource(id).filter(|entry| entry.resource.key.kind == ResourceKind::Instance) else { continue };
            let name = entry.resource.key.id.clone();
            // One that is gone has no network, whatever was described when it was there.
            let gone = entry.coverage.iter().any(|coverage| coverage.reason == CoverageReason::ResourceTerminated);
            let here = open.get(name.as_str()).filter(|_| !gone);
            let unknown = what_is_unknown(&snapshot, &analysis, gaps, &name);
            let exposure = here.map_or(Exposure::None, |open| open.exposure);
            let exposure = if exposure == Exposure::None && !unknown.is_empty() { Exposure::Unknown } else { exposure };
            draft.world.set_exposure(id, exposure);
            if draft.set_conditions(id, here.map(|open| &open.conditions)) {
                outcome = Outcome::Changed;
            }
            if !gone {
                draft.cover_network(id, unknown);
            }
        }
        draft.commit(self)?;
        Ok(outcome)
    }
}

impl Draft<'_> {
    /// Gives a resource the conditions that it has now. Answers whether they are others than before.
    pub(crate) fn set_conditions(&mut self, id: ResourceId, open: Option<&BTreeMap<String, (FindingKey, &Opening)>>) -> bool {
        // That the system is past its end is no matter of the network.
        let mut now = self.conditions_that(id, |condition| !condition.is_of_network());
        for (name, (key, opening)) in open.into_iter().flatten() {
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

/// What is open at each instance.
fn by_instance(analysis: &Analysis) -> BTreeMap<&str, Open<'_>> {
    let mut instances: BTreeMap<&str, Open<'_>> = BTreeMap::new();
    for opening in &analysis.openings {
        let (Some(instance), Some(protocol)) = (opening.instance.as_deref(), Protocol::numbered(opening.protocol)) else { continue };
        let open = instances.entry(instance).or_default();
        open.exposure = open.exposure.max(exposure_of(opening.class));
        let key =
            FindingKey::Network { edge: opening.via.to_string(), interface: opening.interface.to_string(), protocol, ports: opening.ports };
        let name = condition_of(key.clone(), Vec::new()).name();
        open.conditions.entry(name).or_insert((key, opening));
    }
    instances
}

const fn exposure_of(class: SourceClass) -> Exposure {
    match class {
        SourceClass::Internet => Exposure::Internet,
        SourceClass::LoadBalancer => Exposure::LoadBalancer,
        SourceClass::Peer | SourceClass::Vpn | SourceClass::Transit => Exposure::Private,
    }
}

/// What about an instance's network is not known, in one clause; empty when all is.
fn what_is_unknown(snapshot: &Snapshot, analysis: &Analysis, gaps: &[String], instance: &str) -> String {
    let own = snapshot.interfaces.iter().filter(|(_, interface)| interface.instance.as_deref() == Some(instance));
    let mut unknown: Vec<&str> = own.filter_map(|(id, _)| analysis.unknown.get(id)).flatten().map(String::as_str).collect();
    unknown.extend(snapshot.problems.iter().map(String::as_str));
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
    }
}

/// What is known of a condition by its name alone, after a start: its path comes with the network.
pub(crate) fn recalled(name: &str) -> Option<Assessment> {
    condition_key(name).map(|key| Assessment::of_condition(condition_of(key, Vec::new())))
}
