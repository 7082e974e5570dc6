//! The episode log: when which resources gained and lost which vulnerabilities. Append-only; the only memory of the past.
//!
//! An advisory delta is one episode (vulnerability, bitmaps of match sets opened and closed), however many resources it hits;
//! an inventory change is one episode (resource, bitmaps of vulnerabilities opened and closed).

use lestrade_matching::{ComponentId, ResourceId, SetId, Verdict, VulnerabilityId};
use lestrade_model::{Hash, Timestamp};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A place in the log; the first episode has 1, and 0 is before all.
pub type LogPosition = u64;

/// A finding that closes and recurs within this time is the same finding again (seven days).
pub const REOPEN_WINDOW_MS: i64 = 7 * 86_400_000;

/// How long a closed finding is shown (thirty days). The log keeps it for ever.
pub const CLOSED_RETENTION_MS: i64 = 30 * 86_400_000;

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EpisodeBody {
    /// What is known of a vulnerability changed.
    Advisory {
        /// Which.
        vulnerability: VulnerabilityId,
        /// Match sets that have it from now on.
        opened: RoaringBitmap,
        /// Match sets that have it no longer.
        closed: RoaringBitmap,
    },
    /// What is installed in a resource changed.
    Inventory {
        /// Which.
        resource: ResourceId,
        /// Its match set from now on; none when it is gone.
        set: Option<SetId>,
        /// The inventory that it had until now, so that what is closed here can still be shown.
        previous: Option<Hash>,
        /// Vulnerabilities that it has from now on.
        opened: RoaringBitmap,
        /// Vulnerabilities that it has no longer.
        closed: RoaringBitmap,
    },
    /// A resource's conditions changed: what is wrong with it apart from its packages.
    Condition {
        /// Which.
        resource: ResourceId,
        /// Conditions that it has from now on.
        opened: RoaringBitmap,
        /// Conditions that it has no longer.
        closed: RoaringBitmap,
    },
    /// A vulnerability is said to be in some components no longer. It moves nothing by itself: it is what the findings that close
    /// with it, or closed before, were about.
    Cleared {
        /// Which.
        vulnerability: VulnerabilityId,
        /// The components, and what the last verdict on each said.
        verdicts: Vec<(ComponentId, Verdict)>,
    },
    /// A vulnerability is called otherwise from now on: its records were given a better-known id. It moves nothing.
    Renamed {
        /// Which.
        vulnerability: VulnerabilityId,
        /// What it is called.
        name: String,
    },
    /// What was taken for two vulnerabilities is one. The one has ended and the other is revised when this is said. In resources that
    /// never had the other, the life of the one is the other's.
    Merged {
        /// The one that is no more.
        vulnerability: VulnerabilityId,
        /// The other.
        into: VulnerabilityId,
        /// The resources in which its life is the other's.
        heirs: RoaringBitmap,
        /// Those of them in which it never ended: it was open as the one, and is as the other.
        unbroken: RoaringBitmap,
    },
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Its place.
    pub position: LogPosition,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub body: EpisodeBody,
}

/// Whether a finding opened or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transition {
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

/// One event in the life of one (resource, vulnerability).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairEvent {
    /// Where in the log.
    pub position: LogPosition,
    /// When.
    pub at: Timestamp,
    /// What.
    pub transition: Transition,
    /// For a close by an inventory change: the inventory before it.
    pub previous: Option<Hash>,
    /// As what: another vulnerability, where that was [merged](EpisodeBody::Merged) into this one since.
    pub as_vulnerability: VulnerabilityId,
}

/// The life of one (resource, vulnerability), oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairHistory(pub Vec<PairEvent>);

impl PairHistory {
    /// The last event, if it was ever seen.
    #[must_use]
    pub fn last(&self) -> Option<&PairEvent> {
        self.0.last()
    }

    /// Whether it was open right after `position`.
    #[must_use]
    pub fn open_at(&self, position: LogPosition) -> bool {
        self.0.iter().rev().find(|e| e.position <= position).is_some_and(|e| e.transition == Transition::Opened)
    }

    /// The history as it was right after `position`.
    #[must_use]
    pub fn until(mut self, position: LogPosition) -> Self {
        self.0.retain(|event| event.position <= position);
        self
    }

    /// When the present or latest unbroken episode began.
    #[must_use]
    pub fn first_observed(&self) -> Option<Timestamp> {
        self.0.iter().rev().find(|e| e.transition == Transition::Opened).map(|e| e.at)
    }

    /// As what it was first seen; that names the finding for good.
    #[must_use]
    pub fn origin(&self) -> Option<VulnerabilityId> {
        self.0.first().map(|event| event.as_vulnerability)
    }

    /// How often it came back after having been closed for more than [`REOPEN_WINDOW_MS`].
    #[must_use]
    pub fn generation(&self) -> u32 {
        let mut closed: Option<Timestamp> = None;
        let mut generation = 0;
        for event in &self.0 {
            match event.transition {
                Transition::Closed => closed = Some(event.at),
                Transition::Opened if closed.is_some_and(|at| event.at.as_millis() - at.as_millis() > REOPEN_WINDOW_MS) => generation += 1,
                Transition::Opened => {}
            }
        }
        generation
    }
}

struct SetEvent {
    position: LogPosition,
    at: Timestamp,
    opened: RoaringBitmap,
    closed: RoaringBitmap,
}

struct ResourceEvent {
    position: LogPosition,
    at: Timestamp,
    set: Option<SetId>,
    previous: Option<Hash>,
    opened: Arc<RoaringBitmap>,
    closed: Arc<RoaringBitmap>,
}

/// Whose event an entry of the time line is, and which of its events.
#[derive(Clone, Copy)]
enum Subject {
    Vulnerability(VulnerabilityId, u32),
    Resource(ResourceId, u32),
    /// A vulnerability's that was merged into another.
    Merged(VulnerabilityId),
    /// Nobody's: nothing moved.
    Nobody,
}

/// Bitmaps that many events share: resources that are alike gain and lose alike.
#[derive(Default)]
struct Shared(HashMap<u64, Arc<RoaringBitmap>>);

impl Shared {
    fn of(&mut self, bitmap: RoaringBitmap) -> Arc<RoaringBitmap> {
        // Two that are alike have one number, and which they are is compared below: nothing rests on it but speed.
        let mixed = |hash: u64, item: u32| (hash.rotate_left(5) ^ u64::from(item)).wrapping_mul(0x517c_c1b7_2722_0a95);
        let known = self.0.entry(bitmap.iter().fold(bitmap.len(), mixed)).or_insert_with(|| Arc::new(RoaringBitmap::new()));
        if **known != bitmap {
            // New; or, once in an age, another with the same hash, which then is shared from now on.
            *known = Arc::new(bitmap);
        }
        Arc::clone(known)
    }
}

/// All that happened at one instant.
pub(crate) struct Moment<'l> {
    log: &'l EpisodeLog,
    at: Timestamp,
    line: &'l [(Timestamp, Subject)],
}

impl Moment<'_> {
    /// When.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// The resources that gained something by what happened to them alone, or lost it where that is asked for.
    pub(crate) fn resources(&self, losses: bool) -> RoaringBitmap {
        let of = |(_, subject): &(Timestamp, Subject)| {
            let Subject::Resource(id, number) = subject else { return None };
            let event = self.log.by_resource.of(*id).get(*number as usize)?;
            (!event.opened.is_empty() || (losses && !event.closed.is_empty())).then_some(*id)
        };
        self.line.iter().filter_map(of).collect()
    }

    /// The vulnerabilities that match sets gained, with the sets, or lost where that is asked for.
    pub(crate) fn advisories(&self, losses: bool) -> BTreeMap<VulnerabilityId, RoaringBitmap> {
        let mut sets: BTreeMap<VulnerabilityId, RoaringBitmap> = BTreeMap::new();
        for (_, subject) in self.line {
            if let Subject::Vulnerability(id, number) = subject
                && let Some(event) = self.log.by_vulnerability.of(*id).get(*number as usize)
            {
                for id in self.log.lineage(*id) {
                    let sets = sets.entry(id).or_default();
                    *sets |= &event.opened;
                    if losses {
                        *sets |= &event.closed;
                    }
                }
            }
        }
        sets.retain(|_, sets| !sets.is_empty());
        sets
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Something for each of the numbers that are given out one after the other.
struct Numbered<T>(Vec<T>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Numbered<T> {
    fn at(&mut self, number: u32) -> &mut T {
        let index = number as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, T::default);
        }
        &mut self.0[index]
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.0.get(number as usize)
    }
}

impl<E> Numbered<Vec<E>> {
    /// The events of a number.
    fn of(&self, number: u32) -> &[E] {
        self.0.get(number as usize).map_or(&[], Vec::as_slice)
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Vec<E>)> {
        (0..).zip(&self.0)
    }
}

/// A vulnerability that was merged into another.
struct Merger {
    into: VulnerabilityId,
    heirs: RoaringBitmap,
    unbroken: RoaringBitmap,
}

/// The match set after events of a resource that came before a position.
fn set_after(events: &[ResourceEvent], position: LogPosition) -> Option<SetId> {
    // Most resources have few, and are asked about the last.
    let before = match events.last() {
        Some(last) if last.position < position => events.len(),
        _ => events.partition_point(|event| event.position < position),
    };
    events[..before].last()?.set
}

/// The log in memory, indexed by vulnerability and by resource.
#[derive(Default)]
pub struct EpisodeLog {
    head: LogPosition,
    last_at: Timestamp,
    by_vulnerability: Numbered<Vec<SetEvent>>,
    by_resource: Numbered<Vec<ResourceEvent>>,
    /// Every episode in the order of time: the one at position 1 first.
    line: Vec<(Timestamp, Subject)>,
    shared: Shared,
    /// The resources that once had a match set and then got another.
    former: HashMap<SetId, RoaringBitmap>,
    /// Pairs that closed and have not reopened.
    closed_by_vulnerability: Numbered<RoaringBitmap>,
    closed: RoaringBitmap,
    /// The same the other way round, with more: what closed in a resource by what happened to it alone, and what closed in a match
    /// set, of whose resources some may have come later. An advisory closes in a million resources, which have few sets.
    maybe_closed_in: HashMap<ResourceId, RoaringBitmap>,
    maybe_closed_in_set: HashMap<SetId, RoaringBitmap>,
    /// Vulnerabilities that are others now, and the other way round. There are few.
    merged: BTreeMap<VulnerabilityId, Merger>,
    merged_into: BTreeMap<VulnerabilityId, Vec<VulnerabilityId>>,
}

impl EpisodeLog {
    /// The place of the last episode.
    #[must_use]
    pub const fn head(&self) -> LogPosition {
        self.head
    }

    /// When the last episode happened. A clock that jumps back does not move the log back: later episodes are stamped no
    /// earlier than this.
    #[must_use]
    pub const fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Appends an episode. `resources_of` answers the resources that have one of these match sets at this moment.
    pub fn append(&mut self, episode: Episode, resources_of: impl Fn(&RoaringBitmap) -> RoaringBitmap) {
        let Episode { position, at, body } = episode;
        self.head = self.head.max(position);
        self.last_at = self.last_at.max(at);
        match body {
            EpisodeBody::Advisory { vulnerability, opened, closed } => {
                // As a rule it closed nowhere, and then nobody needs to know who has it.
                let known = self.closed_by_vulnerability.at(vulnerability);
                if !known.is_empty() {
                    *known -= resources_of(&opened);
                    if known.is_empty() {
                        self.closed.remove(vulnerability);
                    }
                }
                let left = resources_of(&closed);
                if !left.is_empty() {
                    *self.closed_by_vulnerability.at(vulnerability) |= left;
                    self.closed.insert(vulnerability);
                    for set in &closed {
                        self.maybe_closed_in_set.entry(set).or_default().insert(vulnerability);
                    }
                }
                let events = self.by_vulnerability.at(vulnerability);
                self.line.push((at, Subject::Vulnerability(vulnerability, number(events.len()))));
                events.push(SetEvent { position, at, opened, closed });
            }
            EpisodeBody::Inventory { resource, set, previous, opened, closed } => {
                let (opened, closed) = (self.shared.of(opened), self.shared.of(closed));
                self.remember(resource, ResourceEvent { position, at, set, previous, opened, closed });
            }
            EpisodeBody::Condition { resource, opened, closed } => {
                // What is installed stays what it was.
                let set = self.set_before(resource, position);
                let (opened, closed) = (self.shared.of(opened), self.shared.of(closed));
                self.remember(resource, ResourceEvent { position, at, set, previous: None, opened, closed });
            }
            EpisodeBody::Merged { vulnerability, into, heirs, unbroken } => {
                self.line.push((at, Subject::Merged(vulnerability)));
                self.merge(vulnerability, Merger { into, heirs, unbroken });
            }
            EpisodeBody::Cleared { .. } | EpisodeBody::Renamed { .. } => self.line.push((at, Subject::Nobody)),
        }
    }

    /// What is closed of the one in its heirs is closed of the other, but where that is open.
    fn merge(&mut self, vulnerability: VulnerabilityId, merger: Merger) {
        let closed = self.closed_by_vulnerability.at(vulnerability);
        let inherited = &*closed & (&merger.heirs - &merger.unbroken);
        *closed -= &merger.heirs;
        if closed.is_empty() {
            self.closed.remove(vulnerability);
        }
        if !inherited.is_empty() {
            let note = |maybe: &mut RoaringBitmap| {
                if maybe.contains(vulnerability) {
                    maybe.insert(merger.into);
                }
            };
            self.maybe_closed_in_set.values_mut().for_each(note);
            for resource in &inherited {
                self.maybe_closed_in.entry(resource).and_modify(note);
            }
            *self.closed_by_vulnerability.at(merger.into) |= inherited;
            self.closed.insert(merger.into);
        }
        self.merged_into.entry(merger.into).or_default().push(vulnerability);
        self.merged.insert(vulnerability, merger);
    }

    /// The vulnerability as which a finding goes on in a resource: another, where the one was merged into it.
    #[must_use]
    pub fn goes_on_as(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> VulnerabilityId {
        match self.merged.get(&vulnerability) {
            Some(Merger { into, heirs, .. }) if heirs.contains(resource) => self.goes_on_as(resource, *into),
            _ => vulnerability,
        }
    }

    /// Whether a vulnerability was merged into another: nothing is heard of it any more.
    #[must_use]
    pub fn is_merged(&self, vulnerability: VulnerabilityId) -> bool {
        self.merged.contains_key(&vulnerability)
    }

    /// The vulnerabilities that were merged into one, and those that were merged into them.
    #[must_use]
    pub fn all_merged_into(&self, vulnerability: VulnerabilityId) -> Vec<VulnerabilityId> {
        let mut all = self.merged_into(vulnerability).to_vec();
        let mut next = 0;
        while let Some(before) = all.get(next) {
            all.extend_from_slice(self.merged_into(*before));
            next += 1;
        }
        all
    }

    fn merged_into(&self, vulnerability: VulnerabilityId) -> &[VulnerabilityId] {
        self.merged_into.get(&vulnerability).map_or(&[], Vec::as_slice)
    }

    /// The resources in which others go on as this one.
    pub(crate) fn inherited(&self, vulnerability: VulnerabilityId) -> RoaringBitmap {
        let mergers = self.merged_into(vulnerability).iter().filter_map(|before| self.merged.get(before));
        mergers.fold(RoaringBitmap::new(), |all, merger| all | &merger.heirs)
    }

    /// A vulnerability, what it was merged into, what that was merged into, and so on.
    fn lineage(&self, vulnerability: VulnerabilityId) -> impl Iterator<Item = VulnerabilityId> + '_ {
        std::iter::successors(Some(vulnerability), |id| self.merged.get(id).map(|merger| merger.into))
    }

    fn remember(&mut self, resource: ResourceId, event: ResourceEvent) {
        for vulnerability in &(&*event.opened & &self.closed) {
            self.forget_closed(resource, vulnerability);
        }
        for vulnerability in event.closed.iter() {
            self.remember_closed(resource, vulnerability);
        }
        let before = self.by_resource.of(resource).last().and_then(|before| before.set);
        if let Some(before) = before.filter(|before| event.set != Some(*before)) {
            self.former.entry(before).or_default().insert(resource);
            // It leaves its set, and keeps what closed while it was in it.
            let kept = self.maybe_closed_in_set.get(&before).map(|closed| self.of_those_closed(resource, closed));
            if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
                *self.maybe_closed_in.entry(resource).or_default() |= kept;
            }
        }
        let events = self.by_resource.at(resource);
        self.line.push((event.at, Subject::Resource(resource, number(events.len()))));
        if events.is_empty() {
            // Most resources have one for long, and a list's first reserve is for four.
            events.reserve_exact(1);
        }
        events.push(event);
    }

    fn remember_closed(&mut self, resource: ResourceId, vulnerability: VulnerabilityId) {
        self.closed.insert(vulnerability);
        self.closed_by_vulnerability.at(vulnerability).insert(resource);
        self.maybe_closed_in.entry(resource).or_default().insert(vulnerability);
    }

    fn forget_closed(&mut self, resource: ResourceId, vulnerability: VulnerabilityId) {
        let resources = self.closed_by_vulnerability.at(vulnerability);
        resources.remove(resource);
        if resources.is_empty() {
            self.closed.remove(vulnerability);
        }
        if let Some(vulnerabilities) = self.maybe_closed_in.get_mut(&resource) {
            vulnerabilities.remove(vulnerability);
        }
    }

    fn of_those_closed(&self, resource: ResourceId, some: &RoaringBitmap) -> RoaringBitmap {
        let is_closed = |id: &VulnerabilityId| self.closed_by_vulnerability.get(*id).is_some_and(|closed| closed.contains(resource));
        some.iter().filter(is_closed).collect()
    }

    /// The resources in which a vulnerability closed and is closed still.
    #[must_use]
    pub fn closed_resources(&self, vulnerability: VulnerabilityId) -> Option<&RoaringBitmap> {
        self.closed_by_vulnerability.get(vulnerability)
    }

    /// Those of some vulnerabilities that closed in a resource and are closed still.
    #[must_use]
    pub fn closed_vulnerabilities(&self, resource: ResourceId, among: &RoaringBitmap) -> RoaringBitmap {
        let set = self.by_resource.of(resource).last().and_then(|event| event.set);
        let of_set = set.and_then(|set| self.maybe_closed_in_set.get(&set));
        let mut closed = RoaringBitmap::new();
        for maybe in [self.maybe_closed_in.get(&resource), of_set].into_iter().flatten() {
            closed |= self.of_those_closed(resource, &(maybe & among));
        }
        closed
    }

    /// Every vulnerability that is closed somewhere.
    #[must_use]
    pub const fn vulnerabilities_closed_somewhere(&self) -> &RoaringBitmap {
        &self.closed
    }

    /// Every vulnerability that opened or closed anywhere after a position.
    #[must_use]
    pub fn vulnerabilities_since(&self, position: LogPosition) -> RoaringBitmap {
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(self.line.len());
        let mut all = RoaringBitmap::new();
        for (_, subject) in &self.line[from..] {
            match subject {
                Subject::Vulnerability(id, _) | Subject::Merged(id) => {
                    all.insert(*id);
                }
                Subject::Resource(id, event) => {
                    if let Some(event) = self.by_resource.of(*id).get(*event as usize) {
                        all |= &*event.opened;
                        all |= &*event.closed;
                    }
                }
                Subject::Nobody => {}
            }
        }
        // What was told of one that is another now was told of the other.
        let merged = self.merged.keys().filter(|id| all.contains(**id));
        let others: RoaringBitmap = merged.flat_map(|id| self.lineage(*id)).collect();
        all | others
    }

    /// The position right before the first episode at or after an instant.
    #[must_use]
    pub fn position_at(&self, at: Timestamp) -> LogPosition {
        self.line.partition_point(|(other, _)| *other < at) as LogPosition
    }

    /// The instants at which something happened up to a position, from one on or from the first, or back from one or from the last.
    pub(crate) fn moments(&self, upto: LogPosition, from: Option<Timestamp>, backwards: bool) -> impl Iterator<Item = Moment<'_>> {
        let line = &self.line[..usize::try_from(upto).unwrap_or(usize::MAX).min(self.line.len())];
        let mut left = match from {
            None => line,
            Some(from) if backwards => &line[..line.partition_point(|(at, _)| *at <= from)],
            Some(from) => &line[line.partition_point(|(at, _)| *at < from)..],
        };
        std::iter::from_fn(move || {
            let at = if backwards { left.last()?.0 } else { left.first()?.0 };
            let line;
            if backwards {
                (left, line) = left.split_at(left.partition_point(|(other, _)| *other < at));
            } else {
                (line, left) = left.split_at(left.partition_point(|(other, _)| *other <= at));
            }
            Some(Moment { log: self, at, line })
        })
    }

    /// The resources that once had one of these match sets and then got another.
    #[must_use]
    pub fn formerly_in(&self, sets: &RoaringBitmap) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        if sets.len() < self.former.len() as u64 {
            sets.iter().filter_map(|set| self.former.get(&set)).for_each(|resources| all |= resources);
        } else {
            self.former.iter().filter(|(set, _)| sets.contains(**set)).for_each(|(_, resources)| all |= resources);
        }
        all
    }

    /// The match set that a resource had right before `position`.
    pub(crate) fn set_before(&self, resource: ResourceId, position: LogPosition) -> Option<SetId> {
        set_after(self.by_resource.of(resource), position)
    }

    /// The life of one (resource, vulnerability), with that of others that were merged into it here. There is none of one that goes
    /// on as another.
    #[must_use]
    pub fn history(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> PairHistory {
        if self.merged.get(&vulnerability).is_some_and(|merger| merger.heirs.contains(resource)) {
            return PairHistory::default();
        }
        PairHistory(self.live(resource, vulnerability))
    }

    /// What happened to a pair, and to one that was merged into it there, oldest first.
    fn live(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> Vec<PairEvent> {
        let mut events = Vec::new();
        let own = self.by_resource.of(resource);
        for event in own {
            let transition = match (event.opened.contains(vulnerability), event.closed.contains(vulnerability)) {
                (true, _) => Transition::Opened,
                (_, true) => Transition::Closed,
                _ => continue,
            };
            let ResourceEvent { position, at, previous, .. } = *event;
            events.push(PairEvent { position, at, transition, previous, as_vulnerability: vulnerability });
        }
        for event in self.by_vulnerability.of(vulnerability) {
            let Some(set) = set_after(own, event.position) else { continue };
            let transition = match (event.opened.contains(set), event.closed.contains(set)) {
                (true, _) => Transition::Opened,
                (_, true) => Transition::Closed,
                _ => continue,
            };
            let SetEvent { position, at, .. } = *event;
            events.push(PairEvent { position, at, transition, previous: None, as_vulnerability: vulnerability });
        }
        events.sort_by_key(|event| event.position);
        let merged = self.merged_into(vulnerability).iter().filter_map(|before| Some((before, self.merged.get(before)?)));
        for (before, merger) in merged.filter(|(_, merger)| merger.heirs.contains(resource)) {
            let mut earlier = self.live(resource, *before);
            if merger.unbroken.contains(resource) {
                // It ended as the one and began as the other in one change: nothing ended.
                earlier.pop();
                events.remove(0);
            }
            earlier.append(&mut events);
            events = earlier;
        }
        events
    }

    /// Every open (resource, vulnerability) by the log alone: the oracle against which derived state is audited.
    #[must_use]
    pub fn replay(&self) -> BTreeSet<(ResourceId, VulnerabilityId)> {
        self.replay_where(|_| true)
    }

    /// The same, of some resources: a part of the audit of a large estate.
    #[must_use]
    pub fn replay_of(&self, resources: &RoaringBitmap) -> BTreeSet<(ResourceId, VulnerabilityId)> {
        self.replay_where(|resource| resources.contains(resource))
    }

    fn replay_where(&self, wanted: impl Fn(ResourceId) -> bool) -> BTreeSet<(ResourceId, VulnerabilityId)> {
        enum Happened<'a> {
            ToSets(VulnerabilityId, &'a SetEvent),
            ToResource(ResourceId, &'a ResourceEvent),
        }
        let mut all: BTreeMap<LogPosition, Happened<'_>> = BTreeMap::new();
        for (id, events) in self.by_vulnerability.iter() {
            all.extend(events.iter().map(|e| (e.position, Happened::ToSets(id, e))));
        }
        for (id, events) in self.by_resource.iter().filter(|(id, _)| wanted(*id)) {
            all.extend(events.iter().map(|e| (e.position, Happened::ToResource(id, e))));
        }
        let mut sets: BTreeMap<ResourceId, SetId> = BTreeMap::new();
        let mut open = BTreeSet::new();
        for happened in all.into_values() {
            match happened {
                Happened::ToResource(resource, event) => {
                    match event.set {
                        Some(set) => sets.insert(resource, set),
                        None => sets.remove(&resource),
                    };
                    open.extend(event.opened.iter().map(|v| (resource, v)));
                    event.closed.iter().for_each(|v| {
                        open.remove(&(resource, v));
                    });
                }
                Happened::ToSets(vulnerability, event) => {
                    for (&resource, set) in &sets {
                        if event.opened.contains(*set) {
                            open.insert((resource, vulnerability));
                        } else if event.closed.contains(*set) {
                            open.remove(&(resource, vulnerability));
                        }
                    }
                }
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn bits(list: &[u32]) -> RoaringBitmap {
        list.iter().copied().collect()
    }

    fn inventory(position: u64, day: i64, set: u32, opened: &[u32], closed: &[u32]) -> Episode {
        let body = EpisodeBody::Inventory { resource: 0, set: Some(set), previous: None, opened: bits(opened), closed: bits(closed) };
        Episode { position, at: Timestamp::from_millis(day * DAY), body }
    }

    fn advisory(position: u64, day: i64, opened: &[u32], closed: &[u32]) -> Episode {
        let body = EpisodeBody::Advisory { vulnerability: 5, opened: bits(opened), closed: bits(closed) };
        Episode { position, at: Timestamp::from_millis(day * DAY), body }
    }

    fn log(episodes: Vec<Episode>) -> EpisodeLog {
        let mut log = EpisodeLog::default();
        episodes.into_iter().for_each(|episode| log.append(episode, |sets| if sets.is_empty() { bits(&[]) } else { bits(&[0]) }));
        log
    }

    #[test]
    fn an_unrelated_update_does_not_reset_first_observed() {
        let log = log(vec![inventory(1, 0, 1, &[5], &[]), inventory(2, 3, 2, &[6], &[])]);
        assert_eq!(log.history(0, 5).first_observed(), Some(Timestamp::from_millis(0)));
        assert_eq!(log.history(0, 6).first_observed(), Some(Timestamp::from_millis(3 * DAY)));
    }

    #[test]
    fn reopening_within_seven_days_is_the_same_finding() {
        let soon = log(vec![inventory(1, 0, 1, &[], &[]), advisory(2, 0, &[1], &[]), advisory(3, 1, &[], &[1]), advisory(4, 7, &[1], &[])]);
        assert_eq!(soon.history(0, 5).generation(), 0);
        let late = log(vec![inventory(1, 0, 1, &[], &[]), advisory(2, 0, &[1], &[]), advisory(3, 1, &[], &[1]), advisory(4, 9, &[1], &[])]);
        assert_eq!(late.history(0, 5).generation(), 1);
        assert_eq!(late.closed_resources(5).unwrap().len(), 0, "it is open again");
    }

    /// What closed in a set is closed in those that were in it then, wherever they went, and not in those that came later.
    #[test]
    fn what_closed_in_a_resource_is_found_from_the_resource() {
        let mut log = EpisodeLog::default();
        let of = |resource: u32, position: u64, set: u32, opened: &[u32]| Episode {
            position,
            at: Timestamp::from_millis(position as i64),
            body: EpisodeBody::Inventory { resource, set: Some(set), previous: None, opened: bits(opened), closed: bits(&[]) },
        };
        log.append(of(0, 1, 1, &[5]), |_| bits(&[]));
        log.append(of(1, 2, 1, &[5]), |_| bits(&[]));
        log.append(advisory(3, 0, &[], &[1]), |sets| if sets.is_empty() { bits(&[]) } else { bits(&[0, 1]) });
        log.append(of(0, 4, 2, &[]), |_| bits(&[]));
        log.append(of(2, 5, 1, &[]), |_| bits(&[]));
        let closed = |log: &EpisodeLog| [0, 1, 2].map(|resource| log.closed_vulnerabilities(resource, &bits(&[4, 5])).contains(5));
        assert_eq!(closed(&log), [true, true, false]);
        assert!(log.closed_vulnerabilities(0, &bits(&[4])).is_empty());
        log.append(advisory(6, 0, &[1], &[]), |sets| if sets.is_empty() { bits(&[]) } else { bits(&[1, 2]) });
        assert_eq!(closed(&log), [true, false, false], "it is open again where the set still is");
        log.append(of(0, 7, 3, &[5]), |_| bits(&[]));
        assert_eq!(closed(&log), [false; 3]);
        assert!(log.vulnerabilities_closed_somewhere().is_empty());
    }

    #[test]
    fn an_advisory_speaks_of_the_set_that_the_resource_had_then() {
        let log = log(vec![inventory(1, 0, 1, &[], &[]), inventory(2, 1, 2, &[], &[]), advisory(3, 2, &[1], &[])]);
        assert_eq!(log.history(0, 5).last(), None);
        assert!(log.replay().is_empty());
    }

    #[test]
    fn what_did_we_know_then() {
        let log = log(vec![inventory(1, 0, 1, &[5], &[]), inventory(2, 3, 2, &[], &[5])]);
        assert!(log.history(0, 5).open_at(1));
        assert!(!log.history(0, 5).open_at(2));
        assert_eq!(log.replay(), BTreeSet::new());
    }
}
