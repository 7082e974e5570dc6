//! AWS as tests have it: moto, and what moto lacks filled by answers of our own over the same wire.

use crate::{Asked, FileServer, Reply, Responder};
use anyhow::Result;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is answered in place of moto, which tests change as they go.
#[derive(Debug, Default)]
pub struct Filled {
    /// What SSM knows of instances: their description, and their packages.
    pub managed: BTreeMap<String, (Value, Vec<Value>)>,
    /// The content of every snapshot: a disk in a file, of so many GiB.
    pub disk: Option<(PathBuf, u64)>,
    /// What an upgrade by SSM leaves of an instance's packages, by its id; an upgrade of others changes nothing.
    pub upgraded: BTreeMap<String, Vec<Value>>,
    /// The scripts that upgraded something.
    pub upgrades: Vec<String>,
    /// The roots of instances that run what SSM sends them, by their ids.
    pub roots: BTreeMap<String, PathBuf>,
    /// What they printed, by the command and the instance.
    printed: BTreeMap<(String, String), String>,
    /// The host of the registry that holds the images' layers.
    pub registry: String,
    /// The zips of functions, by name, or by name and version (`name:1`), and of layers, by ARN.
    pub code: BTreeMap<String, Vec<u8>>,
    /// When functions changed last, by name, as Lambda writes it.
    pub modified: BTreeMap<String, String>,
    /// When all images were pushed, and when they were pulled last if they were, in seconds since 1970.
    pub pushed: Option<(i64, Option<i64>)>,
    /// The digests of the images that containers of ECS run, by the names that their tasks' definitions give: in moto none ever runs.
    pub running: BTreeMap<String, String>,
    /// When all machine images were made.
    pub machine_images_made: Option<String>,
    /// Where the API servers of all clusters of EKS are, and the certificate of their authority in base64.
    pub kubernetes: Option<(String, String)>,
    /// A share of calls, in percent, that are refused as too many, and one that fails.
    pub faults: (u32, u32),
    /// Operations that are refused: nobody may call them.
    pub denied: Vec<String>,
    /// How many calls were refused as too many, or failed.
    pub failed: usize,
}

/// See the module.
pub struct AwsStandIn {
    responder: Responder,
    filled: Arc<Mutex<Filled>>,
}

impl AwsStandIn {
    /// Starts one in front of a moto.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(moto: &str) -> Result<Self> {
        Self::start_with(moto, |_, _| true)
    }

    /// The same, asking with the operation's name before a call takes effect and again (`true`) before it is answered whether to go on:
    /// where not, it hangs up.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start_with(moto: &str, mut goes_on: impl FnMut(&str, bool) -> bool + Send + 'static) -> Result<Self> {
        let filled: Arc<Mutex<Filled>> = Arc::default();
        let files = FileServer::start()?;
        let client = Client::builder().no_proxy().build()?;
        let (state, moto) = (Arc::clone(&filled), moto.to_owned());
        let mut count = 0_u32;
        let responder = Responder::start(move |asked| {
            count = count.wrapping_add(1);
            let operation = operation(asked);
            if !goes_on(&operation, false) {
                return Reply::HangUp;
            }
            let mut state = locked(&state);
            if state.denied.contains(&operation) {
                return refusal(asked, 403, "AccessDeniedException");
            }
            // The same calls fail in every run: a test that fails once fails again.
            let turn = count.wrapping_mul(37) % 100;
            if turn < state.faults.0 + state.faults.1 {
                state.failed += 1;
            }
            if turn < state.faults.0 {
                return refusal(asked, 400, "ThrottlingException");
            }
            if turn < state.faults.0 + state.faults.1 {
                return refusal(asked, 503, "ServiceUnavailable");
            }
            let reply = if let Some(reply) = answer(&operation, asked, &mut state, &files) {
                reply
            } else {
                let code = function_code(&operation, asked, &state, &files);
                let digests = (operation == "DescribeTasks").then(|| state.running.clone());
                let modified = state.modified.clone();
                let made = state.machine_images_made.clone().filter(|_| operation == "DescribeImages");
                let kubernetes = state.kubernetes.clone().filter(|_| operation == "DescribeCluster");
                let pushed = state.pushed.filter(|_| operation == "DescribeImages" && asked.headers.contains_key("x-amz-target"));
                drop(state);
                let reply = forward(&client, &moto, asked).unwrap_or(Reply::HangUp);
                let reply = digests.map_or(reply.clone(), |digests| running(reply, &digests));
                let reply = code.map_or(reply.clone(), |location| located(reply, &location));
                let reply = made.map_or(reply.clone(), |at| remade(reply, &at));
                let reply = kubernetes.map_or(reply.clone(), |(endpoint, authority)| served(reply, &endpoint, &authority));
                let reply = pushed.map_or(reply.clone(), |times| aged(reply, times));
                if modified.is_empty() || !operation.contains("Function") { reply } else { changed(reply, &modified) }
            };
            if goes_on(&operation, true) { reply } else { Reply::HangUp }
        })?;
        Ok(Self { responder, filled })
    }

    /// Its origin.
    #[must_use]
    pub fn url(&self) -> String {
        self.responder.url()
    }

    /// The operations that it was asked for so far.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.responder.asked().iter().map(operation).collect()
    }

    /// What is answered in place of moto.
    pub fn filled(&self) -> MutexGuard<'_, Filled> {
        locked(&self.filled)
    }
}

/// Bytes of a block, as AWS has them.
const BLOCK: u64 = 512 << 10;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The operation's name: in a header, in the form, or in Lambda's paths.
fn operation(asked: &Asked) -> String {
    if let Some(target) = asked.headers.get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if let Some(action) = asked.body.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        return action.to_owned();
    }
    let path = asked.path.split('?').next().unwrap_or_default();
    if let Some((_, rest)) = path.split_once("/snapshots/") {
        return if rest.ends_with("/blocks") { "ListSnapshotBlocks" } else { "GetSnapshotBlock" }.to_owned();
    }
    if let Some(name) = path.strip_prefix("/clusters") {
        return if name.len() > 1 { "DescribeCluster" } else { "ListClusters" }.to_owned();
    }
    if path.contains("/layers") {
        return "GetLayerVersionByArn".to_owned();
    }
    match path.trim_end_matches('/').rsplit_once("/functions") {
        Some((_, "")) => "ListFunctions".to_owned(),
        Some((_, rest)) if rest.ends_with("/versions") => "ListVersionsByFunction".to_owned(),
        Some(_) => "GetFunction".to_owned(),
        None => path.to_owned(),
    }
}

fn refusal(asked: &Asked, status: u16, code: &str) -> Reply {
    if asked.body.starts_with("Action=") {
        let error = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        return Reply::Answer(status, vec![], format!("<ErrorResponse><Errors>{error}</Errors>{error}</ErrorResponse>"));
    }
    Reply::Answer(status, vec![("x-amzn-ErrorType".into(), code.into())], json!({"__type": code, "message": "no"}).to_string())
}

fn answer(operation: &str, asked: &Asked, state: &mut Filled, files: &FileServer) -> Option<Reply> {
    Some(match operation {
        "ListSnapshotBlocks" => {
            let (disk, size) = state.disk.as_ref()?;
            let length = std::fs::metadata(disk).ok()?.len();
            let all = length.div_ceil(BLOCK);
            let from: u64 = asked.path.split_once("pageToken=").and_then(|(_, token)| token.split('&').next()?.parse().ok()).unwrap_or(0);
            let until = all.min(from + 100);
            let blocks: Vec<Value> = (from..until).map(|index| json!({"BlockIndex": index, "BlockToken": format!("t{index}")})).collect();
            let mut body = json!({"Blocks": blocks, "BlockSize": BLOCK, "VolumeSize": size});
            if until < all {
                body["NextToken"] = until.to_string().into();
            }
            Reply::json(200, &body)
        }
        "GetSnapshotBlock" => {
            let (disk, _) = state.disk.as_ref()?;
            let index: u64 = asked.path.split('?').next()?.rsplit('/').next()?.parse().ok()?;
            let mut block = vec![0; usize::try_from(BLOCK).ok()?];
            let mut file = std::fs::File::open(disk).ok()?;
            file.seek(SeekFrom::Start(index * BLOCK)).ok()?;
            let mut filled = 0;
            while let Ok(read @ 1..) = file.read(&mut block[filled..]) {
                filled += read;
            }
            Reply::Bytes(200, block)
        }
        "SendCommand" => {
            let request = asked.json();
            let command = format!("command-{}", state.printed.len());
            for id in request["InstanceIds"].as_array()?.iter().filter_map(Value::as_str) {
                let script = request["Parameters"]["commands"][0].as_str()?;
                // No package manager is run here: what it would have done is what is found from then on.
                if script.contains("dnf upgrade") {
                    state.upgrades.push(script.to_owned());
                    if let (Some(packages), Some((_, entries))) = (state.upgraded.get(id).cloned(), state.managed.get_mut(id)) {
                        *entries = packages;
                    }
                    state.printed.insert((command.clone(), id.to_owned()), String::new());
                    continue;
                }
                let Some(root) = state.roots.get(id) else { return Some(refusal(asked, 400, "InvalidInstanceId")) };
                // The script as it is, but for where the file system begins.
                let script = script.replacen("root=''", &format!("root='{}'", root.display()), 1);
                let output = Command::new("sh").args(["-c", &script]).output().ok()?;
                state.printed.insert((command.clone(), id.to_owned()), String::from_utf8_lossy(&output.stdout).into_owned());
            }
            Reply::json(200, &json!({"Command": {"CommandId": command}}))
        }
        "GetCommandInvocation" => {
            let request = asked.json();
            let key = (request["CommandId"].as_str()?.to_owned(), request["InstanceId"].as_str()?.to_owned());
            match state.printed.get(&key) {
                Some(output) => Reply::json(200, &json!({"Status": "Success", "StandardOutputContent": output})),
                None => refusal(asked, 400, "InvocationDoesNotExist"),
            }
        }
        "DescribeInstanceInformation" => {
            let all: Vec<&Value> = state.managed.values().map(|(information, _)| information).collect();
            Reply::json(200, &json!({ "InstanceInformationList": all }))
        }
        "ListInventoryEntries" => {
            let request = asked.json();
            let entries = state.managed.get(request["InstanceId"].as_str()?).map(|(_, entries)| entries.clone()).unwrap_or_default();
            let from: usize = request["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
            let page: Vec<Value> = entries.iter().skip(from).take(50).cloned().collect();
            let mut body = json!({"TypeName": "AWS:Application", "InstanceId": request["InstanceId"], "Entries": page});
            if from + 50 < entries.len() {
                body["NextToken"] = (from + 50).to_string().into();
            }
            Reply::json(200, &body)
        }
        "GetAuthorizationToken" => {
            let data = json!({"authorizationToken": "QVdTOnBhc3N3b3Jk", "proxyEndpoint": format!("http://{}", state.registry)});
            Reply::json(200, &json!({ "authorizationData": [data] }))
        }
        "GetLayerVersionByArn" => {
            let (_, query) = asked.path.split_once('?')?;
            let arn = query.split('&').find_map(|pair| pair.strip_prefix("Arn="))?.replace("%3A", ":");
            let code = state.code.get(&arn)?;
            files.put("/layer.zip", &arn, code.clone());
            Reply::json(200, &json!({"LayerVersionArn": arn, "Content": {"Location": format!("{}/layer.zip", files.url())}}))
        }
        "DescribeVpcBlockPublicAccessOptions" | "DescribeVpcBlockPublicAccessExclusions" => {
            Reply::Answer(200, vec![], format!("<{operation}Response/>"))
        }
        _ => return None,
    })
}

/// Where the zip of the function that is asked for is.
fn function_code(operation: &str, asked: &Asked, state: &Filled, files: &FileServer) -> Option<String> {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let name = (operation == "GetFunction").then(|| path.rsplit('/').next())??;
    let version = query.split('&').find_map(|pair| pair.strip_prefix("Qualifier=")).map(|version| format!("{name}:{version}"));
    let (named, code) = version
        .and_then(|version| Some((version.clone(), state.code.get(&version)?)))
        .or_else(|| Some((name.to_owned(), state.code.get(name)?)))?;
    let place = named.replace(':', "-");
    files.put(&format!("/{place}.zip"), &named, code.clone());
    Some(format!("{}/{place}.zip", files.url()))
}

/// An answer about functions that changed last when it is said that they did.
fn changed(reply: Reply, modified: &BTreeMap<String, String>) -> Reply {
    let Reply::Answer(200, headers, body) = reply else { return reply };
    let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
    for list in ["Functions", "Versions"] {
        answer[list].as_array_mut().into_iter().flatten().for_each(|function| date(function, modified));
    }
    date(&mut answer["Configuration"], modified);
    Reply::Answer(200, headers, answer.to_string())
}

fn date(function: &mut Value, modified: &BTreeMap<String, String>) {
    if let Some(at) = function["FunctionName"].as_str().and_then(|name| modified.get(name)) {
        function["LastModified"] = at.as_str().into();
    }
}

/// An answer about machine images that were made then.
fn remade(reply: Reply, at: &str) -> Reply {
    let Reply::Answer(200, headers, body) = reply else { return reply };
    let mut parts = body.split("<creationDate>");
    let mut answer = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once("</creationDate>").map_or(part, |(_, rest)| rest);
        answer.push_str(&format!("<creationDate>{at}</creationDate>{rest}"));
    }
    Reply::Answer(200, headers, answer)
}

/// An answer about a cluster of EKS whose API server is there.
fn served(reply: Reply, endpoint: &str, authority: &str) -> Reply {
    let Reply::Answer(200, headers, body) = reply else { return reply };
    let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
    answer["cluster"]["endpoint"] = endpoint.into();
    answer["cluster"]["certificateAuthority"] = json!({ "data": authority });
    Reply::Answer(200, headers, answer.to_string())
}

/// An answer about images that were pushed and pulled then.
fn aged(reply: Reply, (pushed, pulled): (i64, Option<i64>)) -> Reply {
    let Reply::Answer(200, headers, body) = reply else { return reply };
    let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
    for image in answer["imageDetails"].as_array_mut().into_iter().flatten() {
        image["imagePushedAt"] = pushed.into();
        if let Some(pulled) = pulled {
            image["lastRecordedPullTime"] = pulled.into();
        }
    }
    Reply::Answer(200, headers, answer.to_string())
}

/// An answer about a function, with its code there.
fn located(reply: Reply, location: &str) -> Reply {
    match reply {
        Reply::Answer(200, headers, body) => {
            let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
            answer["Code"]["Location"] = location.into();
            Reply::Answer(200, headers, answer.to_string())
        }
        other => other,
    }
}

/// An answer about tasks whose containers run.
fn running(reply: Reply, digests: &BTreeMap<String, String>) -> Reply {
    let Reply::Answer(200, headers, body) = reply else { return reply };
    let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let tasks = answer["tasks"].as_array_mut().into_iter().flatten();
    for container in tasks.filter_map(|task| task["containers"].as_array_mut()).flatten() {
        if let Some(digest) = container["image"].as_str().and_then(|name| digests.get(name)) {
            container["imageDigest"] = digest.as_str().into();
            container["lastStatus"] = "RUNNING".into();
        }
    }
    Reply::Answer(200, headers, answer.to_string())
}

fn forward(client: &Client, moto: &str, asked: &Asked) -> Option<Reply> {
    let mut body = asked.body.clone();
    // One call is answered at a time: who waits long for messages holds up all others.
    if operation(asked) == "ReceiveMessage"
        && let Ok(mut patient) = serde_json::from_str::<Value>(&body)
    {
        patient["WaitTimeSeconds"] = json!(1);
        body = patient.to_string();
    }
    let mut request = client.request(asked.method.parse().ok()?, format!("{moto}{}", asked.path)).body(body);
    for (name, value) in asked.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection")) {
        request = request.header(name, value);
    }
    let answer = request.send().ok()?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().filter(|(name, _)| name.as_str() == "content-type" || name.as_str().starts_with("x-amz"));
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    Some(Reply::Answer(status, headers, answer.text().ok()?))
}
