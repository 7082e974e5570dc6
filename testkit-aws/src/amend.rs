//! What moto answers otherwise than AWS would, put right before it is passed on; and what is hidden from its answers.

use crate::{Call, Filled};
use lestrade_testkit::{FileServer, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is done to moto's answer to a call.
pub(crate) fn of(call: &Call, state: &Filled, files: &FileServer) -> impl FnOnce(Reply) -> Reply + use<> {
    let operation = call.operation.clone();
    let is_of_images = operation == "DescribeImages" && !call.input.is_null();
    let code = function_code(call, state, files);
    let digests = (operation == "DescribeTasks").then(|| state.running.clone());
    let modified = operation.contains("Function").then(|| state.modified.clone());
    let made = state.machine_images_made.clone().filter(|_| operation == "DescribeImages" && call.input.is_null());
    let kubernetes = state.kubernetes.clone().filter(|_| operation == "DescribeCluster");
    let pushed = state.pushed.filter(|_| is_of_images);
    // Events of what is hidden are still told.
    let hidden = if operation == "ReceiveMessage" { Vec::new() } else { state.hidden.clone() };
    let missing = call
        .text("FunctionName")
        .is_some_and(|name| hidden.iter().any(|id| id == name))
        .then(|| call.refusal(404, "ResourceNotFoundException"));
    move |mut reply| {
        if let Some(missing) = missing {
            return missing;
        }
        reply = digests.map_or(reply.clone(), |digests| running(reply, &digests));
        reply = code.map_or(reply.clone(), |location| located(reply, &location));
        reply = made.map_or(reply.clone(), |at| remade(reply, &at));
        reply = kubernetes.map_or(reply.clone(), |(endpoint, authority)| served(reply, &endpoint, &authority));
        reply = pushed.map_or(reply.clone(), |times| aged(reply, times));
        reply = modified.map_or(reply.clone(), |modified| changed(reply, &modified));
        hidden.iter().fold(reply, |reply, id| without(reply, id))
    }
}

/// An answer without the items of its lists that name something.
fn without(reply: Reply, id: &str) -> Reply {
    let Reply::Answer(status, headers, body) = reply else { return reply };
    if !body.contains(id) {
        return Reply::Answer(status, headers, body);
    }
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(mut answer) => {
            for list in answer.as_object_mut().into_iter().flatten().filter_map(|(_, list)| list.as_array_mut()) {
                list.retain(|item| !item.to_string().contains(id));
            }
            answer.to_string()
        }
        Err(_) => without_items(&body, id),
    };
    Reply::Answer(status, headers, body)
}

/// XML without the outermost items that name something.
fn without_items(body: &str, id: &str) -> String {
    let (open, close) = ("<item>", "</item>");
    let (mut kept, mut rest) = (String::new(), body);
    while let Some(start) = rest.find(open) {
        kept.push_str(&rest[..start]);
        let (mut depth, mut end) = (0_usize, start);
        loop {
            let next = |tag: &str| rest[end..].find(tag).map_or(usize::MAX, |at| end + at);
            let (opens, closes) = (next(open), next(close));
            if closes == usize::MAX {
                return kept + &rest[start..];
            }
            if opens < closes {
                (depth, end) = (depth + 1, opens + open.len());
            } else {
                (depth, end) = (depth - 1, closes + close.len());
            }
            if depth == 0 {
                break;
            }
        }
        if !rest[start..end].contains(id) {
            kept.push_str(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the zip of the function that is asked for is.
fn function_code(call: &Call, state: &Filled, files: &FileServer) -> Option<String> {
    let name = call.text("FunctionName").filter(|_| call.operation == "GetFunction")?;
    let version = call.text("Qualifier").map(|version| format!("{name}:{version}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_in_no_list() {
        let xml = "<a><s><item><g><item>sg</item></g><id>i-1</id></item><item><g><item>sg</item></g><id>i-2</id></item></s></a>";
        assert_eq!(without_items(xml, "i-1"), "<a><s><item><g><item>sg</item></g><id>i-2</id></item></s></a>");
        let Reply::Answer(_, _, body) = without(Reply::json(200, &json!({"list": [{"id": "f"}, {"id": "g"}], "id": "f"})), "f") else {
            panic!("an answer stays one")
        };
        assert_eq!(body, json!({"list": [{"id": "g"}], "id": "f"}).to_string());
    }
}
