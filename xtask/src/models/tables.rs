//! The tables of a model: every shape as data, the operations with their bindings, the errors.

use super::model::{Member, Model, Protocol, Shape};
use super::{names, types};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Emits the tables.
pub fn emit(model: &Model, out: &mut String) -> Result<()> {
    operations(model, out)?;
    errors(model, out)?;
    shapes(model, out)
}

fn operations(model: &Model, out: &mut String) -> Result<()> {
    let mut inputs = BTreeSet::new();
    let protocol = match &model.protocol {
        Protocol::RestJson => "RestJson".to_owned(),
        Protocol::Query => "Query".to_owned(),
        Protocol::Ec2 => "Ec2".to_owned(),
        Protocol::Json { version, target } => format!("Json {{ version: {version:?}, target: {target:?} }}"),
    };
    writeln!(out, "service! {{\nsigning_name: {:?}, endpoint: {:?},", model.signing_name, model.endpoint)?;
    writeln!(out, "version: {:?}, protocol: crate::Protocol::{protocol},", model.api_version)?;
    for (list, typed) in [("operations", true), ("data", false)] {
        writeln!(out, "{list}: {{")?;
        for (name, operation) in model.operations.iter().filter(|(_, operation)| operation.typed == typed) {
            if typed && !inputs.insert(&operation.input) {
                bail!("{} is the input of two operations", operation.input);
            }
            let spell = |shape: &str| if typed { shape.to_owned() } else { names::constant(shape) };
            let (input, output) = (spell(&operation.input), spell(&operation.output));
            writeln!(out, "{name}({input} => {output}) = {:?} {:?} {},", operation.method, operation.uri, operation.status)?;
        }
        writeln!(out, "}}")?;
    }
    writeln!(out, "}}\n")?;
    Ok(())
}

fn errors(model: &Model, out: &mut String) -> Result<()> {
    let errors = model.errors();
    if errors.is_empty() {
        return Ok(());
    }
    writeln!(out, "service_errors! {{")?;
    for error in errors {
        let status = model.shape(error)?.status().with_context(|| format!("{error} has no status"))?;
        let variant = error.strip_suffix("Exception").unwrap_or(error);
        writeln!(out, "{variant}({error}) = {status},")?;
    }
    writeln!(out, "}}\n")?;
    Ok(())
}

fn shapes(model: &Model, out: &mut String) -> Result<()> {
    for (name, shape) in &model.shapes {
        if shape.kind() == "structure" && !shape.is_document() && model.typed.contains(name) {
            writeln!(out, "impl crate::Shaped for {name} {{ const SHAPE: &'static crate::Shape = &shapes::{}; }}", names::constant(name))?;
        }
    }
    writeln!(out, "\nmod shapes {{\nuse crate::{{Member, Shape}};\n")?;
    let mut seen = BTreeSet::new();
    for (name, shape) in &model.shapes {
        let constant = names::constant(name);
        writeln!(out, "pub(super) static {constant}: Shape = {};", expression(model, name, shape)?)?;
        if !seen.insert(constant.clone()) {
            bail!("two shapes share the name {constant}");
        }
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn expression(model: &Model, name: &str, shape: &Shape) -> Result<String> {
    let reference = |name: &str| format!("&{}", names::constant(name));
    let head = match shape.kind() {
        "structure" => {
            let members: Vec<String> = shape.members().iter().map(|member| member_expression(model, member)).collect();
            let kind = if shape.is_union() { "union" } else { "structure" };
            format!("Shape::{kind}({name:?}, &[{}])", members.join(", "))
        }
        "list" => format!("Shape::list({name:?}, {}, {:?})", reference(shape.part("member")?), shape.item_name().unwrap_or("member")),
        "map" => format!("Shape::map({name:?}, {}, {})", reference(shape.part("key")?), reference(shape.part("value")?)),
        "string" if types::is_enum(shape) => format!("Shape::enumeration({name:?}, &{:?})", shape.values()),
        "string" => format!("Shape::string({name:?})"),
        "integer" | "long" => format!("Shape::integer({name:?})"),
        "float" | "double" => format!("Shape::double({name:?})"),
        "boolean" => format!("Shape::boolean({name:?})"),
        "timestamp" => format!("Shape::timestamp({name:?})"),
        "blob" => format!("Shape::blob({name:?})"),
        other => bail!("{name} is a {other}, which we do not generate"),
    };
    let bounds = [("min", shape.bound("min")), ("max", shape.bound("max"))];
    let bounds: String = bounds.iter().filter_map(|(key, bound)| bound.map(|b| format!(".{key}({b:?})"))).collect();
    let pattern = shape.pattern().map(|pattern| format!(".pattern({pattern:?})")).unwrap_or_default();
    Ok(head + &bounds + &pattern)
}

fn member_expression(model: &Model, member: &Member<'_>) -> String {
    let kind = if member.required { "required" } else { "optional" };
    let mut text = format!("Member::{kind}({:?}, &{})", types::key(model, member), names::constant(member.shape));
    let wire = member.location_name.unwrap_or(member.name);
    match (&model.protocol, member.location) {
        (_, Some("uri")) => text += &format!(".label({wire:?})"),
        (_, Some("querystring")) => text += &format!(".query({wire:?})"),
        (_, Some("header")) => text += &format!(".header({wire:?})"),
        (Protocol::RestJson | Protocol::Json { .. }, _) => {}
        (Protocol::Query, _) if wire != member.name => text += &format!(".named({wire:?}, {wire:?})"),
        (Protocol::Query, _) => {}
        // The `ec2` protocol: a request's parameter is the query name, or else the XML name with a capital.
        (Protocol::Ec2, _) => {
            let parameter = member.query_name.map_or_else(|| names::capital(wire), str::to_owned);
            if wire != member.name || parameter != member.name {
                text += &format!(".named({wire:?}, {parameter:?})");
            }
        }
    }
    text
}
