//! A request in Cedar's terms: the request itself and the three entities that it is about. Made for one decision and
//! thrown away, with only those facts that a policy of the slice looks at: making facts costs more than most policies. A
//! thing names all folders it lies in as its parents, so that no folder needs an entity of its own.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{
    Context as CedarContext, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, Request as CedarRequest,
    RestrictedExpression as Value,
};
use raincoat_types::Actor;

use super::facts::Facts;
use super::needs::Needs;
use super::request::{Context, Protection, Request, Resource, folded, folders_of};

/// Which entities a request is about, and what they lie in: what the heads of policies look at.
pub(super) struct Asked {
    pub(super) principal: EntityUid,
    pub(super) principal_in: Vec<EntityUid>,
    pub(super) action: EntityUid,
    pub(super) action_in: Vec<EntityUid>,
    pub(super) resource: EntityUid,
    pub(super) resource_in: Vec<EntityUid>,
}

/// A request in Cedar's terms, with only those facts that somebody looks at.
pub(super) trait Put {
    /// Facts that need no evaluation, as if it had been approved or not.
    fn facts(&self, approved: bool) -> Facts;
    /// Whether it has been approved, or an approval has no meaning.
    fn is_approved(&self) -> bool;
    /// The entities.
    fn entities(&self, asked: &Asked, needs: Needs) -> Result<Entities, Unusable>;
    /// The request, as if it had been approved or not.
    fn request(&self, asked: &Asked, needs: Needs, approved: bool) -> Result<CedarRequest, Unusable>;
}

/// Why a request cannot be put to policies. Such a request is denied.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The action is not one that such a thing has.
    #[error("`{0}` is not something that can be done to this kind of thing; see `raincoat policy show --schema`")]
    Action(&'static str),
    /// The server's name would make the tool's ambiguous.
    #[error("`{0}` has a `/` in it, which the name of a tool's server must not have; give the server another name")]
    Server(String),
    /// Cedar does not take it.
    #[error("the request does not fit the policy language ({0}); please report this")]
    Cedar(String),
}

impl Asked {
    /// What a request is about. What it lies in, and no rule names, is left out: nothing can ask for it.
    pub(super) fn new(request: &Request, named: &Named) -> Result<Asked, Unusable> {
        if !request.action.applies_to(&request.resource) {
            return Err(Unusable::Action(request.action.name()));
        }
        let (kind, id) = actor_id(&request.actor);
        let kind_of_actor = named.get("Kind", actor_kind(&request.actor));
        Ok(Asked {
            principal: known(kind, id)?,
            principal_in: kind_of_actor.into_iter().collect(),
            action: known("Action", request.action.name())?,
            action_in: request.action.groups().iter().filter_map(|group| named.get("Action", group)).collect(),
            resource: resource(&request.resource)?,
            resource_in: match &request.resource {
                Resource::File(place) | Resource::Folder(place) => {
                    let id = place.id();
                    let folders = folders_of(&id).filter_map(|folder| named.get("Folder", folder));
                    let grant = place.grant.and_then(|grant| named.get("Grant", &grant.0.to_string()));
                    folders.chain(grant).collect()
                }
                _ => Vec::new(),
            },
        })
    }

    fn put(&self, context: CedarContext) -> Result<CedarRequest, Unusable> {
        CedarRequest::new(self.principal.clone(), self.action.clone(), self.resource.clone(), context, None)
            .map_err(cedar)
    }
}

impl Put for Request {
    fn entities(&self, asked: &Asked, needs: Needs) -> Result<Entities, Unusable> {
        let within = |uids: &[EntityUid]| uids.iter().cloned().collect::<HashSet<_>>();
        let attributes = attributes(&self.resource, needs);
        let resource = Entity::new(asked.resource.clone(), attributes, within(&asked.resource_in)).map_err(cedar)?;
        let principal = Entity::new_no_attrs(asked.principal.clone(), within(&asked.principal_in));
        let action = Entity::new_no_attrs(asked.action.clone(), within(&asked.action_in));
        Entities::from_entities([principal, action, resource], None).map_err(cedar)
    }

    fn facts(&self, approved: bool) -> Facts {
        Facts::of(self, approved)
    }

    fn is_approved(&self) -> bool {
        self.context.approved
    }

    fn request(&self, asked: &Asked, needs: Needs, approved: bool) -> Result<CedarRequest, Unusable> {
        asked.put(context(&Context { approved, ..self.context }, needs)?)
    }
}

/// A request that somebody made otherwise, with nothing in it that an approval would change.
#[cfg(test)]
pub(super) struct Theirs<'a>(pub(super) &'a CedarRequest, pub(super) &'a Entities);

#[cfg(test)]
impl Theirs<'_> {
    pub(super) fn asked(&self) -> Option<Asked> {
        let within = |uid: &EntityUid| self.1.ancestors(uid).into_iter().flatten().cloned().collect();
        let (principal, action, resource) = (self.0.principal()?, self.0.action()?, self.0.resource()?);
        Some(Asked {
            principal_in: within(principal),
            action_in: within(action),
            resource_in: within(resource),
            principal: principal.clone(),
            action: action.clone(),
            resource: resource.clone(),
        })
    }
}

#[cfg(test)]
impl Put for Theirs<'_> {
    fn entities(&self, _: &Asked, _: Needs) -> Result<Entities, Unusable> {
        Ok(self.1.clone())
    }
    fn facts(&self, _: bool) -> Facts {
        Facts::default()
    }
    fn is_approved(&self) -> bool {
        true
    }
    fn request(&self, _: &Asked, _: Needs, _: bool) -> Result<CedarRequest, Unusable> {
        Ok(self.0.clone())
    }
}

fn cedar(error: impl std::fmt::Display) -> Unusable {
    Unusable::Cedar(error.to_string())
}

/// The entities that rules name, by type and id. What a thing lies in and is not among them need not be said.
#[derive(Default)]
pub(super) struct Named(HashMap<String, HashMap<String, EntityUid>>);

impl Named {
    /// Notes what a policy names.
    pub(super) fn add(&mut self, policy: &Policy) {
        for uid in policy.entity_literals() {
            let ids = self.0.entry(uid.type_name().to_string()).or_default();
            ids.insert(uid.id().unescaped().to_owned(), uid);
        }
    }

    fn get(&self, kind: &str, id: &str) -> Option<EntityUid> {
        self.0.get(kind)?.get(id).cloned()
    }
}

/// The names of entity types, parsed once.
struct Types(HashMap<&'static str, EntityTypeName>);

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let names = [
        "Kind", "User", "Agent", "Recipe", "Program", "Run", "Grant", "Folder", "File", "Host", "Provider", "Tool",
        "Secret", "Action",
    ];
    Types(names.into_iter().filter_map(|name| Some((name, name.parse().ok()?))).collect())
});

/// The uid of an entity.
pub(super) fn uid(kind: &'static str, id: &str) -> Option<EntityUid> {
    TYPES.0.get(kind).map(|kind| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id)))
}

fn known(kind: &'static str, id: &str) -> Result<EntityUid, Unusable> {
    uid(kind, id).ok_or_else(|| Unusable::Cedar(format!("no entity type `{kind}`")))
}

/// The entity type and id of an actor: `Agent`, `default`.
pub(super) fn actor_id(actor: &Actor) -> (&'static str, &str) {
    match actor {
        Actor::Person => ("User", "person"),
        Actor::Agent(name) => ("Agent", name),
        Actor::Recipe(name) => ("Recipe", name),
        Actor::Program(name) => ("Program", name),
    }
}

fn actor_kind(actor: &Actor) -> &'static str {
    match actor {
        Actor::Person => "person",
        Actor::Agent(_) => "agent",
        Actor::Recipe(_) => "recipe",
        Actor::Program(_) => "program",
    }
}

fn resource(resource: &Resource) -> Result<EntityUid, Unusable> {
    match resource {
        Resource::File(place) => known("File", &place.id()),
        Resource::Folder(place) => known("Folder", &place.id()),
        Resource::Host { name, .. } => known("Host", name),
        Resource::Provider { name, .. } => known("Provider", name),
        // A `/` in a server's name would let two tools share an id.
        Resource::Tool { server, .. } if server.contains('/') => Err(Unusable::Server(server.clone())),
        Resource::Tool { server, name, .. } => known("Tool", &format!("{server}/{name}")),
        Resource::Secret { name, .. } => known("Secret", name),
    }
}

/// Facts about a thing, those that are needed.
fn attributes(resource: &Resource, needs: Needs) -> HashMap<String, Value> {
    let mut facts = HashMap::new();
    let mut fact = |name: &str, value: &dyn Fn() -> Value| {
        if needs.includes(name) {
            facts.insert(name.to_owned(), value());
        }
    };
    match resource {
        Resource::File(place) | Resource::Folder(place) => {
            let path = folded(&place.id());
            let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            fact("name", &|| Value::new_string(name.to_owned()));
            fact("extension", &|| Value::new_string(extension.to_owned()));
            fact("path", &|| Value::new_string(path.clone()));
            fact("size", &|| Value::new_long(long(place.size)));
            fact("private", &|| Value::new_bool(place.private));
            fact("protected", &|| Value::new_bool(place.protection != Protection::None));
            fact("secret", &|| Value::new_bool(place.protection == Protection::Secret));
            fact("root", &|| Value::new_bool(place.path.is_root()));
        }
        Resource::Host { local, .. } | Resource::Provider { local, .. } => {
            fact("local", &|| Value::new_bool(*local));
        }
        Resource::Tool { server, local, .. } => {
            fact("local", &|| Value::new_bool(*local));
            fact("server", &|| Value::new_string(server.clone()));
        }
        Resource::Secret { environment, .. } => fact("environment", &|| Value::new_string(environment.clone())),
    }
    facts
}

/// How things stand, as far as it is needed.
fn context(context: &Context, needs: Needs) -> Result<CedarContext, Unusable> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: &dyn Fn() -> Result<Value, Unusable>| {
        if needs.includes(name) {
            facts.push((name.to_owned(), value()?));
        }
        Ok(())
    };
    let mode = context.mode;
    let flag = |name: &str, value: bool| (name.to_owned(), Value::new_bool(value));
    fact("mode", &|| {
        let modes = [("strict", mode.strict), ("audit", mode.audit), ("offline", mode.offline)];
        let modes = modes.into_iter().chain([("restricted", mode.restricted)]);
        Value::new_record(modes.map(|(name, on)| flag(name, on))).map_err(cedar)
    })?;
    for (name, value) in [
        ("approved", context.approved),
        ("private", context.private),
        ("tainted", context.tainted),
        ("steered", context.steered),
        ("reversible", context.reversible),
        ("local", context.local),
        ("draft", context.draft),
    ] {
        fact(name, &|| Ok(Value::new_bool(value)))?;
    }
    for (name, value) in [
        ("bytes", long(context.bytes)),
        ("files", long(context.files)),
        ("now", context.now),
        ("hour", context.hour.into()),
        ("weekday", context.weekday.into()),
    ] {
        fact(name, &|| Ok(Value::new_long(value)))?;
    }
    fact("run", &|| Ok(Value::new_entity_uid(known("Run", &context.run.0.to_string())?)))?;
    CedarContext::from_pairs(facts).map_err(cedar)
}

fn long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
