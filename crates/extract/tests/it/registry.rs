//! Images of a registry that answers what it is told to.

use crate::lab::*;
use lestrade_artifact::{ArtifactError, Limits, RegistryClient};
use lestrade_extract::{DirectoryCache, PullProgress, ScanError, ScannedImage, Scanner};
use lestrade_model::ProblemKind;
use serde_json::json;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A registry: answers by path, and writes down what was asked.
struct Registry {
    host: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Answer {
    body: Vec<u8>,
    /// How many bytes it says that there are.
    says: usize,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answers = Arc::new(Mutex::new(HashMap::<String, Answer>::new()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (known, log) = (Arc::clone(&answers), Arc::clone(&asked));
        // It ends with the test's process: nobody asks a listener that nobody knows.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut request).unwrap() > 2 {}
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(path.clone());
                let answer = known.lock().unwrap().get(&path).cloned();
                let (status, answer) = answer.map_or(("404 Not Found", Answer { body: vec![], says: 0 }), |answer| ("200 OK", answer));
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.says);
                // Who hangs up has heard enough.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body));
            }
        });
        Self { host, answers, asked }
    }

    fn answer(&self, path: &str, body: &[u8]) {
        self.answer_short(path, body, body.len());
    }

    fn answer_short(&self, path: &str, body: &[u8], says: usize) {
        self.answers.lock().unwrap().insert(format!("/v2/app/{path}"), Answer { body: body.to_vec(), says });
    }

    fn push(&self, tag: &str, layers: &[Vec<u8>]) {
        let config = config_of(layers).to_string();
        let descriptor = |bytes: &[u8]| json!({"mediaType": "x", "digest": digest(bytes), "size": bytes.len()});
        let of_layers: Vec<_> = layers.iter().map(|layer| descriptor(layer)).collect();
        let manifest = json!({"schemaVersion": 2, "config": descriptor(config.as_bytes()), "layers": of_layers}).to_string();
        self.answer(&format!("manifests/{tag}"), manifest.as_bytes());
        self.answer(&format!("blobs/{}", digest(config.as_bytes())), config.as_bytes());
        for layer in layers {
            self.answer(&format!("blobs/{}", digest(layer)), layer);
        }
    }

    fn scan(&self, scanner: &Scanner, tag: &str) -> Result<ScannedImage, ScanError> {
        let client = RegistryClient::new(&self.host, None).unwrap();
        scanner.scan_registry_image(&client, &format!("{}/app:{tag}", self.host).parse().unwrap(), &platform())
    }

    fn times_asked(&self, digest: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.ends_with(digest)).count()
    }
}

#[test]
fn a_layer_is_fetched_once_for_all_images_that_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let scanner = scanner_with(Limits::default(), Some(Box::new(DirectoryCache::new(folder.path()))));
    let base = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let registry = Registry::start();
    registry.push("one", std::slice::from_ref(&base));
    registry.push("two", &[base.clone(), Tar::files(&[("x.dist-info/METADATA", &python("x"))]).end()]);
    assert_eq!(names(&registry.scan(&scanner, "one").unwrap().inventory), ["a 1"]);
    let two = registry.scan(&scanner, "two").unwrap();
    assert_eq!((names(&two.inventory), kinds(&two.inventory)), (vec!["a 1".to_owned(), "x 1".to_owned()], vec![]));
    assert_eq!(registry.times_asked(&digest(&base)), 1);
}

#[test]
fn a_layer_is_what_we_compute_whatever_its_worker_says() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Box::new(DirectoryCache::new(folder.path())) as Box<dyn lestrade_extract::LayerCache>);
    let layer = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let registry = Registry::start();
    registry.push("v1", std::slice::from_ref(&layer));
    let path = format!("blobs/{}", digest(&layer));
    registry.answer(&path, &Tar::files(&[OS]).gzip());
    assert!(matches!(registry.scan(&scanner_with(Limits::default(), cache()), "v1"), Err(ScanError::LayerMismatch { .. })));
    // A worker that died is told of, and its layer is fetched again.
    registry.answer(&path, &layer);
    assert_eq!(kinds(&registry.scan(&scanner_that_dies(cache()), "v1").unwrap().inventory), [ProblemKind::Crashed]);
    assert_eq!(names(&registry.scan(&scanner_with(Limits::default(), cache()), "v1").unwrap().inventory), ["a 1"]);
}

#[test]
fn a_registry_that_stops_in_the_middle_is_the_networks_fault() {
    let layer = Tar::files(&[OS, ("big", &"x".repeat(1 << 20))]).end();
    let registry = Registry::start();
    registry.push("v1", std::slice::from_ref(&layer));
    registry.answer_short(&format!("blobs/{}", digest(&layer)), &layer[..layer.len() / 2], layer.len());
    let error = registry.scan(&scanner(), "v1").unwrap_err();
    assert!(matches!(error, ScanError::Artifact(ArtifactError::Network { .. })), "{error}");
    assert!(error.to_string().contains("broke off"), "{error}");
}

/// How far a layer came, of how much, and whether it was done with.
type Told = (u64, Option<u64>, bool);

#[derive(Default)]
struct Watched(Mutex<HashMap<String, Told>>);

impl PullProgress for Watched {
    fn fetched(&self, digest: &str, bytes: u64, total: Option<u64>) {
        self.0.lock().unwrap().insert(digest.to_owned(), (bytes, total, false));
    }
    fn done(&self, digest: &str) {
        self.0.lock().unwrap().get_mut(digest).unwrap().2 = true;
    }
}

#[test]
fn who_watches_is_told_how_each_layer_comes_in_and_that_a_broken_one_will_not() {
    let whole = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let broken = Tar::files(&[("big", &"x".repeat(1 << 20))]).end();
    let registry = Registry::start();
    registry.push("v1", &[whole.clone(), broken.clone()]);
    let watched = Arc::new(Watched::default());
    registry.scan(&scanner().telling(watched.clone()), "v1").unwrap();
    let size = |bytes: &[u8]| bytes.len() as u64;
    let told = |bytes: &[u8]| watched.0.lock().unwrap()[&digest(bytes)];
    assert_eq!(told(&whole), (size(&whole), Some(size(&whole)), true));
    assert_eq!(told(&broken), (size(&broken), Some(size(&broken)), true));
    registry.answer_short(&format!("blobs/{}", digest(&broken)), &broken[..1000], broken.len());
    registry.scan(&scanner().telling(watched.clone()), "v1").unwrap_err();
    assert_eq!(told(&broken), (1000, Some(size(&broken)), true));
}
