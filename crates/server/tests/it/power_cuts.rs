//! The power is cut between every two steps of a delivery, one after the other: whatever the step, the receiver has in the end what
//! it has without, each event under one id, and at most one repeat for each cut.

use super::{HOUR, Lab, TestClock, observation, record, scope};
use lestrade_events::{DeliveryError, Message, Sent, Target, TargetRecord};
use lestrade_findings::LogPosition;
use lestrade_model::{Hash, Inventory, Scope, Timestamp};
use lestrade_server::{Core, Deliver, Plan, Reconciler};
use lestrade_store::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Steps until the power goes; below zero it is gone.
#[derive(Clone)]
struct Power(Arc<AtomicI64>);

impl Power {
    /// Takes a step; false when there is no power for it.
    fn step(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) > 0
    }
}

/// A store that keeps nothing once the power is gone.
struct Cut {
    store: Box<dyn Store>,
    power: Power,
}

impl Cut {
    fn on(&self) -> Result<(), StoreError> {
        if self.power.step() { Ok(()) } else { Err(StoreError::InUse) }
    }
}

impl Inventories for Cut {
    fn inventory(&mut self, id: &Hash) -> Result<Option<Inventory>, StoreError> {
        self.store.inventory(id)
    }
}

impl Store for Cut {
    fn reader(&self) -> Result<Box<dyn Inventories>, StoreError> {
        self.store.reader()
    }

    fn load(&mut self, sink: &mut dyn LoadSink) -> Result<(), StoreError> {
        self.store.load(sink)
    }
    fn commit(&mut self, change: &Change) -> Result<(), StoreError> {
        self.on()?;
        self.store.commit(change)
    }
    fn groups_after(&mut self, lane: Lane, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError> {
        self.store.groups_after(lane, after, limit)
    }
    fn history(&mut self, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError> {
        self.store.history(after, limit)
    }
    fn pending(&mut self, lane: Lane, after: LogPosition) -> Result<(Option<LogPosition>, u64), StoreError> {
        self.store.pending(lane, after)
    }
    fn group(&mut self, id: LogPosition) -> Result<Option<OutboxGroup>, StoreError> {
        self.store.group(id)
    }
    fn prune_outbox(&mut self, upto: LogPosition) -> Result<u64, StoreError> {
        self.store.prune_outbox(upto)
    }
    fn delivery(&mut self, target: &str) -> Result<Option<Delivery>, StoreError> {
        self.store.delivery(target)
    }
    fn settle(&mut self, target: &str, delivery: &Delivery, put: &[Letter], done: &[String]) -> Result<(), StoreError> {
        self.on()?;
        self.store.settle(target, delivery, put, done)
    }
    fn letters(&mut self, target: &str, state: LetterState, due: Timestamp, limit: u32) -> Result<Vec<Letter>, StoreError> {
        self.store.letters(target, state, due, limit)
    }
    fn count_letters(&mut self, target: &str, state: LetterState) -> Result<u64, StoreError> {
        self.store.count_letters(target, state)
    }
    fn redrive(&mut self, target: &str, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError> {
        self.store.redrive(target, id, now)
    }
    fn cursor(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.cursor(name)
    }
    fn documents(&mut self, scope: &Scope, kind: &str) -> Result<Vec<Document>, StoreError> {
        self.store.documents(scope, kind)
    }
    fn put_document(&mut self, scope: &Scope, kind: &str, document: &Document) -> Result<(), StoreError> {
        self.store.put_document(scope, kind, document)
    }
    fn delete_document(&mut self, scope: &Scope, kind: &str, key: &str) -> Result<bool, StoreError> {
        self.store.delete_document(scope, kind, key)
    }
}

/// Takes what is sent as long as there is power: it may have it, and we may not come to know.
struct Receiver {
    power: Power,
    taken: Arc<Mutex<Vec<Message>>>,
    keyless: bool,
    batch: usize,
    /// Refuses what is about this, fails once on what is about that.
    refuses: &'static str,
    fails_once: Option<&'static str>,
}

impl Target for Receiver {
    fn name(&self) -> &str {
        "receiver"
    }
    fn batch(&self) -> usize {
        self.batch
    }
    fn takes_key(&self) -> bool {
        !self.keyless
    }
    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let mut results = Vec::new();
        for message in messages {
            // The power may go before the message arrives …
            if !self.power.step() {
                break;
            }
            let about = message.event.text("/resources/0");
            if about == self.refuses {
                results.push(Err(DeliveryError::Refused("400".into())));
                continue;
            }
            if self.fails_once.is_some_and(|once| once == about) {
                self.fails_once = None;
                results.push(Err(DeliveryError::retry("500")));
                continue;
            }
            self.taken.lock().unwrap().push(message.clone());
            // … or after it.
            if !self.power.step() {
                break;
            }
            results.push(Ok(()));
        }
        results
    }
}

/// A short history, delivered with a power cut after `steps` steps; answers what the receiver has and whether the power was cut.
fn history(steps: i64, keyless: bool, batch: usize) -> (Vec<Message>, bool, u64) {
    let mut lab = Lab::new();
    lab.publish(record("CVE-2024-1", "left-pad", "2.0.0"));
    drop(lab.open());
    let taken: Arc<Mutex<Vec<Message>>> = Arc::default();
    let location = lab.folder.path().join("state.db");
    let open = |power: &Power, clock: Arc<TestClock>| {
        let store = Box::new(Cut { store: lestrade_store::open(location.to_str().unwrap()).unwrap(), power: power.clone() });
        Arc::new(Core::open(store, lab.library(), clock, [7; 32]).unwrap())
    };
    let serve = |core: &Arc<Core>, power: &Power, fails_once| {
        let record = TargetRecord { every_revision: true, ..TargetRecord::simple("receiver", "receiver", serde_json::Map::new()) };
        let receiver = Receiver { power: power.clone(), taken: taken.clone(), keyless, batch, refuses: "image-refused", fails_once };
        Deliver::new(core.clone(), Plan::everything(record), Box::new(receiver), scope())
    };
    // What happens is committed before the power can go: this is about delivery.
    let endless = Power(Arc::new(AtomicI64::new(i64::MAX)));
    {
        let core = open(&endless, lab.clock.clone());
        drop(serve(&core, &endless, None).unwrap());
        for image in ["image-a", "image-refused", "image-b"] {
            core.observe(observation(image, &[("left-pad", "1.0.0")])).unwrap();
        }
        core.observe(observation("image-a", &[("left-pad", "2.0.0")])).unwrap();
    }
    let power = Power(Arc::new(AtomicI64::new(steps)));
    {
        let core = open(&power, lab.clock.clone());
        if let Ok(mut served) = serve(&core, &power, Some("image-b")) {
            for _ in 0..4 {
                if power.0.load(Ordering::Relaxed) < 0 || served.reconcile().is_err() {
                    break;
                }
                lab.later(HOUR);
            }
        }
    }
    let cut = power.0.load(Ordering::Relaxed) < 0;
    let core = open(&endless, lab.clock.clone());
    let mut served = serve(&core, &endless, None).unwrap();
    for _ in 0..4 {
        served.reconcile().unwrap();
        lab.later(HOUR);
    }
    let store = &mut core.store();
    assert_eq!(store.count_letters("receiver", LetterState::Waiting).unwrap(), 0, "after {steps} steps");
    let dead = store.count_letters("receiver", LetterState::Dead).unwrap();
    let taken = taken.lock().unwrap().clone();
    (taken, cut, dead)
}

fn view(taken: &[Message]) -> BTreeMap<String, u64> {
    taken.iter().map(|message| (message.event.id.clone(), message.event.revision)).collect()
}

#[test]
fn the_receivers_view_is_that_of_a_run_without_cuts() {
    for (keyless, batch) in [(false, 1), (true, 1), (false, 4)] {
        let (reference, cut, dead) = history(i64::MAX, keyless, batch);
        assert!(!cut && dead == 3 && reference.iter().all(|message| !message.repeated));
        let mut steps = 0;
        loop {
            let (taken, cut, dead_now) = history(steps, keyless, batch);
            if !cut {
                break;
            }
            assert_eq!(view(&taken), view(&reference), "cut after {steps} steps, keyless {keyless}, batches of {batch}");
            assert_eq!(dead_now, dead, "and nothing refused is lost");
            let repeats = taken.len() - reference.len();
            assert!(repeats <= batch, "{repeats} repeats after {steps} steps");
            if keyless && repeats == 1 {
                let (first, last) = (taken.iter().position(|m| m.repeated), taken.iter().filter(|m| m.repeated).count());
                assert!(first.is_some() && last == 1, "a repeat is marked, and nothing else, after {steps} steps");
            }
            steps += 1;
        }
        assert!(steps > 20, "{steps} places to cut");
    }
}
