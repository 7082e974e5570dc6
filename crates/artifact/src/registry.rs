//! Any OCI registry (OCI distribution specification 1.1): repositories, tags, manifests, blobs.
//!
//! Credentials belong to the host that they were given for: they are sent to it and, as Basic, to its token service on the same
//! site; never to where a redirect or a challenge of another site points. What a registry answers is bounded and never repeated
//! in an error.

use crate::image::{ManifestKind, choose, digest_of, is_digest, parse, read_config, read_manifest};
use crate::{ArtifactError, ImageConfig, ImageReference, Platform};
use base64::Engine;
use reqwest::blocking::{Client, Response};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use url::Url;

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
const MAX_DOCUMENT: u64 = 8 << 20;
/// Pages of a listing, and names in all.
const MAX_PAGES: usize = 1000;
const MAX_NAMES: usize = 1_000_000;
const MAX_INDEX_DEPTH: usize = 3;
/// The images of a tag: a platform each.
const MAX_IMAGES: usize = 100;
/// How often what a registry puts off (429, 503) is asked again, how long is waited where it does not say, and how long at most.
const PUT_OFF: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A name and a secret for a registry. Has no `Debug`: the secret is never printed.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The secret.
    pub password: String,
}

/// An image in a registry whose layers have been found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImage {
    /// The computed digest of its manifest, after the platform was chosen.
    pub digest: String,
    /// Its config.
    pub config: ImageConfig,
    /// The digests of its layers' blobs, lowest first, with the bytes that each should have.
    pub layers: Vec<(String, Option<u64>)>,
}

/// One registry.
pub struct RegistryClient {
    base: Url,
    credentials: Option<Credentials>,
    client: Client,
    /// Bearer tokens by scope.
    tokens: Mutex<HashMap<String, String>>,
}

impl RegistryClient {
    /// A client of the registry at `host[:port]`. Plain HTTP is spoken with loopback only.
    ///
    /// # Errors
    /// When the host is not one.
    pub fn new(registry: &str, credentials: Option<Credentials>) -> Result<Self, ArtifactError> {
        let network = |reason: &str| ArtifactError::Network { registry: registry.to_owned(), reason: reason.to_owned() };
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let scheme = if matches!(host, "localhost" | "127.0.0.1" | "[::1]") { "http" } else { "https" };
        let base: Url = format!("{scheme}://{registry}/v2/").parse().map_err(|_| network("its name is not a host"))?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(None)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!("lestrade/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| network("no HTTP client can be made"))?;
        Ok(Self { base, credentials, client, tokens: Mutex::default() })
    }

    /// Its host, and port if any.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn network(&self, reason: impl Into<String>) -> ArtifactError {
        ArtifactError::Network { registry: self.host(), reason: reason.into() }
    }

    /// All repositories.
    ///
    /// # Errors
    /// When the registry cannot be asked, or its listing does not end.
    pub fn repositories(&self) -> Result<Vec<String>, ArtifactError> {
        self.listing("_catalog?n=1000", "registry:catalog:*", "repositories")
    }

    /// All tags of a repository. A repository without tags has none.
    ///
    /// # Errors
    /// When the registry cannot be asked, or its listing does not end.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>, ArtifactError> {
        self.listing(&format!("{repository}/tags/list?n=1000"), &pull(repository), "tags")
    }

    fn listing(&self, path: &str, scope: &str, member: &str) -> Result<Vec<String>, ArtifactError> {
        let mut url = self.base.join(path).map_err(|_| self.network("a path is not one"))?;
        let mut names: Vec<String> = Vec::new();
        for page in 0..MAX_PAGES {
            let answer = self.get(&url, scope, None)?;
            if answer.status() == StatusCode::NOT_FOUND {
                return match (page, member) {
                    // There is no such repository.
                    (0, "tags") => Ok(names),
                    (0, _) => Err(self.network("it does not list its repositories")),
                    // A page was lost, and part of a list is no list.
                    _ => Err(self.network("its listing breaks off")),
                };
            }
            let next = answer.headers().get("link").and_then(|link| link.to_str().ok()).and_then(next_link).map(str::to_owned);
            let document = parse(member, &self.body(self.succeeded(answer)?)?)?;
            match document.get(member) {
                Some(Value::Array(page)) => names.extend(page.iter().filter_map(Value::as_str).map(str::to_owned)),
                // A repository whose tags were all deleted.
                Some(Value::Null) => {}
                _ => return Err(self.network("its listing is none")),
            }
            if names.len() > MAX_NAMES {
                return Err(self.network("its listing is longer than a million names"));
            }
            match next {
                None => return Ok(names),
                Some(next) => {
                    let joined = url.join(&next).map_err(|_| self.network("its listing goes on at no URL"))?;
                    if joined.origin() != self.base.origin() {
                        return Err(self.network("its listing goes on at another host"));
                    }
                    url = joined;
                }
            }
        }
        Err(self.network("its listing does not end"))
    }

    /// The digest that a tag points at now; none when there is no such tag.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub fn resolve(&self, reference: &ImageReference) -> Result<Option<String>, ArtifactError> {
        match self.manifest(&reference.repository, &reference.version)? {
            None => Ok(None),
            Some(bytes) => Ok(Some(digest_of(&bytes))),
        }
    }

    /// Finds an image's layers.
    ///
    /// # Errors
    /// When there is no such image, none for the platform, or a document is not what its digest promises.
    pub fn image(&self, reference: &ImageReference, platform: &Platform) -> Result<RemoteImage, ArtifactError> {
        let mut version = reference.version.clone();
        for _ in 0..=MAX_INDEX_DEPTH {
            let bytes = self.manifest(&reference.repository, &version)?.ok_or_else(|| ArtifactError::NotFound(reference.to_string()))?;
            let digest = digest_of(&bytes);
            if is_digest(&version) && version != digest {
                return Err(ArtifactError::DigestMismatch(version));
            }
            match read_manifest(&digest, &parse(&digest, &bytes)?)? {
                ManifestKind::Index(entries) => version = choose(&entries, platform)?,
                ManifestKind::Image { config, layers } => {
                    let mut bytes = Vec::new();
                    self.blob(&reference.repository, &config)?
                        .take(MAX_DOCUMENT)
                        .read_to_end(&mut bytes)
                        .map_err(|_| self.network("the config broke off"))?;
                    if digest_of(&bytes) != config {
                        return Err(ArtifactError::DigestMismatch(config));
                    }
                    let config = read_config(&config, &parse(&config, &bytes)?)?;
                    if let Some((strange, _)) = layers.iter().find(|(digest, _)| !is_digest(digest)) {
                        return Err(ArtifactError::BadManifest {
                            what: digest,
                            reason: format!("'{}' is not a sha256 digest", strange.escape_debug()),
                        });
                    }
                    return Ok(RemoteImage { digest, config, layers });
                }
            }
        }
        Err(ArtifactError::BadManifest { what: reference.to_string(), reason: "indexes nest more than 3 deep".into() })
    }

    /// The digests of the images that a reference stands for: of an index those of all its platforms, in its order. What travels
    /// beside images (attestations) is none of them.
    ///
    /// # Errors
    /// When there is no such reference, the registry cannot be asked, or a document is not what its digest promises.
    pub fn images(&self, reference: &ImageReference) -> Result<Vec<String>, ArtifactError> {
        let mut images = Vec::new();
        let mut pending = vec![(reference.version.clone(), 0)];
        while let Some((version, depth)) = pending.pop() {
            let bad = |reason: &str| ArtifactError::BadManifest { what: reference.to_string(), reason: reason.into() };
            let bytes = self.manifest(&reference.repository, &version)?.ok_or_else(|| ArtifactError::NotFound(reference.to_string()))?;
            let digest = digest_of(&bytes);
            if is_digest(&version) && version != digest {
                return Err(ArtifactError::DigestMismatch(version));
            }
            match read_manifest(&digest, &parse(&digest, &bytes)?)? {
                ManifestKind::Image { .. } if !images.contains(&digest) => images.push(digest),
                ManifestKind::Image { .. } => {}
                ManifestKind::Index(_) if depth == MAX_INDEX_DEPTH => return Err(bad("indexes nest more than 3 deep")),
                ManifestKind::Index(entries) => {
                    pending
                        .extend(entries.into_iter().rev().filter(|(_, p)| is_platform(p.as_ref())).map(|(digest, _)| (digest, depth + 1)));
                }
            }
            if images.len() + pending.len() > MAX_IMAGES {
                return Err(bad("it stands for more than 100 images"));
            }
        }
        Ok(images)
    }

    fn manifest(&self, repository: &str, version: &str) -> Result<Option<Vec<u8>>, ArtifactError> {
        let url = self.base.join(&format!("{repository}/manifests/{version}")).map_err(|_| self.network("a path is not one"))?;
        let answer = self.get(&url, &pull(repository), Some(ACCEPT))?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.body(self.succeeded(answer)?).map(Some)
    }

    /// A blob's bytes, as they come. Their digest is for the reader to compute.
    ///
    /// # Errors
    /// When there is no such blob or the registry cannot be asked.
    pub fn blob(&self, repository: &str, digest: &str) -> Result<impl Read + use<>, ArtifactError> {
        let url = self.base.join(&format!("{repository}/blobs/{digest}")).map_err(|_| self.network("a path is not one"))?;
        let mut answer = self.get(&url, &pull(repository), None)?;
        for _ in 0..3 {
            if !answer.status().is_redirection() {
                break;
            }
            // Blobs live with a storage provider: fetched from there, without our credentials.
            let target = answer.headers().get("location").and_then(|l| l.to_str().ok()).and_then(|l| url.join(l).ok());
            let target = target.filter(|t| t.scheme() == "https" || t.origin() == self.base.origin());
            let target = target.ok_or_else(|| self.network("it redirects to where we do not go"))?;
            answer = self.client.get(target).send().map_err(|error| self.failed(&error))?;
        }
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(ArtifactError::MissingBlob(digest.to_owned()));
        }
        self.succeeded(answer)
    }

    fn body(&self, answer: Response) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = Vec::new();
        answer.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(|_| self.network("its answer broke off"))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(self.network("its answer is larger than 8 MiB"));
        }
        Ok(bytes)
    }

    fn succeeded(&self, answer: Response) -> Result<Response, ArtifactError> {
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ArtifactError::Unauthorized(self.host())),
            status => Err(self.network(format!("it answered {}", status.as_u16()))),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> ArtifactError {
        self.network(match () {
            () if error.is_connect() => "no connection",
            () if error.is_timeout() => "no answer in time",
            () => "the exchange broke off",
        })
    }

    fn get(&self, url: &Url, scope: &str, accept: Option<&str>) -> Result<Response, ArtifactError> {
        let known = self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(scope).cloned();
        let answer = self.send(url, accept, known.as_deref())?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = answer.headers().get("www-authenticate").and_then(|c| c.to_str().ok()).unwrap_or_default().to_owned();
        let Some(authorization) = self.authorization(&challenge, scope)? else { return Ok(answer) };
        self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(scope.to_owned(), authorization.clone());
        self.send(url, accept, Some(&authorization))
    }

    /// Asks, and asks again after a while where the registry says that it is asked too much.
    fn send(&self, url: &Url, accept: Option<&str>, authorization: Option<&str>) -> Result<Response, ArtifactError> {
        let until = Instant::now() + LONGEST_PAUSE;
        for time in 0.. {
            let mut request = self.client.request(Method::GET, url.clone());
            if let Some(accept) = accept {
                request = request.header("accept", accept);
            }
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let answer = request.send().map_err(|error| self.failed(&error))?;
            let pause = pause_after(&answer, time).filter(|pause| time < PUT_OFF && Instant::now() + *pause <= until);
            match pause {
                None => return Ok(answer),
                Some(pause) => std::thread::sleep(pause),
            }
        }
        Err(self.network("it puts us off"))
    }

    /// What to send in answer to a challenge; none when we have nothing for it.
    fn authorization(&self, challenge: &str, scope: &str) -> Result<Option<String>, ArtifactError> {
        let basic = self.credentials.as_ref().map(|c| {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", c.user, c.password));
            format!("Basic {pair}")
        });
        let Some(parameters) = strip_word(challenge, "bearer") else {
            return Ok(strip_word(challenge, "basic").and(basic));
        };
        let realm = parameter(parameters, "realm").unwrap_or_default();
        let mut url: Url = realm.parse().map_err(|_| self.network("its token service has no URL"))?;
        let same_host = url.host_str() == self.base.host_str();
        if url.scheme() != "https" && !(same_host && url.scheme() == self.base.scheme()) {
            return Err(self.network("its token service is not reached by https"));
        }
        if !same_host && !is_public_name(&url) {
            return Err(self.network("its token service is at an address that we do not go to"));
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = parameter(parameters, "service") {
                query.append_pair("service", service);
            }
            query.append_pair("scope", scope);
        }
        let mut request = self.client.get(url.clone());
        if let (Some(basic), true) = (basic, same_host || same_site(&url, &self.base)) {
            request = request.header("authorization", basic);
        }
        let answer = self.succeeded(request.send().map_err(|error| self.failed(&error))?)?;
        let document = parse("the token service's answer", &self.body(answer)?)?;
        let token = document.get("token").or_else(|| document.get("access_token")).and_then(Value::as_str);
        token.map(|token| Some(format!("Bearer {token}"))).ok_or_else(|| self.network("its token service gave no token"))
    }
}

/// How long to wait before what was put off is asked again: what the answer says in whole seconds, or ever longer; none where it was
/// not put off (RFC 9110 10.2.3).
fn pause_after(answer: &Response, time: u32) -> Option<Duration> {
    if !matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let said = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    Some(said.map_or_else(|| PAUSE * 2_u32.saturating_pow(time), Duration::from_secs))
}

/// Whether a manifest of an index may be an image: what is for no platform in particular may.
fn is_platform(platform: Option<&Platform>) -> bool {
    platform.is_none_or(|platform| platform.os != "unknown")
}

fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// The target of `<target>; rel="next"`.
fn next_link(link: &str) -> Option<&str> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then_some(target)
}

fn strip_word<'a>(challenge: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
    first.eq_ignore_ascii_case(word).then_some(rest)
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// A name, and not an address: an address in a challenge points inside somebody's network.
fn is_public_name(url: &Url) -> bool {
    matches!(url.host(), Some(url::Host::Domain(name)) if name.contains('.') && !name.ends_with(".internal") && !name.ends_with(".local"))
}

/// Whether two hosts share their last two labels, as `registry-1.docker.io` and `auth.docker.io` do.
fn same_site(a: &Url, b: &Url) -> bool {
    let site = |url: &Url| match url.host() {
        Some(url::Host::Domain(name)) => {
            let mut labels: Vec<String> = name.rsplit('.').take(2).map(str::to_owned).collect();
            labels.reverse();
            (labels.len() == 2).then(|| labels.join("."))
        }
        _ => None,
    };
    site(a).is_some_and(|site_a| Some(site_a) == site(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Answers each request with the next of `answers` and gives back what was asked.
    fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut request).unwrap() > 2 {}
                asked.push(request);
                stream.write_all(answer.replace('\n', "\r\n").as_bytes()).unwrap();
            }
            asked
        });
        (host, thread)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\ncontent-length: {}\nconnection: close\n{headers}\n{body}", body.len())
    }

    fn secret() -> Option<Credentials> {
        Some(Credentials { user: "me".into(), password: "hunter2".into() })
    }

    #[test]
    fn credentials_go_to_no_other_host() {
        for realm in ["https://169.254.169.254/token", "file:///etc/passwd", "http://evil.example/token", "https://metadata.internal/x"] {
            let (host, server) = serve(vec![answer("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"{realm}\"\n"), "")]);
            let client = RegistryClient::new(&host, secret()).unwrap();
            let error = client.tags("app").unwrap_err().to_string();
            assert!(error.contains("token service") && !error.contains("hunter2"), "{error}");
            assert!(!server.join().unwrap()[0].to_lowercase().contains("authorization"));
        }
    }

    #[test]
    fn a_token_service_on_the_same_host_is_asked() {
        let (host, server) = serve(vec![
            answer("401 Unauthorized", "www-authenticate: Bearer realm=\"http://HOST/token\",service=\"r\"\n", "")
                .replace("HOST", "127.0.0.1:1"),
        ]);
        let client = RegistryClient::new(&host, secret()).unwrap();
        // The realm is on the same host at another port: allowed, and refused by nobody but the closed port.
        assert!(client.tags("app").unwrap_err().to_string().contains("no connection"));
        server.join().unwrap();
    }

    #[test]
    fn pages_are_followed_on_the_same_host_only() {
        let (host, server) = serve(vec![
            answer("200 OK", "link: </v2/_catalog?last=a&n=1000>; rel=\"next\"\n", "{\"repositories\": [\"a\"]}"),
            answer("200 OK", "link: <https://other.example/v2/_catalog>; rel=\"next\"\n", "{\"repositories\": [\"b\"]}"),
        ]);
        let error = RegistryClient::new(&host, None).unwrap().repositories().unwrap_err();
        assert!(error.to_string().contains("another host"), "{error}");
        assert_eq!(server.join().unwrap().len(), 2);
    }

    #[test]
    fn part_of_a_list_is_no_list() {
        let first = answer("200 OK", "link: </v2/_catalog?last=a&n=1000>; rel=\"next\"\n", "{\"repositories\": [\"a\"]}");
        for lost in [answer("404 Not Found", "", ""), answer("200 OK", "", "{}"), answer("200 OK", "", "{\"repositories\": {}}")] {
            let (host, server) = serve(vec![first.clone(), lost]);
            assert!(RegistryClient::new(&host, None).unwrap().repositories().is_err());
            server.join().unwrap();
        }
        for (page, tags) in [(answer("404 Not Found", "", ""), 0), (answer("200 OK", "", "{\"tags\": null}"), 0)] {
            let (host, server) = serve(vec![page]);
            assert_eq!(RegistryClient::new(&host, None).unwrap().tags("app").unwrap().len(), tags);
            server.join().unwrap();
        }
        let (host, server) = serve(vec![answer("404 Not Found", "", "")]);
        assert!(RegistryClient::new(&host, None).unwrap().repositories().is_err(), "no catalogue is not an empty one");
        server.join().unwrap();
    }

    #[test]
    fn what_is_put_off_is_asked_again_and_not_for_ever() {
        let later = answer("429 Too Many Requests", "retry-after: 0\n", "");
        let (host, server) = serve(vec![later.clone(), later.clone(), answer("200 OK", "", "{\"tags\": [\"v1\"]}")]);
        assert_eq!(RegistryClient::new(&host, None).unwrap().tags("app").unwrap(), ["v1"]);
        server.join().unwrap();
        let (host, server) = serve(vec![later; 5]);
        assert!(RegistryClient::new(&host, None).unwrap().tags("app").unwrap_err().to_string().contains("429"));
        server.join().unwrap();
        // Longer than we wait, or a date: it is tried with the next sweep.
        let (host, server) = serve(vec![answer("503 Service Unavailable", "retry-after: 3600\n", "")]);
        assert!(RegistryClient::new(&host, None).unwrap().tags("app").is_err());
        server.join().unwrap();
    }

    #[test]
    fn a_tag_stands_for_the_images_of_all_platforms() {
        let image = |n: u32| format!("{{\"config\": {{\"digest\": \"sha256:{n}\"}}, \"layers\": []}}");
        let digest = |n: u32| digest_of(image(n).as_bytes());
        let entry =
            |n: u32, os: &str| format!("{{\"digest\": \"{}\", \"platform\": {{\"os\": \"{os}\", \"architecture\": \"a{n}\"}}}}", digest(n));
        let index = format!("{{\"manifests\": [{}, {}, {}]}}", entry(1, "linux"), entry(2, "unknown"), entry(3, "windows"));
        let (host, server) = serve(vec![answer("200 OK", "", &index), answer("200 OK", "", &image(1)), answer("200 OK", "", &image(3))]);
        let reference = format!("{host}/app:v1").parse().unwrap();
        assert_eq!(RegistryClient::new(&host, None).unwrap().images(&reference).unwrap(), [digest(1), digest(3)]);
        assert_eq!(server.join().unwrap().len(), 3, "an attestation is not asked for");
    }

    #[test]
    fn a_manifest_that_is_not_its_digest_is_refused() {
        let wanted = format!("sha256:{}", "0".repeat(64));
        let (host, server) = serve(vec![answer("200 OK", "", "{\"layers\": [], \"config\": {\"digest\": \"sha256:1\"}}")]);
        let reference = format!("{host}/app@{wanted}").parse().unwrap();
        let error = RegistryClient::new(&host, None).unwrap().image(&reference, &Platform::default()).unwrap_err();
        assert!(matches!(error, ArtifactError::DigestMismatch(_)), "{error}");
        server.join().unwrap();
    }
}
