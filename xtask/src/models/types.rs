//! The Rust types of a model's structures, unions and enumerations.

use super::model::{Member, Model, Protocol, Shape};
use super::names;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// An enumeration larger than this is an open string to us: nobody matches on nine hundred instance types.
const LARGEST_ENUM: usize = 100;

/// Whether a string shape becomes a Rust enum.
pub fn is_enum(shape: &Shape) -> bool {
    (1..=LARGEST_ENUM).contains(&shape.values().len())
}

/// Emits every type.
pub fn emit(model: &Model, out: &mut String) -> Result<()> {
    if !model.typed.is_empty() {
        writeln!(out, "use serde::{{Deserialize, Serialize}};\n")?;
    }
    for (name, shape) in model.shapes.iter().filter(|(name, _)| model.typed.contains(*name)) {
        match shape.kind() {
            "structure" if shape.is_document() => {}
            "structure" if shape.is_union() => union(model, name, shape, out)?,
            "structure" => structure(model, name, shape, out)?,
            "string" if is_enum(shape) => enumeration(name, shape, out)?,
            _ => {}
        }
    }
    Ok(())
}

fn structure(model: &Model, name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    let members = shape.members();
    let default = if members.iter().any(|m| m.required) { "" } else { "Default, " };
    let capital = members.first().is_none_or(|member| key(model, member).starts_with(char::is_uppercase));
    let (case, rename): (_, fn(&str) -> String) = if capital { ("PascalCase", names::pascal) } else { ("camelCase", names::camel) };
    writeln!(out, "#[derive(Clone, Debug, {default}PartialEq, Serialize, Deserialize)]")?;
    if members.is_empty() {
        writeln!(out, "pub struct {name} {{}}\n")?;
        return Ok(());
    }
    writeln!(out, "#[serde(rename_all = \"{case}\")]\npub struct {name} {{")?;
    for member in members {
        let plain = names::plain_field(member.name);
        let mut serde = Vec::new();
        if rename(&plain) != key(model, &member) {
            serde.push(format!("rename = \"{}\"", key(model, &member)));
        }
        let mut kind = rust_type(model, member.shape)?;
        if !member.required {
            serde.push("skip_serializing_if = \"Option::is_none\"".to_owned());
            kind = format!("Option<{kind}>");
        }
        if !serde.is_empty() {
            writeln!(out, "#[serde({})]", serde.join(", "))?;
        }
        writeln!(out, "pub {}: {kind},", names::field(member.name))?;
    }
    writeln!(out, "}}\n")?;
    Ok(())
}

/// A union is an enum: exactly one member, written as an object of one key.
fn union(model: &Model, name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    writeln!(out, "#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]\n#[serde(rename_all = \"camelCase\")]\npub enum {name} {{")?;
    for member in shape.members() {
        writeln!(out, "{}({}),", names::variant(member.name), rust_type(model, member.shape)?)?;
    }
    writeln!(out, "}}\n")?;
    Ok(())
}

fn enumeration(name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    let mut seen = BTreeSet::new();
    writeln!(out, "open_enum! {{ pub enum {name} {{")?;
    for value in shape.values() {
        let variant = names::variant(value);
        if !seen.insert(variant.clone()) {
            bail!("two values of {name} share the name {variant}");
        }
        writeln!(out, "{variant} = {value:?},")?;
    }
    writeln!(out, "}} }}\n")?;
    Ok(())
}

/// The key of a member in a JSON object: the wire's own name where the wire is JSON.
pub fn key<'a>(model: &Model, member: &Member<'a>) -> &'a str {
    match (&model.protocol, member.location) {
        (Protocol::RestJson | Protocol::Json { .. }, None) => member.location_name.unwrap_or(member.name),
        _ => member.name,
    }
}

fn rust_type(model: &Model, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    Ok(match shape.kind() {
        "structure" if shape.is_document() => "serde_json::Value".to_owned(),
        "structure" => name.to_owned(),
        "string" if is_enum(shape) => name.to_owned(),
        "string" => "String".to_owned(),
        "list" => format!("Vec<{}>", rust_type(model, shape.part("member")?)?),
        "map" => format!("std::collections::BTreeMap<String, {}>", rust_type(model, shape.part("value")?)?),
        "integer" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "float" | "double" => "f64".to_owned(),
        "boolean" => "bool".to_owned(),
        "timestamp" => "crate::EpochSeconds".to_owned(),
        "blob" => "crate::Blob".to_owned(),
        other => bail!("{name} is a {other}, which we do not generate"),
    })
}
