//! The reference of the native API is made from its OpenAPI document.

use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// What stands above is written by hand.
const MADE: &str = "\n## Requests\n";

/// A schema in a line.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(value) = schema["const"].as_str() {
        return format!("\"{value}\"");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ");
    }
    if let Some(all) = schema["anyOf"].as_array() {
        return all.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("[{}]", shape(&schema["items"])),
        Some("object") => match (schema["properties"].as_object(), schema.get("additionalProperties")) {
            (Some(members), _) => {
                let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let member = |(name, schema): (&String, &Value)| {
                    let mark = if required.contains(&name.as_str()) { "" } else { "?" };
                    match shape(schema) {
                        plain if plain == "text" => format!("{name}{mark}"),
                        other => format!("{name}{mark}: {other}"),
                    }
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
            }
            (None, Some(of)) => format!("{{NAME: {}}}", shape(of)),
            _ => "an object".to_owned(),
        },
        Some("string") if schema["format"] == "date-time" => "an instant".to_owned(),
        Some("string") => match schema["maxLength"].as_u64() {
            Some(most) => format!("at most {most} characters"),
            None => "text".to_owned(),
        },
        Some("integer" | "number") => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) if most < 1e15 => format!("{least} to {most}"),
            _ => "a number".to_owned(),
        },
        Some("boolean") => "true or false".to_owned(),
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}

/// What the document says of requests, errors and shapes.
fn made() -> String {
    let document = lestrade_server::openapi();
    let mut out = MADE.to_owned();
    let everywhere = |status: &str| {
        let mut all = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        all.all(|operation| operation["responses"][status].is_object())
    };
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (role, summary) = (operation["x-role"].as_str().unwrap(), operation["summary"].as_str().unwrap());
            let whole = if operation["x-whole-server"] == true { ", of the server's own account" } else { "" };
            let _ = write!(out, "\n### `{} {path}`\n\n{summary} For: {role}{whole}.\n\n", method.to_uppercase());
            for parameter in operation["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                let place = match parameter["in"].as_str().unwrap() {
                    "query" if parameter["required"] == true => ", needed",
                    "header" => ", a header",
                    _ => "",
                };
                let kind = match &parameter["schema"] {
                    list if list["type"] == "array" => format!("some of {}", shape(&list["items"]).replace(" or ", ", ")),
                    plain => shape(plain),
                };
                let _ = writeln!(out, "* `{name}`{place}: {} ({kind})", parameter["description"].as_str().unwrap().trim_end_matches('.'));
            }
            for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                let most = operation["requestBody"]["x-max-bytes"].as_u64().unwrap() >> 20;
                let _ = writeln!(out, "* body, {media}, at most {most} MiB: `{}`", shape(&content["schema"]));
            }
            for (media, content) in operation["responses"]["200"]["content"].as_object().unwrap() {
                let of = if media == "application/json" { String::new() } else { format!(", {media}") };
                let _ = writeln!(out, "* answer{of}: `{}`", shape(&content["schema"]));
            }
            let own = operation["responses"].as_object().unwrap().keys().filter(|status| !everywhere(status)).cloned().collect::<Vec<_>>();
            if !own.is_empty() {
                let _ = writeln!(out, "* may fail with {} too", own.join(", "));
            }
        }
    }
    out.push_str("\n## Errors\n\nThe body of each is an `Error`.\n\n| status | means | everywhere |\n|---|---|---|\n");
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        let status = name.trim_start_matches("Error");
        let always = if everywhere(status) { "yes" } else { "" };
        let _ = writeln!(out, "| {status} | {} | {always} |", response["description"].as_str().unwrap());
    }
    out.push_str("\n## Shapes\n\nA member with `?` may be missing; one without a word after it is text.\n");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let _ = write!(out, "\n* **{name}** `{}`\n", shape(schema));
    }
    out
}

/// `LESTRADE_BLESS=1` writes it anew.
#[test]
fn the_docs_of_the_native_api_are_its_document() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api.md");
    let written = std::fs::read_to_string(&page).unwrap();
    let by_hand = written.split(MADE).next().unwrap();
    let text = format!("{by_hand}{}", made());
    if std::env::var_os("LESTRADE_BLESS").is_some() {
        std::fs::write(&page, text).unwrap();
    } else {
        assert!(text == written, "docs/reference/api.md tells of another API; LESTRADE_BLESS=1 writes it anew");
    }
}
