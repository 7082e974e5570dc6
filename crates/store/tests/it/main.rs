//! One conformance suite, held by SQLite and by PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lestrade_findings::{Episode, EpisodeBody, LogPosition, Transition};
use lestrade_model::*;
use lestrade_store::*;
use lestrade_testkit::Postgres;
use roaring::RoaringBitmap;

/// What a store gave back.
#[derive(Debug, Default, PartialEq)]
struct Loaded {
    components: Vec<(u32, Component)>,
    sets: Vec<(u32, Vec<u32>)>,
    vulnerabilities: Vec<(u32, String)>,
    resources: Vec<(u32, StoredResource)>,
    episodes: Vec<Episode>,
    last_group: LogPosition,
}

impl LoadSink for Loaded {
    fn component(&mut self, id: u32, component: Component) {
        self.components.push((id, component));
    }
    fn set(&mut self, id: u32, components: Vec<u32>) {
        self.sets.push((id, components));
    }
    fn vulnerability(&mut self, id: u32, name: String) {
        self.vulnerabilities.push((id, name));
    }
    fn resource(&mut self, id: u32, resource: StoredResource) {
        self.resources.push((id, resource));
    }
    fn episode(&mut self, episode: Episode) {
        self.episodes.push(episode);
    }
    fn last_group(&mut self, id: LogPosition) {
        self.last_group = id;
    }
}

fn load(store: &mut dyn Store) -> Loaded {
    let mut loaded = Loaded::default();
    store.load(&mut loaded).unwrap();
    loaded
}

fn scope(account: &str) -> Scope {
    Scope::new("aws", account, "eu-west-1").unwrap()
}

fn bits(list: &[u32]) -> RoaringBitmap {
    list.iter().copied().collect()
}

fn component(name: &str) -> Component {
    Component::new(Ecosystem::release(Family::Debian, "12"), name, "1.0-1").from_source("src", "1.0-1")
}

fn resource(id: &str, tag: &str) -> StoredResource {
    let key = ResourceKey { scope: scope("111111111111"), kind: ResourceKind::Image, id: id.into() };
    let details = ResourceDetails::Image(ImageDetails { repository: "app".into(), tags: vec![tag.into()], ..ImageDetails::default() });
    let coverage = Coverage {
        kind: ScanKind::Package,
        reason: CoverageReason::Successful,
        detail: String::new(),
        last_scanned: Some(Timestamp::from_millis(5)),
    };
    StoredResource {
        resource: Resource { key, details, facts: ResourceFacts::default(), tags: vec![("env".into(), "prod".into())] },
        inventory: Some(Hash::of(id.as_bytes())),
        coverage: vec![coverage],
    }
}

fn inventory() -> Inventory {
    let occurrence =
        Occurrence { component: 0, path: "var/lib/dpkg/status".into(), layer: None, arch: Some("amd64".into()), manager: Manager::Dpkg };
    Inventory::assemble(None, vec![(component("a"), occurrence)], vec![])
}

fn full_change() -> Change {
    let at = Timestamp::from_millis(1_000);
    Change {
        components: vec![(0, component("a")), (1, component("b"))],
        sets: vec![(0, vec![0, 1])],
        vulnerabilities: vec![(0, "CVE-2024-1".into())],
        inventories: vec![(Hash::of(b"x"), inventory())],
        resources: vec![(0, resource("image-1", "v1"))],
        episodes: vec![Episode {
            position: 1,
            at,
            body: EpisodeBody::Inventory { resource: 0, set: Some(0), previous: None, opened: bits(&[0]), closed: bits(&[]) },
        }],
        groups: vec![OutboxGroup {
            lane: Lane::Urgent,
            id: 1,
            at,
            transition: Some(Transition::Opened),
            fan: Fan::Resource { resource: 0, vulnerabilities: bits(&[0]) },
        }],
        cursors: vec![("intelligence".into(), b"g1".to_vec())],
    }
}

fn what_is_committed_is_loaded(open: &dyn Fn() -> Box<dyn Store>) {
    let change = full_change();
    {
        let mut store = open();
        assert_eq!(load(&mut *store), Loaded::default());
        store.commit(&change).unwrap();
        // A resource that changes is one resource still.
        store.commit(&Change { resources: vec![(0, resource("image-1", "v2"))], ..Change::default() }).unwrap();
    }
    let mut store = open();
    let loaded = load(&mut *store);
    assert_eq!(loaded.components, change.components);
    assert_eq!(loaded.sets, change.sets);
    assert_eq!(loaded.vulnerabilities, change.vulnerabilities);
    assert_eq!(loaded.episodes, change.episodes);
    assert_eq!(loaded.resources, [(0, resource("image-1", "v2"))]);
    assert_eq!(loaded.last_group, 1);
    assert_eq!(store.inventory(&Hash::of(b"x")).unwrap(), Some(inventory()));
    assert_eq!(store.inventory(&Hash::of(b"y")).unwrap(), None);
    // Beside the writer, what is committed later too.
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.inventory(&Hash::of(b"x")).unwrap(), Some(inventory()));
    let later = |position, body| Episode { position, at: Timestamp::from_millis(2_000), body };
    let episodes = vec![
        later(2, EpisodeBody::Renamed { vulnerability: 0, name: "CVE-2024-2".into() }),
        later(3, EpisodeBody::Merged { vulnerability: 0, into: 1, heirs: bits(&[0, 7]), unbroken: bits(&[7]) }),
    ];
    let inventories = vec![(Hash::of(b"z"), inventory())];
    store.commit(&Change { inventories, episodes: episodes.clone(), ..Change::default() }).unwrap();
    assert_eq!(load(&mut *store).episodes[1..], episodes);
    assert_eq!(reader.inventory(&Hash::of(b"z")).unwrap(), Some(inventory()));
    assert_eq!(store.cursor("intelligence").unwrap().as_deref(), Some(b"g1".as_slice()));
    assert_eq!(store.cursor("other").unwrap(), None);
}

fn a_change_that_fails_leaves_nothing(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    store.commit(&full_change()).unwrap();
    let before = load(&mut *store);
    // The component is new, the episode's place is taken: neither may be kept.
    let clash = Change { components: vec![(2, component("c"))], episodes: full_change().episodes, ..Change::default() };
    assert!(store.commit(&clash).is_err());
    assert_eq!(load(&mut *store), before);
    store.commit(&Change { components: vec![(2, component("c"))], ..Change::default() }).unwrap();
}

fn outbox_group(id: LogPosition, lane: Lane) -> OutboxGroup {
    OutboxGroup {
        lane,
        id,
        at: Timestamp::from_millis(9),
        transition: Some(Transition::Opened),
        fan: Fan::Vulnerability { vulnerability: 3, resources: (0..100_000).collect() },
    }
}

fn the_outbox_is_read_in_order(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    let lane = |id| if id % 3 == 0 { Lane::Urgent } else { Lane::Ordinary };
    store.commit(&Change { groups: (1..=9).map(|id| outbox_group(id, lane(id))).collect(), ..Change::default() }).unwrap();
    let ids = |groups: Vec<OutboxGroup>| groups.iter().map(|group| group.id).collect::<Vec<_>>();
    assert_eq!(ids(store.history(4, 3).unwrap()), [5, 6, 7]);
    assert_eq!(ids(store.groups_after(Lane::Urgent, 0, 9).unwrap()), [3, 6, 9]);
    let read = store.groups_after(Lane::Ordinary, 4, 3).unwrap();
    assert_eq!(read, [outbox_group(5, Lane::Ordinary), outbox_group(7, Lane::Ordinary), outbox_group(8, Lane::Ordinary)]);
    assert_eq!(store.pending(Lane::Urgent, 3).unwrap(), (Some(6), 2));
    assert_eq!(store.pending(Lane::Urgent, 9).unwrap(), (None, 0));
    assert_eq!(store.group(6).unwrap(), Some(outbox_group(6, Lane::Urgent)));

    assert_eq!(store.delivery("hook").unwrap(), None);
    let cursor = Cursor { done: 5, within: 17, attempts: 2 };
    let delivery = Delivery { ordinary: cursor, urgent: Cursor { done: 6, ..Cursor::default() }, digests: vec![1, 2] };
    store.settle("hook", &Delivery::default(), &[], &[]).unwrap();
    store.settle("hook", &delivery, &[], &[]).unwrap();
    assert_eq!(store.delivery("hook").unwrap(), Some(delivery));
    assert_eq!(store.delivery("other").unwrap(), None);
    let resources: RoaringBitmap = [7, 70_000, 900_000].into_iter().collect();
    let items = |skip| Fan::Vulnerability { vulnerability: 3, resources: resources.clone() }.items_from(skip).collect::<Vec<_>>();
    assert_eq!(items(0).len(), 3);
    assert_eq!(items(1), [Item::Finding(70_000, 3), Item::Finding(900_000, 3)]);
    assert_eq!(items(3), []);
}

fn letters_wait_and_are_sent_again(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    let at = Timestamp::from_millis;
    let letter = |id: &str, state, due, group| Letter {
        id: id.into(),
        state,
        due: at(due),
        note: LetterNote {
            group,
            item: Item::Finding(1, 2),
            attempts: 3,
            uncertain: true,
            happened: at(1),
            tried: at(2),
            reason: "the receiver answered 500".into(),
            title: "t".into(),
        },
    };
    let (waiting, dead) = (LetterState::Waiting, LetterState::Dead);
    store.commit(&Change { groups: (101..=105).map(|id| outbox_group(id, Lane::Ordinary)).collect(), ..Change::default() }).unwrap();
    let put = [letter("b", waiting, 20, 102), letter("a", waiting, 10, 101), letter("c", dead, 0, 103)];
    store.settle("jira", &Delivery::default(), &put, &[]).unwrap();
    let ids = |letters: Vec<Letter>| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(store.letters("jira", waiting, at(19), 9).unwrap()), ["a"]);
    assert_eq!(store.letters("jira", waiting, at(20), 9).unwrap(), [put[1].clone(), put[0].clone()]);
    assert_eq!(ids(store.letters("other", waiting, at(99), 9).unwrap()), Vec::<String>::new());
    assert_eq!((store.count_letters("jira", waiting).unwrap(), store.count_letters("jira", dead).unwrap()), (2, 1));

    store.settle("jira", &Delivery::default(), &[letter("b", dead, 0, 102)], &["a".into()]).unwrap();
    assert_eq!((store.count_letters("jira", waiting).unwrap(), store.count_letters("jira", dead).unwrap()), (0, 2));
    assert!(store.prune_outbox(104).unwrap() > 0, "groups that nobody needs go");
    let kept: Vec<_> = store.history(100, 9).unwrap().iter().map(|group| group.id).collect();
    assert_eq!(kept, [102, 103, 105], "those of letters stay, and the last one of all");
    assert_eq!(store.redrive("jira", Some("b"), at(50)).unwrap(), 1);
    assert_eq!(store.redrive("jira", None, at(60)).unwrap(), 1);
    assert_eq!(ids(store.letters("jira", waiting, at(60), 9).unwrap()), ["b", "c"]);
    assert_eq!(store.redrive("jira", None, at(60)).unwrap(), 0);
}

fn documents_belong_to_their_scope(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    let (ours, theirs) = (scope("111111111111"), scope("222222222222"));
    let document = |key: &str, body: &str| Document { key: key.into(), body: body.into() };
    store.put_document(&ours, "filter", &document("b", "1")).unwrap();
    store.put_document(&ours, "filter", &document("a", "2")).unwrap();
    store.put_document(&ours, "filter", &document("b", "'; DROP TABLE documents; --")).unwrap();
    store.put_document(&theirs, "filter", &document("a", "theirs")).unwrap();
    assert_eq!(store.documents(&ours, "filter").unwrap(), [document("a", "2"), document("b", "'; DROP TABLE documents; --")]);
    assert_eq!(store.documents(&ours, "tags").unwrap(), []);
    assert!(!store.delete_document(&theirs, "filter", "b").unwrap(), "not theirs to delete");
    assert!(store.delete_document(&ours, "filter", "b").unwrap());
    assert_eq!(store.documents(&ours, "filter").unwrap().len(), 1);
}

fn a_state_has_one_writer(location: &str) {
    let first = open(location).unwrap();
    assert!(matches!(open(location), Err(StoreError::InUse)));
    drop(first);
    lestrade_testkit::until("the lock is let go", std::time::Duration::from_secs(10), || open(location).ok()).unwrap();
}

/// Runs the suite, each case on a store of its own.
fn conformance(location: &dyn Fn() -> String) {
    type Case = fn(&dyn Fn() -> Box<dyn Store>);
    let cases: [Case; 5] = [
        what_is_committed_is_loaded,
        a_change_that_fails_leaves_nothing,
        the_outbox_is_read_in_order,
        letters_wait_and_are_sent_again,
        documents_belong_to_their_scope,
    ];
    for case in cases {
        let location = location();
        case(&|| lestrade_testkit::until("the store opens", std::time::Duration::from_secs(10), || open(&location).ok()).unwrap());
    }
    a_state_has_one_writer(&location());
}

#[test]
fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    conformance(&|| {
        next.set(next.get() + 1);
        folder.path().join(format!("{}/state.db", next.get())).to_str().unwrap().to_owned()
    });
}

#[test]
fn postgres_conforms() {
    match Postgres::start().unwrap() {
        None => lestrade_testkit::missing("PostgreSQL"),
        Some(server) => conformance(&|| server.database().unwrap()),
    }
}

/// PostgreSQL restarts, and the one writer goes on; nobody else gets in between who would write beside it.
#[test]
fn a_connection_that_broke_off_is_made_again() {
    let Some(server) = Postgres::start().unwrap() else { return lestrade_testkit::missing("PostgreSQL") };
    let location = server.database().unwrap();
    let mut store = open(&location).unwrap();
    store.commit(&full_change()).unwrap();
    server.disconnect_all().unwrap();
    let late = Document { key: "late".into(), body: "{}".into() };
    let patience = std::time::Duration::from_secs(10);
    let put = || store.put_document(&scope("111111111111"), "filter", &late).ok();
    lestrade_testkit::until("the store takes changes again", patience, put).unwrap();
    assert!(matches!(open(&location), Err(StoreError::InUse)), "it is the one writer again");
    assert_eq!(store.cursor("intelligence").unwrap().as_deref(), Some(b"g1".as_slice()));

    server.disconnect_all().unwrap();
    let other = lestrade_testkit::until("somebody else is faster", patience, || open(&location).ok()).unwrap();
    assert!((0..3).all(|_| store.put_document(&scope("111111111111"), "filter", &late).is_err()), "it writes beside nobody");
    drop(other);
    lestrade_testkit::until("it goes on", patience, || store.put_document(&scope("111111111111"), "filter", &late).ok()).unwrap();
}

/// Commits what a store can hold, backs it up while it is open, restores it there, and compares.
fn a_backup_is_the_whole_state(from: &str, to: &str, file: &std::path::Path) {
    let (head, files) = ((Timestamp::from_millis(7), "0.1.0"), vec![("api-token".to_owned(), b"secret".to_vec())]);
    let before = {
        let mut store = open(from).unwrap();
        store.commit(&full_change()).unwrap();
        store.put_document(&scope("111111111111"), "filter", &Document { key: "a".into(), body: "{}".into() }).unwrap();
        let made = back_up(from, files.clone(), head, file).unwrap();
        assert_eq!((made.head.by.as_str(), &made.files), ("0.1.0", &files));
        assert!(matches!(restore(file, from), Err(StoreError::InUse)), "a server is on it");
        load(&mut *store)
    };
    assert!(matches!(restored(file, from), Err(StoreError::NotEmpty)));
    let mut tried = Loaded::default();
    verify(file, &mut tried).unwrap();
    assert_eq!(tried, before);
    assert_eq!(restored(file, to).unwrap().files, files);
    let mut store = open(to).unwrap();
    assert_eq!(load(&mut *store), before);
    assert_eq!(store.inventory(&Hash::of(b"x")).unwrap(), Some(inventory()));
    assert_eq!(store.documents(&scope("111111111111"), "filter").unwrap().len(), 1);
    assert_eq!(store.cursor("intelligence").unwrap().as_deref(), Some(b"g1".as_slice()));
}

#[test]
fn a_backup_of_either_engine_is_restored_into_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    a_backup_is_the_whole_state(&path("a/state.db"), &path("b/state.db"), &folder.path().join("1"));
    match Postgres::start().unwrap() {
        None => lestrade_testkit::missing("PostgreSQL"),
        Some(server) => {
            a_backup_is_the_whole_state(&path("c/state.db"), &server.database().unwrap(), &folder.path().join("2"));
            a_backup_is_the_whole_state(&server.database().unwrap(), &path("d/state.db"), &folder.path().join("3"));
        }
    }
}

/// Restores. A process that another test is just starting may hold our lock until it is itself.
fn restored(file: &std::path::Path, to: &str) -> Result<Backup, StoreError> {
    let patience = std::time::Duration::from_secs(10);
    lestrade_testkit::until("nobody holds the state", patience, || Some(restore(file, to)).filter(|r| !matches!(r, Err(StoreError::InUse))))
        .unwrap()
}

#[test]
fn a_backup_that_is_cut_or_altered_anywhere_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("a/state.db");
    open(from.to_str().unwrap()).unwrap().commit(&full_change()).unwrap();
    let file = folder.path().join("backup");
    back_up(from.to_str().unwrap(), vec![], (Timestamp::from_millis(7), "0.1.0"), &file).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let to = folder.path().join("b/state.db");
    for at in (0..whole.len()).step_by(7) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        for bad in [&altered[..], &whole[..at]] {
            std::fs::write(&file, bad).unwrap();
            assert!(matches!(restored(&file, to.to_str().unwrap()), Err(StoreError::BadBackup { .. })), "at {at}");
        }
    }
    std::fs::write(&file, &whole).unwrap();
    restored(&file, to.to_str().unwrap()).unwrap();
}

#[test]
fn an_older_schema_is_kept_beside_the_one_that_it_becomes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    open(path.to_str().unwrap()).unwrap().commit(&full_change()).unwrap();
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "DROP TABLE letters; DROP INDEX outbox_by_lane; ALTER TABLE outbox DROP COLUMN lane; UPDATE schema_version SET version = 1",
    )
    .unwrap();
    drop(old);
    open(path.to_str().unwrap()).unwrap();
    let kept = rusqlite::Connection::open(folder.path().join("state.db.before-schema-2")).unwrap();
    let count = |table: &str| kept.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    assert_eq!((count("resources").unwrap(), count("letters").is_err()), (1, true));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(open(path.to_str().unwrap()).unwrap());
    rusqlite::Connection::open(&path).unwrap().execute("UPDATE schema_version SET version = 99", []).unwrap();
    assert!(matches!(open(path.to_str().unwrap()), Err(StoreError::TooNew { found: 99, .. })));
}

#[test]
fn postgres_over_a_network_needs_tls() {
    let error = open("postgres://someone:hunter2@db.example/x").err().unwrap().to_string();
    assert!(error.contains("db.example") && !error.contains("hunter2"), "{error}");
}
