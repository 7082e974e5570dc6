//! `lestrade serve`: never stops watching.

use super::feeds::places;
use super::{bundles, intelligence_failure, library, scanner};
use crate::args::Serve;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::state::{CREDENTIALS, StateFolder, TOKEN};
use crate::{docker_auth, input, output};
use lestrade_artifact::RegistryClient;
use lestrade_aws::targets::{self, AwsSecrets};
use lestrade_aws::{BucketSettings, EstateSettings, FunctionVersions, InventoryBucket};
use lestrade_events::{EgressPolicy, Kinds, LocalSecrets, TargetRecord};
use lestrade_extract::{DirectoryCache, HostRoot};
use lestrade_model::Scope;
use lestrade_server::inspector2::{BucketPlace, EndSuppressions, ExportPlace, Front, WriteReports};
use lestrade_server::{
    Agents, Api, Audit, AwsSettings, Core, Dispatch, FollowMirror, FunctionSettings, Hub, HubSettings, ImageSettings, LastUse, Prune,
    Reconcilers, RefreshIntelligence, RegistryEar, RegistrySelection, RepositoryFilter, Retention, ServerError, Signal, StopAws, TlsConfig,
    TlsListener, UpdateFeeds, WatchAgents, WatchAws, WatchFolder, WatchHost, WatchLifecycles, WatchRegistry, WatchedScopes, plain,
    serve_http, tls_config,
};
use lestrade_store::StoreError;
use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the folder of rules is looked at.
const RULES_INTERVAL: Duration = Duration::from_secs(2);
/// How often a mirror is asked what its newest generation is.
const MIRROR_INTERVAL: Duration = Duration::from_secs(300);
/// How often it is looked whether a feed is due, at the latest.
const FEEDS_INTERVAL: Duration = Duration::from_secs(60);
/// How often agents that are silent are looked for.
const AGENTS_INTERVAL: Duration = Duration::from_secs(5);
/// How often suppression rules are asked whether their end has come.
const SUPPRESSIONS_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked whether a report waits to be written; whoever asks for one says so.
const REPORTS_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked whether the estate moved, so that systems are judged.
const LIFECYCLES_INTERVAL: Duration = Duration::from_secs(2);
/// How often a part of the estate is audited.
const AUDIT_INTERVAL: Duration = Duration::from_secs(300);
/// How often the outbox is pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

pub(crate) fn run(settings: &Settings, arguments: &Serve) -> Result<Exit, Failure> {
    start_logging();
    let tls = tls(settings)?;
    let address = listen_address(settings.text("listen").unwrap_or_default(), arguments.behind_proxy || tls.is_some())?;
    let scope = scope(settings)?;
    let state = StateFolder::open(settings)?;
    let io = |error: std::io::Error| state.failure(&error);

    let place = exports(settings, &state, &scope)?;
    let location = settings.text("store").unwrap_or_default().to_owned();
    let store = lestrade_store::open(&location).map_err(|error| store_failure(&error))?;
    let token_key = state.secret_bytes("token.key").map_err(io)?;
    let library = library(settings);
    if library.current().map_err(|error| intelligence_failure(&error))?.is_none() {
        // The starter set is for a first look; what watches must not call things clean by it.
        let how = if polls_feeds(settings) { "the feeds that the estate needs are fetched" } else { "`lestrade db import PATH`" };
        tracing::warn!("there is no vulnerability intelligence yet; nothing is judged until: {how}");
    }
    let core = Arc::new(Core::open(store, library, Arc::new(SystemClock), token_key).map_err(|error| server_failure(&error))?);
    core.set_administrator(&scope);
    core.enforce_suppressions(std::slice::from_ref(&scope))
        .map_err(|error| Failure::new("E0321", Exit::Input, "a stored filter cannot be read").cause(error))?;
    let is_first = !state.join(CREDENTIALS).exists();
    let keys = (state.credentials(&scope).map_err(io)?, state.key_file().map_err(io)?);

    let mut reconcilers = Reconcilers::default();
    let hub = Arc::new(Hub::new(Arc::clone(&core), what_is_sent(settings, &scope)));
    let dispatch = Dispatch::new(Arc::clone(&hub)).map_err(|error| match error {
        ServerError::Rules(error) => Failure::new("E0341", Exit::Input, "the rules are not taken, none of them").cause(error),
        ServerError::Delivery(error) => Failure::new("E0215", Exit::Usage, error.to_string()),
        other => server_failure(&other),
    })?;
    let mut told = vec![reconcilers.run(dispatch, RULES_INTERVAL, vec![]).map_err(io)?];
    reconcilers.run(Prune(Arc::clone(&hub)), PRUNE_INTERVAL, vec![]).map_err(io)?;
    let intelligence = Duration::from_secs(settings.number("intelligence-interval"));
    let refresh = reconcilers.run(RefreshIntelligence(Arc::clone(&core)), intelligence, told.clone()).map_err(io)?;
    if polls_feeds(settings) {
        let every = Some(settings.number("feed-interval")).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let fetches = match bundles::followed(settings)? {
            Some(mirror) => {
                let follow = FollowMirror::new(Arc::clone(&core), mirror);
                reconcilers.run(follow, every.unwrap_or(MIRROR_INTERVAL), vec![refresh]).map_err(io)?
            }
            None => {
                let feeds = UpdateFeeds::new(Arc::clone(&core), places(settings), every);
                reconcilers.run(feeds, FEEDS_INTERVAL, vec![refresh]).map_err(io)?
            }
        };
        // What is new in the estate may need a feed that nothing needed before.
        told.push(fetches);
    }
    reconcilers.run(WatchLifecycles::new(Arc::clone(&core)), LIFECYCLES_INTERVAL, told.clone()).map_err(io)?;
    core.set_retention(retention(settings));
    let ears = watch(settings, arguments, &core, &scope, &mut reconcilers, &told)?;
    let watched = WatchedScopes::default();
    let aws = watch_aws(settings, &core, &scope, &watched, &mut reconcilers, &told)?;
    if settings.flag("watch-host") {
        let own = state.secret_bytes("host.id").map_err(io)?;
        let host = WatchHost::new(Arc::clone(&core), scanner(None)?, HostRoot::new(settings.path("host-root")), &scope, own);
        reconcilers.run(host, Duration::from_secs(settings.number("host-interval")), told.clone()).map_err(io)?;
    }

    let warm = Arc::clone(&core);
    std::thread::Builder::new().name("warm".to_owned()).spawn(move || warm.warm()).map_err(io)?;
    let token = state.token(TOKEN).map_err(io)?;
    let documents = Arc::new(scanner(None)?);
    let front = Arc::new(
        Front::new(Arc::clone(&core), keys, token_key)
            .with_exports(place, scope.clone())
            .with_estate(watched, scope.clone())
            .scanning(Arc::clone(&documents)),
    );
    let end = EndSuppressions { front: Arc::clone(&front), scope: scope.clone() };
    reconcilers.run(end, SUPPRESSIONS_INTERVAL, vec![]).map_err(io)?;
    let reports = WriteReports { front: Arc::clone(&front) };
    front.wakes(reconcilers.run(reports, REPORTS_INTERVAL, vec![]).map_err(io)?);
    let reports = Arc::clone(&front);
    reconcilers.run(Audit::new(Arc::clone(&core)), AUDIT_INTERVAL, vec![]).map_err(io)?;
    let api = Api::new(hub, Arc::clone(&front), &token).public(arguments.behind_proxy || !address.ip().is_loopback());
    let api = api.hearing(ears, &state.token("registry-token").map_err(io)?);
    let api = api.taking_in(documents);
    let patience = Duration::from_secs(settings.number("agent-stale-after"));
    let agents = Arc::new(Agents::open(Arc::clone(&core), scope.clone(), patience).map_err(|error| server_failure(&error))?);
    reconcilers.run(WatchAgents(Arc::clone(&agents)), AGENTS_INTERVAL, told).map_err(io)?;
    let api = api.with_agents(agents);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(io)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
            Failure::new("E0322", Exit::Input, format!("{address} cannot be listened on")).cause(error).try_("--set listen=127.0.0.1:0")
        })?;
        let bound = listener.local_addr().map_err(io)?;
        let served = format!("{}://{bound}", if tls.is_some() { "https" } else { "http" });
        let exports = if is_first { state.first_key().map_err(io)? } else { String::new() };
        // Whoever started us may not read what we say: that is no reason to stop.
        let _ = output::write(
            None,
            &format!(
                "lestrade {} listens on {served}\n  credentials: AWS_SHARED_CREDENTIALS_FILE={}\n{exports}  try: aws --endpoint-url {served} --region {} inspector2 list-findings\n",
                env!("CARGO_PKG_VERSION"),
                state.join(CREDENTIALS).display(),
                scope.region
            ),
        );
        let Some(tls) = tls else {
            state.note_address(bound).map_err(io)?;
            return serve_http(plain(listener), front, Some(api), stopped()).await.map_err(io);
        };
        // The commands on this machine need no certificate to ask.
        let local = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
        state.note_address(local.local_addr().map_err(io)?).map_err(io)?;
        let outside = TlsListener::new(listener, tls).map_err(io)?;
        let outside = serve_http(outside, Arc::clone(&front), Some(api.clone()), stopped());
        let inside = serve_http(plain(local), front, Some(api), stopped());
        tokio::try_join!(outside, inside).map(drop).map_err(io)
    })?;
    if let Some(aws) = aws {
        aws.stop();
    }
    reports.leave_reports();
    drop(reconcilers);
    Ok(Exit::Ok)
}

/// Where reports go that clients of AWS ask for.
fn exports(settings: &Settings, state: &StateFolder, scope: &Scope) -> Result<ExportPlace, Failure> {
    if settings.text("exports") != Some("s3") {
        return Ok(ExportPlace::Folder(state.join("exports")));
    }
    let text = |name: &str| settings.text(name).map(str::to_owned);
    let buckets = BucketSettings { profile: text("exports-profile"), endpoint: text("exports-endpoint"), region: scope.region.clone() };
    let place = BucketPlace::new(buckets, settings.list("exports-buckets"), settings.flag("exports-kms"), Arc::new(SystemClock));
    let wrong = |error| {
        Failure::new("E0230", Exit::Usage, "reports cannot be written to buckets")
            .cause(error)
            .try_("--set exports-endpoint=https://minio.example:9000")
    };
    Ok(ExportPlace::Buckets(Box::new(place.map_err(wrong)?)))
}

/// Whether the server fetches feeds by itself.
fn polls_feeds(settings: &Settings) -> bool {
    settings.flag("auto-update") && !settings.flag("offline")
}

/// Logs to standard error, as `LESTRADE_LOG` says.
pub(super) fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("LESTRADE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,aws_config=error,hyper=warn,reqwest=warn,postgres=warn,tokio_postgres=warn"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}

/// Resolves when the process is asked to stop.
pub(super) async fn stopped() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
}

/// What TLS is spoken with, where a certificate is given.
pub(super) fn tls(settings: &Settings) -> Result<Option<Arc<TlsConfig>>, Failure> {
    let (certificate, key) = match (settings.text("tls-certificate"), settings.text("tls-key")) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (PathBuf::from(certificate), PathBuf::from(key)),
        _ => {
            let what = "a certificate and its key are given together, or neither";
            return Err(Failure::new("E0219", Exit::Usage, what).try_("--set tls-certificate=cert.pem --set tls-key=key.pem"));
        }
    };
    let mode = std::fs::metadata(&key).map_err(|error| input::unreadable(&key, error))?.permissions().mode();
    if mode & 0o007 != 0 {
        let what = format!("'{}' can be read by everybody", key.display());
        return Err(Failure::new("E0219", Exit::Usage, what).try_(format!("chmod 600 {}", key.display())));
    }
    let config = tls_config(&certificate, &key);
    config.map(Some).map_err(|error| Failure::new("E0219", Exit::Usage, "TLS cannot be spoken with this certificate and key").cause(error))
}

/// An address to listen on: one of this machine alone, unless TLS is spoken, by us or by a proxy.
pub(super) fn listen_address(text: &str, is_guarded: bool) -> Result<SocketAddr, Failure> {
    let address = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    let address = address.ok_or_else(|| {
        Failure::new("E0211", Exit::Usage, format!("'{text}' is not an address to listen on")).try_("--set listen=127.0.0.1:8780")
    })?;
    if is_guarded || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Failure::new("E0212", Exit::Usage, format!("{address} can be reached from elsewhere, and no TLS is spoken")).try_(
        "--set listen=127.0.0.1:8780      # or a certificate (tls-certificate, tls-key), or --behind-proxy with a proxy that speaks TLS",
    ))
}

pub(crate) fn scope(settings: &Settings) -> Result<Scope, Failure> {
    let text = |name| settings.text(name).unwrap_or_default();
    Scope::new(text("partition"), text("account"), text("region")).map_err(|error| Failure::new("E0213", Exit::Usage, error.to_string()))
}

fn watch(
    settings: &Settings,
    arguments: &Serve,
    core: &Arc<Core>,
    scope: &Scope,
    reconcilers: &mut Reconcilers,
    told: &[Signal],
) -> Result<Vec<RegistryEar>, Failure> {
    let registries: Vec<String> = arguments.registry.iter().cloned().chain(settings.list("registries")).collect();
    let selected = RegistrySelection::all_of(registries.iter().map(String::as_str))
        .map_err(|error| Failure::new("E0214", Exit::Usage, error.to_string()).try_("--registry registry.example/team-*/**"))?;
    let interval = Duration::from_secs(settings.number("registry-interval"));
    let mut ears = Vec::new();
    for selection in selected {
        let cache = DirectoryCache::new(settings.path("cache-dir").join("layers"));
        let scanner = Arc::new(scanner(Some(Box::new(cache)))?);
        let host = selection.host.clone();
        let client = RegistryClient::new(&host, docker_auth::credentials(&host))
            .map_err(|error| Failure::new("E0214", Exit::Usage, format!("'{host}' is not a registry")).cause(error))?;
        let watch = WatchRegistry::new(Arc::clone(core), scanner, client, selection, scope.clone(), interval).keeping(retention(settings));
        let ear = watch.ear();
        let signal = reconcilers
            .run(watch, interval, told.to_vec())
            .map_err(|error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error))?;
        ears.push(ear.waking(signal));
    }
    let folders: Vec<PathBuf> = arguments.folder.iter().cloned().chain(settings.list("folders").into_iter().map(PathBuf::from)).collect();
    let interval = Duration::from_secs(settings.number("folder-interval"));
    for folder in folders {
        let cache = DirectoryCache::new(settings.path("cache-dir").join("layers"));
        let scanner = Arc::new(scanner(Some(Box::new(cache)))?);
        let watch =
            WatchFolder::new(Arc::clone(core), scanner, &folder, scope.clone()).map_err(|error| input::unreadable(&folder, error))?;
        reconcilers
            .run(watch, interval, told.to_vec())
            .map_err(|error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error))?;
    }
    Ok(ears)
}

/// How long images are watched.
fn retention(settings: &Settings) -> Retention {
    let days = |name: &str| u32::try_from(settings.number(name)).unwrap_or(u32::MAX);
    let by = if settings.text("image-use-by") == Some("pull") { LastUse::Pull } else { LastUse::Run };
    Retention { pushed: Some(days("image-push-days")).filter(|days| *days > 0), used: days("image-use-days"), by }
}

/// Watches AWS, where it is to be watched. What it was known to look like is known again at once.
fn watch_aws(
    settings: &Settings,
    core: &Arc<Core>,
    home: &Scope,
    watched: &WatchedScopes,
    reconcilers: &mut Reconcilers,
    told: &[Signal],
) -> Result<Option<StopAws>, Failure> {
    core.recall_networks().map_err(|error| server_failure(&error))?;
    core.recall_sockets().map_err(|error| server_failure(&error))?;
    let required = match settings.text("aws").unwrap_or_default() {
        "off" => return Ok(None),
        "on" => true,
        "auto" => false,
        other => {
            let what = format!("'{other}' is no way to watch AWS");
            return Err(Failure::new("E0218", Exit::Usage, what).try_("--set aws=auto      # or on, or off"));
        }
    };
    let optional = |name: &str| settings.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let interval = Duration::from_secs(settings.number("aws-interval"));
    let inventory_bucket = optional("aws-inventory-bucket").map(|text| {
        let wrong =
            || Failure::new("E0241", Exit::Usage, format!("'{text}' is no bucket")).try_("--set aws-inventory-bucket=s3://bucket/prefix");
        InventoryBucket::parse(&text).ok_or_else(wrong)
    });
    let inventory_bucket = inventory_bucket.transpose()?;
    let aws = AwsSettings {
        home: home.clone(),
        estate: estate_settings(settings),
        queue: optional("aws-queue"),
        run_command: settings.flag("aws-run-command"),
        agentless: settings.flag("aws-agentless"),
        inventory_bucket,
        machine_image_days: u32::try_from(settings.number("aws-machine-image-days")).ok().filter(|days| *days > 0),
        kubernetes: settings.flag("aws-eks"),
        deep_paths: settings.list("aws-deep-paths"),
        images: ImageSettings {
            repositories: RepositoryFilter::new(&settings.list("aws-repositories")),
            registry_rules: settings.flag("aws-registry-rules"),
        },
        functions: FunctionSettings {
            versions: if settings.text("aws-function-versions") == Some("all") { FunctionVersions::All } else { FunctionVersions::Latest },
            idle_days: u32::try_from(settings.number("aws-function-idle-days")).ok().filter(|days| *days > 0),
        },
        retention: retention(settings),
        interval,
        gone_after: Duration::from_secs(settings.number("aws-gone-after")),
        required,
    };
    let bug = |error: std::io::Error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error);
    let cache = DirectoryCache::new(settings.path("cache-dir").join("layers"));
    let scanner = Arc::new(scanner(Some(Box::new(cache)))?);
    let (watch, stop) = WatchAws::new(Arc::clone(core), scanner, Arc::new(SystemClock), aws, watched.clone()).map_err(bug)?;
    reconcilers.run(watch, interval, told.to_vec()).map_err(bug)?;
    Ok(Some(stop))
}

/// The accounts and regions that are watched.
pub(crate) fn estate_settings(settings: &Settings) -> EstateSettings {
    EstateSettings {
        regions: settings.list("aws-regions"),
        accounts: settings.list("aws-accounts"),
        organization: settings.flag("aws-organization"),
        role: settings.text("aws-role").unwrap_or_default().to_owned(),
        external_id: settings.text("aws-external-id").filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// The account of the credentials alone, for what is done in no other.
pub(crate) fn own_account(settings: &Settings) -> EstateSettings {
    EstateSettings { accounts: Vec::new(), organization: false, ..estate_settings(settings) }
}

/// What is sent where: the rules, and the two targets that settings name.
fn what_is_sent(settings: &Settings, home: &Scope) -> HubSettings {
    let option = |name: &str, value: &str| serde_json::Map::from_iter([(name.to_owned(), value.into())]);
    let lines = settings.text("json-lines").map(|path| TargetRecord::simple("json-lines", "json-lines", option("path", path)));
    let webhook = settings.text("webhook").map(|url| TargetRecord::simple("webhook", "webhook", option("url", url)));
    let egress = if settings.flag("allow-private-targets") { EgressPolicy::AllowPrivate } else { EgressPolicy::PublicOnly };
    HubSettings {
        kinds: Kinds::standard().with(targets::kinds()),
        secrets: Arc::new(AwsSecrets {
            egress,
            region: home.region.to_string(),
            clock: Arc::new(SystemClock),
            endpoint: None,
            local: Arc::new(LocalSecrets),
        }),
        egress,
        home: home.clone(),
        rules: settings.text("rules").map(PathBuf::from),
        everything: lines.into_iter().chain(webhook).collect(),
    }
}

fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::new("E0323", Exit::Input, error.to_string());
    match error {
        StoreError::InUse => failure.try_("--set state-dir=…      # or stop the other server"),
        StoreError::TooNew { .. } => failure.try_("the newer lestrade that wrote it"),
        _ => failure,
    }
}

fn server_failure(error: &ServerError) -> Failure {
    match error {
        ServerError::Advisories(error) => intelligence_failure(error),
        ServerError::Store(error) => store_failure(error),
        other => Failure::new("E0324", Exit::Input, "the state cannot be loaded").cause(other),
    }
}

#[cfg(test)]
mod tests {
    use super::listen_address;

    #[test]
    fn what_others_can_reach_wants_a_proxy() {
        assert!(listen_address("127.0.0.1:0", false).is_ok() && listen_address("[::1]:0", false).is_ok());
        assert!(listen_address("0.0.0.0:0", false).is_err() && listen_address("[::]:0", false).is_err());
        assert!(listen_address("0.0.0.0:0", true).is_ok());
        assert!(listen_address("nowhere", true).is_err());
    }
}
