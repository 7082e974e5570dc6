//! The sockets that instances tell of when they are asked: which of them wait for others, and whose they are. They are kept, so that a
//! server that starts again knows them before it has asked anybody.

use crate::agents::clean;
use crate::{Core, ServerError};
use lestrade_model::{ListeningSocket, ResourceKey, ResourceKind, Scope};
use lestrade_store::Document;

/// The documents: one for each instance.
const KIND: &str = "sockets";
/// The longest protocol and the longest other text of a socket that is kept.
const PROTOCOL: usize = 8;
const TEXT: usize = 1024;

/// Sockets in order, their texts cut.
pub(crate) fn tidy(sockets: Vec<ListeningSocket>) -> Vec<ListeningSocket> {
    let cut = |text: Option<String>| text.map(|text| clean(&text, TEXT));
    let mut sockets: Vec<ListeningSocket> = sockets
        .into_iter()
        .map(|socket| ListeningSocket {
            protocol: clean(&socket.protocol, PROTOCOL),
            process: cut(socket.process),
            executable: cut(socket.executable),
            package: cut(socket.package),
            ..socket
        })
        .collect();
    sockets.sort();
    sockets.dedup();
    sockets
}

impl Core {
    /// Takes in the sockets that an instance told of; none where it could not tell. What is not known as a resource is passed over.
    ///
    /// # Errors
    /// When the store fails; then what was known stands.
    pub fn note_sockets(&self, key: &ResourceKey, sockets: Option<Vec<ListeningSocket>>) -> Result<(), ServerError> {
        let sockets = sockets.map(tidy);
        let id = {
            let world = self.world();
            let Some(id) = world.resource_id(key) else { return Ok(()) };
            if world.told_sockets(id) == sockets.as_deref() {
                return Ok(());
            }
            id
        };
        match &sockets {
            Some(sockets) => {
                let body = serde_json::to_string(sockets).map_err(|_| ServerError::Encoding)?;
                self.store().put_document(&key.scope, KIND, &Document { key: key.id.clone(), body })?;
            }
            None => drop(self.store().delete_document(&key.scope, KIND, &key.id)?),
        }
        self.world_mut().set_told_sockets(id, sockets);
        Ok(())
    }

    /// Takes in the sockets that were told of before this server was started.
    ///
    /// # Errors
    /// When the store fails. A document that is damaged is passed over: the next answer brings another.
    pub fn recall_sockets(&self) -> Result<(), ServerError> {
        let scopes: Vec<Scope> = self.world().scopes().cloned().collect();
        for scope in scopes {
            for Document { key, body } in self.store().documents(&scope, KIND)? {
                let Ok(sockets) = serde_json::from_str(&body) else { continue };
                let key = ResourceKey { scope: scope.clone(), kind: ResourceKind::Instance, id: key };
                let mut world = self.world_mut();
                if let Some(id) = world.resource_id(&key) {
                    world.set_told_sockets(id, Some(sockets));
                }
            }
        }
        Ok(())
    }
}
