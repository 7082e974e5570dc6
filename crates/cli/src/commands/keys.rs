//! `lestrade keys`: who may ask the server, in AWS's words or the native API's.

use super::serve::scope;
use crate::args::KeysWhat;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::state::StateFolder;
use lestrade_model::{Clock, Scope};
use lestrade_report::printable;
use lestrade_server::inspector2::{KeyFileError, Principal, Role};
use std::fmt::Write;

pub(crate) fn run(settings: &Settings, what: &KeysWhat) -> Result<Exit, Failure> {
    let unusable = |error: KeyFileError| Failure::new("E0325", Exit::Input, "the keys cannot be read or kept").cause(error);
    let state = StateFolder::open(settings)?;
    let keys = state.key_file().map_err(|error| state.failure(&error))?;
    let mut out = String::new();
    match what {
        KeysWhat::Create { name, role, account, members } => {
            let home = scope(settings)?;
            let account = account.as_deref().unwrap_or(&home.account);
            let of = |account: &str| {
                let scope = Scope::new(&home.partition, account, &home.region);
                scope.map_err(|error| Failure::new("E0213", Exit::Usage, error.to_string()))
            };
            let scope = of(account)?;
            let members = members.iter().map(|account| of(account)).collect::<Result<_, _>>()?;
            let role = Role::named(role).ok_or_else(|| {
                Failure::new("E0216", Exit::Usage, format!("'{}' is no role", printable(role))).try_("--role viewer|triager|operator|admin")
            })?;
            let (id, secret) = keys.create(&Principal { name: name.clone(), scope, members, role }, SystemClock.now()).map_err(unusable)?;
            // Writing to a string does not fail.
            let _ = write!(out, "export AWS_ACCESS_KEY_ID={id}\nexport AWS_SECRET_ACCESS_KEY={secret}\n");
            // The same key as a bearer token of the native API.
            let _ = writeln!(out, "export LESTRADE_API_TOKEN={id}.{secret}");
        }
        KeysWhat::List => {
            for key in keys.list().map_err(unusable)? {
                let (name, created) = (printable(&key.name), key.created);
                let accounts: Vec<&str> = std::iter::once(&key.scope.account).chain(&key.members).map(String::as_str).collect();
                let accounts = accounts.join(",");
                let _ = writeln!(out, "{}  {:8}  {accounts}  {}  {created}  {name}", key.id, key.role, key.scope.region);
            }
        }
        KeysWhat::Revoke { id } => {
            if !keys.revoke(id).map_err(unusable)? {
                return Err(
                    Failure::new("E0326", Exit::Input, format!("no key {} was given out", printable(id))).try_("lestrade keys list")
                );
            }
            let _ = writeln!(out, "{} is revoked", printable(id));
        }
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
