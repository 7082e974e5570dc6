//! Functions.

use super::sorted;
use crate::{Error, Listing, Session};
use lestrade_model::{FunctionDetails, Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope, Timestamp};
use lestrade_wire::Transport;
use lestrade_wire::lambda::{Api, FunctionConfiguration, GetFunctionRequest, GetFunctionResponse, PackageType};
use serde_json::json;

/// The most that Lambda puts on a page.
const PAGE: i32 = 50;
/// What Lambda says of a function that is not there.
const GONE: &str = "ResourceNotFoundException";
/// The version that runs when nobody names one.
pub const LATEST: &str = "$LATEST";

/// Which versions of functions are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionVersions {
    /// What runs when nobody names a version, as Inspector does.
    #[default]
    Latest,
    /// Those that were published too.
    All,
}

/// Where the code of a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionCode {
    /// An address that a zip can be fetched from for some minutes, by whoever has it: a secret.
    Zip(String),
    /// A reference of an image, `….dkr.ecr.….amazonaws.com/app@sha256:…`.
    Image(String),
}

/// The functions of a scope, each of their versions that is asked for. Their tags are not listed.
pub async fn discover_functions<T: Transport + Clone>(
    session: &Session<T>,
    scope: &Scope,
    versions: FunctionVersions,
) -> Listing<Resource> {
    let input = match versions {
        FunctionVersions::Latest => json!({ "MaxItems": PAGE }),
        FunctionVersions::All => json!({ "MaxItems": PAGE, "FunctionVersion": "ALL" }),
    };
    resources(session.list_typed(Api::ListFunctions, input, "Functions").await, scope)
}

/// Every version of a function, by its name; nothing where there is no such function. Their tags are not listed.
pub async fn discover_versions<T: Transport + Clone>(session: &Session<T>, scope: &Scope, name: &str) -> Listing<Resource> {
    let input = json!({ "FunctionName": name, "MaxItems": PAGE });
    let mut listing = session.list_typed(Api::ListVersionsByFunction, input, "Versions").await;
    if listing.missing.as_ref().is_some_and(|error| error.is_refusal(GONE)) {
        listing = Listing { items: Vec::new(), missing: None };
    }
    resources(listing, scope)
}

fn resources(mut listing: Listing<FunctionConfiguration>, scope: &Scope) -> Listing<Resource> {
    let mut foreign = None;
    listing.items.retain(|function| {
        let owner = function.function_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
        let ours = owner.is_none_or(|owner| owner == scope.account);
        if !ours {
            foreign = owner.map(str::to_owned);
        }
        ours
    });
    let mut functions = listing.map("functions", |function| resource(function, scope, Vec::new()));
    if let Some(found) = foreign {
        functions.missing.get_or_insert(Error::WrongAccount { found, expected: scope.account.clone() });
    }
    functions.items.sort_by(|a, b| a.key.cmp(&b.key));
    functions
}

/// A version of a function with its tags, and where its code is; none when there is no such.
///
/// # Errors
/// When it cannot be asked for.
pub async fn discover_function<T: Transport + Clone>(
    session: &Session<T>,
    scope: &Scope,
    name: &str,
    version: &str,
) -> Result<Option<(Resource, Option<FunctionCode>)>, Error> {
    let qualifier = Some(version.to_owned()).filter(|version| version != LATEST);
    let request = GetFunctionRequest { function_name: name.to_owned(), qualifier };
    let GetFunctionResponse { configuration, code, tags, .. } = match session.call(&request).await {
        Err(error) if error.is_refusal(GONE) => return Ok(None),
        answer => answer?,
    };
    let tags = sorted(tags.unwrap_or_default().into_iter().collect());
    let found = configuration.and_then(|function| resource(function, scope, tags));
    let found = found.ok_or(Error::Nameless { count: 1, what: "functions" })?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let code = code.and_then(|code| {
        let image = filled(code.resolved_image_uri).or_else(|| filled(code.image_uri));
        image.map(FunctionCode::Image).or_else(|| filled(code.location).map(FunctionCode::Zip))
    });
    Ok(Some((found, code)))
}

fn resource(function: FunctionConfiguration, scope: &Scope, tags: Vec<(String, String)>) -> Option<Resource> {
    let arn = function.function_arn.filter(|arn| !arn.is_empty())?;
    let name = function.function_name.unwrap_or_default();
    let version = function.version.filter(|version| !version.is_empty()).unwrap_or_else(|| LATEST.to_owned());
    // Findings name the version, lists and calls do not always.
    let id = if arn.split(':').count() > 7 { arn } else { format!("{arn}:{version}") };
    let vpc = function.vpc_config;
    let details = FunctionDetails {
        name,
        runtime: function.runtime.map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
        code: function.code_sha256.unwrap_or_default(),
        version,
        layers: function.layers.into_iter().flatten().filter_map(|layer| layer.arn).collect(),
        role: function.role.unwrap_or_default(),
        is_image: function.package_type == Some(PackageType::Image),
        architectures: function.architectures.into_iter().flatten().map(|a| a.as_str().to_owned()).collect(),
        modified_at: function.last_modified.as_deref().and_then(modified).unwrap_or_default(),
        vpc: vpc.as_ref().and_then(|vpc| vpc.vpc_id.clone()).unwrap_or_default(),
        subnets: vpc.as_ref().and_then(|vpc| vpc.subnet_ids.clone()).unwrap_or_default(),
        groups: vpc.and_then(|vpc| vpc.security_group_ids).unwrap_or_default(),
    };
    Some(Resource {
        key: ResourceKey { scope: scope.clone(), kind: ResourceKind::Function, id },
        details: ResourceDetails::Function(details),
        facts: ResourceFacts::default(),
        tags,
    })
}

/// `2024-09-04T16:59:44.356+0000`, as Lambda alone writes it.
fn modified(text: &str) -> Option<Timestamp> {
    let plain = text.strip_suffix("+0000").map(|time| format!("{time}Z"));
    Timestamp::parse(plain.as_deref().unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    const FUNCTION: &str = r#"{"FunctionName": "f", "FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f",
        "Runtime": "python9.99", "Version": "$LATEST", "CodeSha256": "abc=", "LastModified": "2024-09-04T16:59:44.356+0000",
        "Layers": [{"Arn": "arn:l:1"}], "Environment": {"Variables": {"TOKEN": "secret"}}, "Architectures": ["arm64"]}"#;

    fn scope() -> Scope {
        Scope::new("aws", "111122223333", "eu-west-1").unwrap()
    }

    #[tokio::test]
    async fn functions_are_listed_without_their_secrets() {
        let body = format!(r#"{{"Functions": [{FUNCTION}]}}"#);
        let listing = discover_functions(&script::session(&Script::of([script::ok(&body)])), &scope(), FunctionVersions::Latest).await;
        assert!(listing.missing.is_none());
        let found = &listing.items[0];
        assert_eq!(found.key.id, "arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST");
        let ResourceDetails::Function(details) = &found.details else { panic!("{found:?}") };
        assert_eq!((details.runtime.as_str(), details.modified_at.to_string().as_str()), ("python9.99", "2024-09-04T16:59:44.356Z"));
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_function_is_fetched_with_its_code_and_one_that_is_gone_is_none() {
        let body = format!(r#"{{"Configuration": {FUNCTION}, "Code": {{"Location": "https://x/y?sig"}}, "Tags": {{"b": "1", "a": "2"}}}}"#);
        let session = script::session(&Script::of([script::ok(&body)]));
        let (found, code) = discover_function(&session, &scope(), "f", LATEST).await.unwrap().unwrap();
        assert_eq!(code, Some(FunctionCode::Zip("https://x/y?sig".into())));
        assert_eq!(found.tags[0].0, "a");
        let gone = script::told(404, r#"{"__type": "ResourceNotFoundException", "Message": "Function not found"}"#);
        let session = script::session(&Script::of([gone]));
        assert!(discover_function(&session, &scope(), "f", LATEST).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn published_versions_are_functions_of_their_own() {
        let published = FUNCTION.replace("$LATEST", "7").replace(":function:f\"", ":function:f:7\"");
        let body = format!(r#"{{"Versions": [{FUNCTION}], "NextMarker": "more"}}"#);
        let rest = format!(r#"{{"Versions": [{published}]}}"#);
        let session = script::session(&Script::of([script::ok(&body), script::ok(&rest)]));
        let listing = discover_versions(&session, &scope(), "f").await;
        assert!(listing.missing.is_none());
        let ids: Vec<&str> = listing.items.iter().map(|found| found.key.id.rsplit_once(":function:").unwrap().1).collect();
        assert_eq!(ids, ["f:$LATEST", "f:7"]);

        let gone = || script::told(404, r#"{"__type": "ResourceNotFoundException", "Message": "Function not found"}"#);
        let listing = discover_versions(&script::session(&Script::of([gone()])), &scope(), "f").await;
        assert!(listing.items.is_empty() && listing.missing.is_none(), "a function that is gone has no versions");
        let refused = script::told(403, r#"{"__type": "AccessDeniedException", "Message": "no"}"#);
        let listing = discover_versions(&script::session(&Script::of([refused])), &scope(), "f").await;
        assert!(listing.missing.is_some_and(|error| error.is_denied()));
        assert!(discover_function(&script::session(&Script::of([gone()])), &scope(), "f", "7").await.unwrap().is_none());
    }
}
