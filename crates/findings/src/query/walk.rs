//! A page, walked: in the order of the sort from the side that it belongs to, or along the log, and left when it is full.

use super::Effort;
use super::plan::Plan;
use super::sort::{Compared, OrderKey, Place, Sort, SortField, SortValue, groups, runs};
use crate::episodes::Moment;
use crate::view::Pair;
use crate::{Reach, Side};
use lestrade_matching::{ResourceId, VulnerabilityId};
use lestrade_model::{FindingStatus, Timestamp};
use roaring::{MultiOps, RoaringBitmap};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The work of a pair whose history, verdicts and rules may have to be asked: as much as of so many that are passed over.
const PAIR: u64 = 8;
/// Up to how many match sets' resources are put together rather than each resource asked.
const FEW_SETS: u64 = 4_096;

/// Of how many resources one is wanted, that those are put in order by themselves.
const FEW_OF_ALL: u64 = 32;

/// What a walk brought.
pub(super) struct Walked<'a> {
    /// The findings, at most as many as were asked for.
    pub(super) pairs: Vec<Pair<'a>>,
    /// Where to go on; none when there is nothing more.
    pub(super) last: Option<Place>,
}

/// Gathers a page, and knows when it is enough.
struct Page<'a> {
    pairs: Vec<Pair<'a>>,
    limit: usize,
    work: u64,
    /// Where the walk was left, when it was left because it was work enough.
    left: Option<Place>,
}

/// Whether to walk on.
type Walk = ControlFlow<()>;

impl<'a> Page<'a> {
    /// Takes a finding in. One more than is asked for says that there is more.
    fn take(&mut self, pair: Pair<'a>) -> Walk {
        self.pairs.push(pair);
        if self.pairs.len() > self.limit { Walk::Break(()) } else { Walk::Continue(()) }
    }

    /// Counts work; when that is enough, the walk is left here. A step is always taken first, so every page goes on.
    fn spend(&mut self, work: u64, here: impl FnOnce() -> Place) -> Walk {
        self.work = self.work.saturating_sub(work);
        if self.work > 0 {
            return Walk::Continue(());
        }
        self.left = Some(here());
        Walk::Break(())
    }
}

impl<'a> Plan<'a> {
    /// A page of what comes after a place.
    pub(super) fn page(mut self, sort: Sort, after: Option<&Place>, limit: usize, effort: Effort) -> Walked<'a> {
        let mut page = Page { pairs: Vec::new(), limit, work: effort.work.max(1), left: None };
        self.few = self.few.min(effort.few);
        if sort.field.side() != Side::Vulnerability {
            self.narrow_resources();
        }
        self.narrow_vulnerabilities();
        let _ = match sort.field {
            field if field.side() == Side::Pair && self.are_few(effort.few) => self.enumerate(sort, after, &mut page),
            SortField::FirstObservedAt | SortField::LastObservedAt => self.walk_time(sort, after, &mut page),
            SortField::FindingStatus => self.walk_statuses(sort, after, &mut page),
            field if field.side() == Side::Resource => self.walk_resources(sort, after, &mut page),
            _ => self.walk_vulnerabilities(sort, after, &mut page),
        };
        let mut last = page.left.take();
        if page.pairs.len() > limit {
            page.pairs.truncate(limit);
            last = page.pairs.last().map(|pair| Place {
                value: sort.value(pair, self.world),
                vulnerability: pair.assessment.order().to_owned(),
                resource: pair.resource,
            });
        }
        Walked { pairs: page.pairs, last }
    }

    /// Whether all that may meet the criteria is few pairs.
    fn are_few(&self, few: u64) -> bool {
        let mut pairs = self.resources.len();
        pairs <= few
            && self.resources.iter().all(|resource| {
                pairs += self.candidates_of_resource(resource).len();
                pairs <= few
            })
    }

    /// Keeps the first of all pairs in a heap.
    fn enumerate(&self, sort: Sort, after: Option<&Place>, page: &mut Page<'a>) -> Walk {
        let after = after.map(|place| sort.key_at(place));
        let mut heap: BinaryHeap<Ranked<'a>> = BinaryHeap::new();
        self.for_each(|pair| {
            let key = sort.key_of(&pair, self.world);
            let is_full = heap.len() > page.limit && heap.peek().is_some_and(|worst| key >= worst.key);
            if is_full || after.as_ref().is_some_and(|after| key <= *after) {
                return;
            }
            heap.push(Ranked { key, pair });
            if heap.len() > page.limit + 1 {
                heap.pop();
            }
        });
        page.pairs = heap.into_sorted_vec().into_iter().map(|ranked| ranked.pair).collect();
        Walk::Continue(())
    }

    /// The resources in the order of a sort: of a few the own order is sooner made than they are picked out of that of all.
    fn in_order(&self, sort: Sort) -> Arc<Vec<ResourceId>> {
        let all = u64::from(self.world.resource_count());
        if self.resources.len() <= self.few.max(all / FEW_OF_ALL) {
            sort.resources_among(&self.resources, self.world)
        } else {
            sort.resources(self.world)
        }
    }

    fn name(&self, vulnerability: VulnerabilityId) -> &'a str {
        self.world.assessment(vulnerability).map_or("", |assessment| assessment.order())
    }

    /// Vulnerabilities in the order of their names.
    fn by_name(&self, vulnerabilities: &RoaringBitmap) -> Vec<VulnerabilityId> {
        let mut named: Vec<VulnerabilityId> = vulnerabilities.iter().collect();
        named.sort_unstable_by_key(|id| self.name(*id));
        named
    }

    /// Every vulnerability and condition in the order of names: where nothing else orders them, names do.
    fn all_by_name(&self) -> Arc<Vec<VulnerabilityId>> {
        Sort { field: SortField::Absent, descending: false }.vulnerabilities(self.world, Reach::Network)
    }

    /// Walks the vulnerabilities in their order, and below each the resources that have it. Where the order is another one for
    /// resources that are attacked from nearer, all of them are walked side by side.
    fn walk_vulnerabilities(&self, sort: Sort, after: Option<&Place>, page: &mut Page<'a>) -> Walk {
        let parts = match sort.field {
            SortField::InspectorScore => self.world.by_reach(&self.resources),
            _ => vec![(Reach::Network, RoaringBitmap::new())],
        };
        let orders: Vec<_> = parts.iter().map(|(reach, _)| self.vulnerabilities_in_order(sort, *reach)).collect();
        let value = |id, reach| {
            let known = self.world.assessment(id);
            known.map_or(SortValue::Missing, |assessment| sort.of_vulnerability(assessment, reach))
        };
        // The place's own vulnerability is walked on with.
        let behind = |id| after.is_none_or(|place| self.name(id) >= place.vulnerability.as_str());
        let walks = parts.iter().zip(&orders).map(|((reach, _), order)| {
            let order = runs(order, sort.descending, |id| value(id, *reach), after.map(|place| &place.value), behind);
            order.flatten().copied().filter(|id| self.vulnerabilities.contains(*id)).peekable()
        });
        let mut walks: Vec<_> = walks.collect();
        loop {
            let heads = walks.iter_mut().zip(&parts).filter_map(|(walk, (reach, _))| Some((value(*walk.peek()?, *reach), *walk.peek()?)));
            let first = heads.min_by(|(a, one), (b, other)| {
                let by_value = if sort.descending { b.cmp(a) } else { a.cmp(b) };
                by_value.then_with(|| self.name(*one).cmp(self.name(*other)))
            });
            let Some((of, id)) = first else { return Walk::Continue(()) };
            let taken = walks.iter_mut().zip(&parts).filter_map(|(walk, (reach, part))| {
                walk.next_if(|next| *next == id && value(*next, *reach) == of)?;
                Some(part)
            });
            let taken: Vec<_> = taken.collect();
            let some = (taken.len() < parts.len()).then(|| taken.into_iter().union());
            let after = after.filter(|place| place.vulnerability == self.name(id) && place.value == of);
            self.walk_below(id, some.as_ref(), after, page, || of.clone(), |_| true)?;
        }
    }

    /// The vulnerabilities in the order of a sort on resources that are attacked from so far.
    fn vulnerabilities_in_order(&self, sort: Sort, reach: Reach) -> Arc<Vec<VulnerabilityId>> {
        if self.vulnerabilities.len() <= self.few {
            sort.vulnerabilities_among(&self.vulnerabilities, self.world, reach)
        } else {
            sort.vulnerabilities(self.world, reach)
        }
    }

    /// Walks vulnerabilities in the order of their names, and below each the resources that have it, from a place on.
    fn walk_names(
        &self,
        order: &[VulnerabilityId],
        after: Option<&Place>,
        page: &mut Page<'a>,
        value: &SortValue,
        wanted: impl Fn(&Pair<'a>) -> bool,
    ) -> Walk {
        let start = after.map_or(0, |place| order.partition_point(|id| self.name(*id) < place.vulnerability.as_str()));
        for id in &order[start..] {
            let after = after.filter(|place| place.vulnerability == self.name(*id));
            self.walk_below(*id, None, after, page, || value.clone(), &wanted)?;
        }
        Walk::Continue(())
    }

    /// Walks the resources that may have a vulnerability, or some of them, behind a place if that is below the same vulnerability.
    fn walk_below(
        &self,
        vulnerability: VulnerabilityId,
        some: Option<&RoaringBitmap>,
        after: Option<&Place>,
        page: &mut Page<'a>,
        value: impl Fn() -> SortValue,
        wanted: impl Fn(&Pair<'a>) -> bool,
    ) -> Walk {
        let from = after.map_or(Some(0), |place| place.resource.checked_add(1));
        let (Some(from), true) = (from, self.vulnerabilities.contains(vulnerability)) else { return Walk::Continue(()) };
        let here = |resource| Place { value: value(), vulnerability: self.name(vulnerability).to_owned(), resource };
        let mut look = |resource, may_have_it: bool| {
            if may_have_it && let Some(pair) = self.admit(resource, vulnerability).filter(&wanted) {
                page.take(pair)?;
            }
            page.spend(if may_have_it { PAIR } else { 1 }, || here(resource))
        };
        match self.having(vulnerability) {
            Having::These(mut resources) => {
                if let Some(some) = some {
                    resources &= some;
                }
                resources.range(from..).try_for_each(|resource| look(resource, true))?;
            }
            Having::Ask => {
                let mut resources = some.unwrap_or(&self.resources).range(from..);
                resources.try_for_each(|resource| look(resource, self.may_have(resource, vulnerability)))?;
            }
        }
        page.spend(1, || here(ResourceId::MAX))
    }

    /// Whether a resource has, or had, a vulnerability, as far as that is asked for.
    fn may_have(&self, resource: ResourceId, vulnerability: VulnerabilityId) -> bool {
        let closed = || self.world.log.closed_resources(vulnerability).is_some_and(|closed| closed.contains(resource));
        (self.open && self.world.estate.has(resource, vulnerability)) || (self.closed && closed())
    }

    /// The resources that may have a vulnerability.
    fn having(&self, vulnerability: VulnerabilityId) -> Having {
        if self.resources.len() <= self.few {
            return Having::Ask;
        }
        let estate = &self.world.estate;
        let mut these = match (self.open, estate.condition_of(vulnerability)) {
            (false, _) => RoaringBitmap::new(),
            (true, Some(resources)) => resources & &self.resources,
            (true, None) => {
                let sets = estate.sets_having(vulnerability).0;
                if sets.len() > FEW_SETS || self.resources.len() < sets.len() / 4 {
                    return Having::Ask;
                }
                estate.resources_of(&sets) & &self.resources
            }
        };
        if let (true, Some(closed)) = (self.closed, self.world.log.closed_resources(vulnerability)) {
            these |= closed & &self.resources;
        }
        Having::These(these)
    }

    /// Walks the resources in their order, and below each its vulnerabilities by name.
    fn walk_resources(&self, sort: Sort, after: Option<&Place>, page: &mut Page<'a>) -> Walk {
        let order = self.in_order(sort);
        let compared = |id| self.world.resource(id).map_or(Compared::Missing, |entry| sort.of_resource(entry));
        let value = |id| compared(id).owned();
        let behind = |id| after.is_none_or(|place| id > place.resource || (id == place.resource && !place.is_behind()));
        let from = after.map(|place| place.value.compared());
        for id in runs(&order, sort.descending, compared, from.as_ref(), behind).flatten() {
            if !self.resources.contains(*id) {
                continue;
            }
            let after = after.filter(|place| place.resource == *id && place.value.compared() == compared(*id));
            for vulnerability in self.by_name(&self.candidates_of_resource(*id)) {
                let name = self.name(vulnerability);
                if after.is_some_and(|place| *name <= *place.vulnerability) {
                    continue;
                }
                if let Some(pair) = self.admit(*id, vulnerability) {
                    page.take(pair)?;
                }
                page.spend(PAIR, || Place { value: value(*id), vulnerability: name.to_owned(), resource: *id })?;
            }
            page.spend(1, || Place::behind_resource(value(*id), *id))?;
        }
        Walk::Continue(())
    }

    /// Walks one status after the other, and in each the vulnerabilities by name.
    fn walk_statuses(&mut self, sort: Sort, after: Option<&Place>, page: &mut Page<'a>) -> Walk {
        let mut statuses = [FindingStatus::Active, FindingStatus::Closed, FindingStatus::Suppressed];
        statuses.sort_unstable_by_key(|status| status.as_str());
        if sort.descending {
            statuses.reverse();
        }
        let value = |status: FindingStatus| SortValue::Text(status.as_str().to_owned());
        let first = after.and_then(|place| statuses.iter().position(|status| value(*status) == place.value)).unwrap_or(0);
        let order = self.all_by_name();
        let (open, closed) = (self.open, self.closed);
        for status in &statuses[first..] {
            // What is open now is not closed now; at an earlier position it may have been.
            let is_now = self.position >= self.world.log.head();
            (self.open, self.closed) = match status {
                FindingStatus::Closed => (open && !is_now, closed),
                FindingStatus::Suppressed if self.hidden.is_empty() => (false, false),
                FindingStatus::Active | FindingStatus::Suppressed => (open, closed && !is_now),
            };
            if self.open || self.closed {
                let value = value(*status);
                let after = after.filter(|place| place.value == value);
                self.walk_names(&order, after, page, &value, |pair| pair.status() == *status)?;
            }
        }
        Walk::Continue(())
    }

    /// Walks the instants at which findings were first, or last, observed: those of the log, and for what is open still those at
    /// which its resource was looked at.
    fn walk_time(&self, sort: Sort, after: Option<&Place>, page: &mut Page<'a>) -> Walk {
        let start = after.map(|place| &place.value);
        let instant =
            |value: Compared<'_>| if let Compared::Number(at) = value { Timestamp::from_millis(at) } else { Timestamp::default() };
        let from = start.map(|start| instant(start.compared()));
        let mut moments = self.world.log.moments(self.position, from, sort.descending).peekable();
        let is_of_looks = sort.field == SortField::LastObservedAt;
        let scanned = if is_of_looks { self.in_order(sort) } else { Arc::default() };
        let value = |id| self.world.resource(id).map_or(Compared::Missing, |entry| sort.of_resource(entry));
        let from = match start.map(SortValue::compared) {
            None => &scanned[..],
            Some(start) if sort.descending => &scanned[..scanned.partition_point(|id| value(*id) <= start)],
            Some(start) => &scanned[scanned.partition_point(|id| value(*id) < start)..],
        };
        // What was never looked at was last observed when the log says so.
        let looks = groups(from, sort.descending, value).map(|group| (value(group[0]), group));
        let looks = looks.filter(|(value, _)| *value != Compared::Missing);
        let mut looks = looks.map(|(value, group)| (instant(value), group)).peekable();
        let earlier = |a: Timestamp, b: Timestamp| if sort.descending { a.max(b) } else { a.min(b) };
        loop {
            let at = match (looks.peek().map(|(at, _)| *at), moments.peek().map(Moment::at)) {
                (None, None) => return Walk::Continue(()),
                (Some(at), None) | (None, Some(at)) => at,
                (Some(looked), Some(logged)) => earlier(looked, logged),
            };
            let looked = looks.next_if(|(instant, _)| *instant == at).map(|(_, group)| group.iter().copied().collect());
            let moment = moments.next_if(|moment| moment.at() == at);
            let value = SortValue::date(Some(at));
            let after = after.filter(|place| place.value == value);
            if after.is_some_and(Place::is_behind) {
                continue;
            }
            self.walk_moment(sort, at, moment.as_ref(), looked.unwrap_or_default(), after, page)?;
            page.spend(1, || Place::behind(value))?;
        }
    }

    /// Walks what was first, or last, observed at one instant: the vulnerabilities by name, and below each the resources.
    fn walk_moment(
        &self,
        sort: Sort,
        at: Timestamp,
        moment: Option<&Moment<'_>>,
        looked: RoaringBitmap,
        after: Option<&Place>,
        page: &mut Page<'a>,
    ) -> Walk {
        // What was lost then was not first observed then.
        let losses = sort.field != SortField::FirstObservedAt;
        let resources = (moment.map(|moment| moment.resources(losses)).unwrap_or_default() | looked) & &self.resources;
        let advisories = moment.map(|moment| moment.advisories(losses)).unwrap_or_default();
        if resources.is_empty() && advisories.is_empty() {
            return Walk::Continue(());
        }
        let is_then = |pair: &Pair<'a>| {
            let observed = if sort.field == SortField::FirstObservedAt { pair.first_observed() } else { pair.last_observed() };
            observed == at
        };
        let value = SortValue::date(Some(at));
        let order = if resources.len() > self.few {
            self.all_by_name()
        } else {
            let mut named: RoaringBitmap = advisories.keys().copied().collect();
            resources.iter().for_each(|resource| named |= self.candidates_of_resource(resource));
            Arc::new(self.by_name(&(named & &self.vulnerabilities)))
        };
        let start = after.map_or(0, |place| order.partition_point(|id| self.name(*id) < place.vulnerability.as_str()));
        for id in order[start..].iter().filter(|id| self.vulnerabilities.contains(**id)) {
            let here = |resource| Place { value: value.clone(), vulnerability: self.name(*id).to_owned(), resource };
            let from = match after.filter(|place| place.vulnerability == self.name(*id)) {
                Some(place) => place.resource.checked_add(1),
                None => Some(0),
            };
            let Some(from) = from else { continue };
            let told = advisories.get(id).map(|sets| self.world.estate.resources_of(sets) | self.world.log.formerly_in(sets));
            let told = told.map(|told| (told & &self.resources) | &resources);
            let concerned = told.as_ref().unwrap_or(&resources);
            let mut look = |resource, may_have_it: bool| {
                if may_have_it && let Some(pair) = self.admit(resource, *id).filter(is_then) {
                    page.take(pair)?;
                }
                page.spend(if may_have_it { PAIR } else { 1 }, || here(resource))
            };
            match if concerned.len() > self.few { self.having(*id) } else { Having::Ask } {
                Having::These(these) => (these & concerned).range(from..).try_for_each(|resource| look(resource, true))?,
                Having::Ask => concerned.range(from..).try_for_each(|resource| look(resource, self.may_have(resource, *id)))?,
            }
            page.spend(1, || here(ResourceId::MAX))?;
        }
        Walk::Continue(())
    }
}

/// The resources that may have a vulnerability.
enum Having {
    /// These.
    These(RoaringBitmap),
    /// Too many to put together: each is asked.
    Ask,
}

struct Ranked<'a> {
    key: OrderKey,
    pair: Pair<'a>,
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Ranked<'_> {}
impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}
