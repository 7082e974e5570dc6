//! Credentials that `docker login` left: the `auths` of its `config.json`. Helper programs are not started.

use base64::Engine;
use lestrade_artifact::Credentials;
use serde_json::Value;
use std::path::PathBuf;

/// The credentials for a registry, if docker has some.
pub(crate) fn credentials(registry: &str) -> Option<Credentials> {
    let folder =
        std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    let text = std::fs::read(folder.join("config.json")).ok().filter(|text| text.len() < 1 << 20)?;
    find(&serde_json::from_slice(&text).ok()?, registry)
}

fn find(config: &Value, registry: &str) -> Option<Credentials> {
    // Docker's own registry goes by an older name there.
    let names: &[&str] = if registry == "registry-1.docker.io" { &["https://index.docker.io/v1/"] } else { &[] };
    let auths = config.get("auths")?.as_object()?;
    let https = format!("https://{registry}");
    let entry = names.iter().copied().chain([registry, https.as_str()]).find_map(|name| auths.get(name))?;
    let pair = base64::engine::general_purpose::STANDARD.decode(entry.get("auth")?.as_str()?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_belong_to_their_registry() {
        let config = json!({"auths": {"r.example:5000": {"auth": "bWU6cGE6c3M="}, "broken.example": {"auth": "%%%"}}});
        let found = find(&config, "r.example:5000").unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("me", "pa:ss"));
        assert!(find(&config, "other.example").is_none() && find(&config, "broken.example").is_none());
    }
}
