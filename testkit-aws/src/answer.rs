//! What moto lacks: SSM's inventory and commands, blocks of snapshots, layers, and what images and functions are made of.

use crate::{Call, Filled};
use lestrade_testkit::{FileServer, Reply};
use serde_json::{Value, json};
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;

/// Bytes of a block, as AWS has them.
const BLOCK: u64 = 512 << 10;

/// The answer to a call that is not forwarded to moto; none where it is.
pub(crate) fn of(call: &Call, state: &mut Filled, files: &FileServer) -> Option<Reply> {
    Some(match call.operation.as_str() {
        "ListSnapshotBlocks" => {
            let (disk, size) = state.disk.as_ref()?;
            let length = std::fs::metadata(disk).ok()?.len();
            let all = length.div_ceil(BLOCK);
            let from: u64 = call.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
            let until = all.min(from + 100);
            let blocks: Vec<Value> = (from..until).map(|index| json!({"BlockIndex": index, "BlockToken": format!("t{index}")})).collect();
            let mut body = json!({"Blocks": blocks, "BlockSize": BLOCK, "VolumeSize": size});
            if until < all {
                body["NextToken"] = until.to_string().into();
            }
            call.answer(&body)
        }
        "GetSnapshotBlock" => {
            let (disk, _) = state.disk.as_ref()?;
            let index = call.input["BlockIndex"].as_u64()?;
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
            let command = format!("00000000-0000-0000-0000-{:012}", state.printed.len());
            for id in call.input["InstanceIds"].as_array()?.iter().filter_map(Value::as_str) {
                let script = call.input["Parameters"]["commands"][0].as_str()?;
                // No package manager is run here: what it would have done is what is found from then on.
                if script.contains("dnf upgrade") {
                    state.upgrades.push(script.to_owned());
                    if let (Some(packages), Some((_, entries))) = (state.upgraded.get(id).cloned(), state.managed.get_mut(id)) {
                        *entries = packages;
                    }
                    state.printed.insert((command.clone(), id.to_owned()), String::new());
                    continue;
                }
                let Some(root) = state.roots.get(id) else { return Some(call.refusal(400, "InvalidInstanceId")) };
                // The script as it is, but for where the file system begins.
                let script = script.replacen("root=''", &format!("root='{}'", root.display()), 1);
                let output = Command::new("sh").args(["-c", &script]).output().ok()?;
                state.printed.insert((command.clone(), id.to_owned()), String::from_utf8_lossy(&output.stdout).into_owned());
            }
            call.answer(&json!({"Command": {"CommandId": command}}))
        }
        "GetCommandInvocation" => {
            let key = (call.text("CommandId")?.to_owned(), call.text("InstanceId")?.to_owned());
            match state.printed.get(&key) {
                Some(output) => call.answer(&json!({"Status": "Success", "StandardOutputContent": output})),
                None => call.refusal(400, "InvocationDoesNotExist"),
            }
        }
        "DescribeInstanceInformation" => {
            let all: Vec<&Value> = state.managed.values().map(|(information, _)| information).collect();
            call.answer(&json!({ "InstanceInformationList": all }))
        }
        "ListInventoryEntries" => {
            let entries = state.managed.get(call.text("InstanceId")?).map(|(_, entries)| entries.clone()).unwrap_or_default();
            let from: usize = call.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
            let page: Vec<Value> = entries.iter().skip(from).take(50).cloned().collect();
            let mut body = json!({"TypeName": "AWS:Application", "InstanceId": call.input["InstanceId"], "Entries": page});
            if from + 50 < entries.len() {
                body["NextToken"] = (from + 50).to_string().into();
            }
            call.answer(&body)
        }
        "GetAuthorizationToken" => {
            let data = json!({"authorizationToken": "QVdTOnBhc3N3b3Jk", "proxyEndpoint": format!("http://{}", state.registry)});
            call.answer(&json!({ "authorizationData": [data] }))
        }
        "GetLayerVersionByArn" => {
            let arn = call.text("Arn")?;
            let code = state.code.get(arn)?;
            files.put("/layer.zip", arn, code.clone());
            call.answer(&json!({"LayerVersionArn": arn, "Content": {"Location": format!("{}/layer.zip", files.url())}}))
        }
        "DescribeVpcBlockPublicAccessOptions" | "DescribeVpcBlockPublicAccessExclusions" => {
            Reply::Answer(200, vec![], format!("<{}Response/>", call.operation))
        }
        _ => return None,
    })
}
