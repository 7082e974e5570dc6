//! The match sets of an estate. What an advisory reads and writes of each set that it hits stands side by side with the same of
//! other sets, and small: at the size of an estate it is the ways through memory that cost, and so most of them end in a cache.

use super::handful::{in_handfuls, look_at};
use super::together::Together;
use super::{CLASSES, Class, ComponentId, Numbers, ResourceId, SetId, Tally, VulnerabilityId, next_id};
use lestrade_model::Hash;
use roaring::RoaringBitmap;

/// The resources of a match set: mostly one, or the replicas of an application.
#[derive(Default)]
enum Sharing {
    #[default]
    Nobody,
    One(ResourceId),
    /// Ascending, up to [`Sharing::FEW`].
    Few(Vec<ResourceId>),
    Many(Box<RoaringBitmap>),
}

impl Sharing {
    const FEW: usize = 32;

    fn insert(&mut self, resource: ResourceId) {
        match self {
            Self::Nobody => *self = Self::One(resource),
            Self::One(one) if *one == resource => {}
            Self::One(one) => *self = Self::Few(vec![resource.min(*one), resource.max(*one)]),
            Self::Few(few) => {
                if let Err(place) = few.binary_search(&resource) {
                    few.insert(place, resource);
                }
                if few.len() > Self::FEW {
                    *self = Self::Many(Box::new(few.iter().copied().collect()));
                }
            }
            Self::Many(many) => drop(many.insert(resource)),
        }
    }

    fn remove(&mut self, resource: ResourceId) {
        match self {
            Self::One(one) if *one == resource => *self = Self::Nobody,
            Self::Nobody | Self::One(_) => {}
            Self::Few(few) => few.retain(|one| *one != resource),
            Self::Many(many) => drop(many.remove(resource)),
        }
    }
}

/// The resources that share a match set.
#[derive(Clone, Copy)]
pub enum Sharers<'a> {
    /// So few that they are a list, ascending.
    Few(&'a [ResourceId]),
    /// More.
    Many(&'a RoaringBitmap),
}

impl Sharers<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Few(few) => few.len() as u64,
            Self::Many(many) => many.len(),
        }
    }

    /// Whether nothing has this set now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of them.
    #[must_use]
    pub fn min(&self) -> Option<ResourceId> {
        match self {
            Self::Few(few) => few.first().copied(),
            Self::Many(many) => many.min(),
        }
    }

    /// Those that are in a bitmap too.
    #[must_use]
    pub fn among(&self, resources: &RoaringBitmap) -> RoaringBitmap {
        match self {
            Self::Few(few) => rising(few.iter().copied().filter(|resource| resources.contains(*resource))),
            Self::Many(many) => *many & resources,
        }
    }
}

/// The vulnerabilities of a match set, ascending: a list, whose end is one step away where an advisory adds to it. A bitmap's is three,
/// and takes as much room where there are hundreds of them among hundreds of thousands.
#[derive(Clone, Copy)]
pub struct SetVulnerabilities<'a>(pub(super) &'a [VulnerabilityId]);

impl SetVulnerabilities<'_> {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is this.
    #[must_use]
    pub fn contains(&self, vulnerability: VulnerabilityId) -> bool {
        self.0.binary_search(&vulnerability).is_ok()
    }

    /// Whether none of them is in a bitmap.
    #[must_use]
    pub fn is_disjoint(&self, others: &RoaringBitmap) -> bool {
        !self.0.iter().any(|vulnerability| others.contains(*vulnerability))
    }

    /// Those that are in a bitmap too.
    #[must_use]
    pub fn among(&self, others: &RoaringBitmap) -> RoaringBitmap {
        rising(self.0.iter().copied().filter(|vulnerability| others.contains(*vulnerability)))
    }

    /// All of them.
    #[must_use]
    pub fn bitmap(&self) -> RoaringBitmap {
        rising(self.0.iter().copied())
    }
}

/// Numbers that rise, as a bitmap.
fn rising(numbers: impl Iterator<Item = u32>) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    let _ = bitmap.append(numbers);
    bitmap
}

/// What every advisory asks of the sets that it hits.
#[derive(Default)]
struct Near {
    /// Ascending.
    vulnerabilities: Vec<VulnerabilityId>,
    sharing: Sharing,
}

impl Near {
    /// Gives the set a vulnerability that it does not have.
    fn open(&mut self, vulnerability: VulnerabilityId) {
        let numbers = &mut self.vulnerabilities;
        if numbers.len() == numbers.capacity() {
            // Doubled, they would take twice their room in a whole estate at once.
            numbers.reserve_exact(16 + numbers.len() / 8);
        }
        // The number of news is the highest mostly.
        match numbers.last() {
            Some(last) if *last > vulnerability => numbers.insert(numbers.partition_point(|known| *known < vulnerability), vulnerability),
            _ => numbers.push(vulnerability),
        }
    }

    /// Takes a vulnerability from the set.
    fn close(&mut self, vulnerability: VulnerabilityId) {
        if let Ok(place) = self.vulnerabilities.binary_search(&vulnerability) {
            self.vulnerabilities.remove(place);
        }
    }
}

/// How many vulnerabilities of one class a set has, and how many of them have a fix in it.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) all: u32,
    pub(super) fixed: u32,
}

/// The components of a match set, in order, each once, and the hash that tells two sets apart.
pub(super) struct Members {
    pub(super) components: Vec<ComponentId>,
    hash: Hash,
}

impl Members {
    pub(super) fn of(mut components: Vec<ComponentId>) -> Self {
        components.sort_unstable();
        components.dedup();
        let mut bytes = Vec::with_capacity(components.len() * size_of::<ComponentId>());
        components.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        Self { hash: Hash::of(&bytes), components }
    }

    /// Puts many sets in order, as many at a time as there are cores.
    pub(super) fn of_all(sets: Vec<Vec<ComponentId>>) -> Vec<Self> {
        const WORTH_A_THREAD: usize = 256;
        let parts = std::thread::available_parallelism().map_or(1, usize::from).min(sets.len() / WORTH_A_THREAD).max(1);
        let size = sets.len().div_ceil(parts).max(1);
        let (mut sets, mut all) = (sets.into_iter(), Vec::new());
        std::thread::scope(|scope| {
            let part = |sets: Vec<Vec<ComponentId>>| sets.into_iter().map(Self::of).collect::<Vec<_>>();
            let begun: Vec<_> =
                (1..parts).map(|_| sets.by_ref().take(size).collect()).map(|sets| scope.spawn(move || part(sets))).collect();
            let last = part(sets.by_ref().collect());
            for done in begun {
                all.extend(done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all.extend(last);
        });
        all
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct MatchSets {
    numbers: Numbers,
    components: Vec<Box<[ComponentId]>>,
    near: Vec<Near>,
    /// By class, and by set; nothing of a class that no vulnerability was in yet.
    counts: [Vec<Count>; CLASSES],
}

impl MatchSets {
    pub(super) const fn len(&self) -> usize {
        self.components.len()
    }

    /// The number of the set of these components, if it is here.
    pub(super) fn number(&self, members: &Members) -> Option<SetId> {
        self.numbers.get(&members.hash).copied()
    }

    /// Enters a set that is not here, with what it has.
    pub(super) fn enter(&mut self, members: Members, vulnerabilities: RoaringBitmap, tally: &Tally) -> SetId {
        let number = next_id(self.len());
        self.numbers.insert(members.hash, number);
        self.components.push(members.components.into());
        self.near.push(Near { vulnerabilities: vulnerabilities.into_iter().collect(), sharing: Sharing::Nobody });
        for (class, counts) in self.counts.iter_mut().enumerate() {
            let count = Count { all: tally.all[class], fixed: tally.fixed[class] };
            if !counts.is_empty() || count.all > 0 {
                counts.resize(number as usize, Count::default());
                counts.push(count);
            }
        }
        number
    }

    /// The components of a set, ascending; none of a number that is not here.
    pub(super) fn components(&self, set: SetId) -> &[ComponentId] {
        self.components.get(set as usize).map_or(&[], |components| components)
    }

    pub(super) fn insert_resource(&mut self, set: SetId, resource: ResourceId) {
        self.near[set as usize].sharing.insert(resource);
    }

    pub(super) fn remove_resource(&mut self, set: SetId, resource: ResourceId) {
        self.near[set as usize].sharing.remove(resource);
    }

    pub(super) fn sharers(&self, set: SetId) -> Sharers<'_> {
        match &self.near[set as usize].sharing {
            Sharing::Nobody => Sharers::Few(&[]),
            Sharing::One(one) => Sharers::Few(std::slice::from_ref(one)),
            Sharing::Few(few) => Sharers::Few(few),
            Sharing::Many(many) => Sharers::Many(many),
        }
    }

    /// The resources of some sets, of those below `bound`.
    pub(super) fn resources_of(&self, sets: &RoaringBitmap, bound: ResourceId) -> RoaringBitmap {
        let mut together = Together::below(bound);
        in_handfuls(sets, |handful| {
            look_at(handful, |set| matches!(self.near[set].sharing, Sharing::Nobody).into());
            look_at(
                handful,
                |set| if let Sharing::Few(few) = &self.near[set].sharing { few.first().copied().unwrap_or_default() } else { 0 },
            );
            for set in handful {
                match self.sharers(*set) {
                    Sharers::Few(few) => together.extend(few),
                    Sharers::Many(many) => together.unite(many),
                }
            }
        });
        together.done()
    }

    pub(super) fn vulnerabilities(&self, set: SetId) -> SetVulnerabilities<'_> {
        SetVulnerabilities(&self.near[set as usize].vulnerabilities)
    }

    pub(super) fn tally(&self, set: SetId) -> Tally {
        let mut tally = Tally::default();
        for (class, counts) in self.counts.iter().enumerate() {
            if let Some(count) = counts.get(set as usize) {
                (tally.all[class], tally.fixed[class]) = (count.all, count.fixed);
            }
        }
        tally
    }

    /// Gives a vulnerability to sets that do not have it.
    pub(super) fn open(&mut self, sets: &RoaringBitmap, vulnerability: VulnerabilityId) {
        self.of_each(sets, |near| near.open(vulnerability));
    }

    /// Takes a vulnerability from sets that have it.
    pub(super) fn close(&mut self, sets: &RoaringBitmap, vulnerability: VulnerabilityId) {
        self.of_each(sets, |near| near.close(vulnerability));
    }

    fn of_each(&mut self, sets: &RoaringBitmap, change: impl Fn(&mut Near)) {
        in_handfuls(sets, |handful| {
            look_at(handful, |set| self.near[set].vulnerabilities.len() as u32);
            look_at(handful, |set| self.near[set].vulnerabilities.last().copied().unwrap_or_default());
            handful.iter().for_each(|set| change(&mut self.near[*set as usize]));
        });
    }

    /// Changes the counts of a class in some sets.
    pub(super) fn count(&mut self, sets: &RoaringBitmap, class: usize, change: impl Fn(&mut Count)) {
        if sets.is_empty() {
            return;
        }
        let counts = counted(&mut self.counts[class], self.components.len());
        in_handfuls(sets, |handful| handful.iter().for_each(|set| change(&mut counts[*set as usize])));
    }

    /// Gives all sets, which have none, their vulnerabilities by what each component has, rising, and whether it is fixed there: as many
    /// sets at a time as there are cores.
    pub(super) fn have_all(&mut self, found: &[Vec<(VulnerabilityId, bool)>], classes: &[Class]) {
        let class_of = |vulnerability: VulnerabilityId| usize::from(classes.get(vulnerability as usize).copied().unwrap_or_default());
        let all = self.components.len();
        let is_met = found.iter().flatten().fold([false; CLASSES], |mut met, (vulnerability, _)| {
            met[class_of(*vulnerability)] = true;
            met
        });
        let parts = std::thread::available_parallelism().map_or(1, usize::from);
        let size = all.div_ceil(parts).max(1);
        let mut counts: Vec<_> = self
            .counts
            .iter_mut()
            .zip(is_met)
            .map(|(counts, is_met)| if is_met { counted(counts, all).chunks_mut(size) } else { counts[..0].chunks_mut(size) })
            .collect();
        let components = self.components.chunks(size);
        let having = self.near.chunks_mut(size);
        std::thread::scope(|scope| {
            for (components, near) in components.zip(having) {
                let mut counts: Vec<&mut [Count]> = counts.iter_mut().map(|chunks| chunks.next().unwrap_or_default()).collect();
                scope.spawn(move || {
                    let mut of_set = Vec::new();
                    for (place, (components, near)) in components.iter().zip(near).enumerate() {
                        of_set.clear();
                        of_set.extend(components.iter().flat_map(|component| found[*component as usize].iter().copied()));
                        of_set.sort_unstable();
                        // One may come several times, and the last time says whether it is fixed anywhere.
                        let last = of_set.chunk_by(|(one, _), (next, _)| one == next).filter_map(<[_]>::last);
                        for (vulnerability, is_fixed) in last.clone() {
                            let count = &mut counts[class_of(*vulnerability)][place];
                            count.all += 1;
                            count.fixed += u32::from(*is_fixed);
                        }
                        near.vulnerabilities.reserve_exact(last.clone().count());
                        near.vulnerabilities.extend(last.map(|(vulnerability, _)| *vulnerability));
                    }
                });
            }
        });
    }
}

/// The counts of a class, of all sets.
fn counted(counts: &mut Vec<Count>, sets: usize) -> &mut [Count] {
    if counts.len() < sets {
        counts.resize(sets, Count::default());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SETS: u32 = 6;

    fn entered() -> MatchSets {
        let mut sets = MatchSets::default();
        // The last one comes with what it has.
        for set in 0..SETS {
            let has = if set + 1 == SETS { RoaringBitmap::from([3, 40]) } else { RoaringBitmap::new() };
            sets.enter(Members::of(vec![set]), has, &Tally::default());
        }
        sets
    }

    proptest! {
        /// News, news that is older than other news, and what is taken back.
        #[test]
        fn sets_have_what_they_were_given_and_not_taken(steps in prop::collection::vec((0..80_u32, 0..1_u8 << SETS, any::<bool>()), 1..160)) {
            let mut sets = entered();
            let mut model = vec![BTreeSet::new(); SETS as usize];
            model[SETS as usize - 1].extend([3, 40]);
            let even: RoaringBitmap = (0..80).filter(|number| number % 2 == 0).collect();
            for (step, (number, of, opens)) in steps.into_iter().enumerate() {
                // Mostly a number is the next one.
                let number = if step % 3 == 0 { number } else { 100 + step as u32 };
                let of = (0..SETS).filter(|set| of >> set & 1 == 1);
                let concerned: RoaringBitmap = of.filter(|set| model[*set as usize].contains(&number) != opens).collect();
                if opens { sets.open(&concerned, number) } else { sets.close(&concerned, number) }
                for set in &concerned {
                    if opens { model[set as usize].insert(number) } else { model[set as usize].remove(&number) };
                }
                for (set, model) in (0..).zip(&model) {
                    let has = sets.vulnerabilities(set);
                    prop_assert_eq!(&has.bitmap().iter().collect::<BTreeSet<_>>(), model);
                    prop_assert_eq!(has.is_empty(), model.is_empty());
                    prop_assert_eq!(has.contains(number), model.contains(&number));
                    let both: BTreeSet<_> = model.iter().copied().filter(|number| even.contains(*number)).collect();
                    prop_assert_eq!(has.is_disjoint(&even), both.is_empty());
                    prop_assert_eq!(has.among(&even).iter().collect::<BTreeSet<_>>(), both);
                }
            }
        }

        #[test]
        fn a_set_is_shared_by_whom_it_was_given(steps in prop::collection::vec((0..60_u32, any::<bool>()), 1..200)) {
            let (mut sets, mut model) = (entered(), BTreeSet::new());
            let third: RoaringBitmap = (0..60).filter(|resource| resource % 3 == 0).collect();
            for (resource, comes) in steps {
                if comes {
                    sets.insert_resource(0, resource);
                    model.insert(resource);
                } else {
                    sets.remove_resource(0, resource);
                    model.remove(&resource);
                }
                let sharers = sets.sharers(0);
                prop_assert_eq!((sharers.len(), sharers.is_empty(), sharers.min()), (model.len() as u64, model.is_empty(), model.first().copied()));
                let among: BTreeSet<_> = model.iter().copied().filter(|resource| third.contains(*resource)).collect();
                prop_assert_eq!(sharers.among(&third).iter().collect::<BTreeSet<_>>(), among);
                let of_all: BTreeSet<_> = sets.resources_of(&(0..SETS).collect(), 60).iter().collect();
                prop_assert_eq!(&of_all, &model);
            }
        }
    }
}
