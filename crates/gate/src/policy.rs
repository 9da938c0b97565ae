//! What the gate reads: compiled by `policy` from what the owner said.

use raincoat_types::{Actions, Actor, GrantId, Modes, RunId, Timestamp};

/// The owner's will, compiled. The default allows nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Folders handed out, sorted by id (see [`Policy::new`]).
    grants: Vec<Grant>,
    /// When a change asks a person.
    pub confirm: Confirm,
    /// Providers of models that may be asked, by name.
    pub providers: Vec<String>,
    /// Modes in force.
    pub modes: Modes,
    /// What leads the run is a model that is not on this machine: what the run reads leaves it.
    pub model_elsewhere: bool,
    /// The run that commits a draft, if this is its policy.
    pub commit: Option<RunId>,
}

/// A folder handed out.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// To whom.
    pub who: Who,
    /// What may be done in it.
    pub actions: Actions,
    /// It ends then.
    pub until: Option<Timestamp>,
}

/// To whom a grant speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// Any actor.
    Anyone,
    /// The actor of this name (`agent:default`, `recipe:tidy`), or whose kind (`agent`, `recipe`) this is.
    Named(String),
}

/// When a change within a grant asks a person first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Confirm {
    /// Each plan, unless the person said otherwise for the run.
    #[default]
    Plans,
    /// Never within a grant (`--yes`): everything is reversible.
    Never,
}

impl Policy {
    /// A policy with these grants.
    pub fn new(mut grants: Vec<Grant>, confirm: Confirm) -> Policy {
        grants.sort_by_key(|grant| grant.id);
        Policy { grants, confirm, ..Policy::default() }
    }

    /// The grants, sorted by id.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Every grant with this id (there is one, or two where the same folder was handed out to two actors).
    pub(crate) fn grants_of(&self, id: GrantId) -> impl Iterator<Item = &Grant> {
        let start = self.grants.partition_point(|grant| grant.id < id);
        self.grants.iter().skip(start).take_while(move |grant| grant.id == id)
    }
}

impl Who {
    /// Whether the grant speaks to this actor. The person owns everything that was granted.
    pub fn includes(&self, actor: &Actor) -> bool {
        match (self, actor) {
            (Who::Anyone, _) | (_, Actor::Person) => true,
            (Who::Named(name), Actor::Recipe(recipe)) => {
                name == "recipe" || name.strip_prefix("recipe:") == Some(recipe)
            }
            (Who::Named(name), Actor::Agent(agent)) => name == "agent" || name.strip_prefix("agent:") == Some(agent),
            (Who::Named(name), Actor::Program(program)) => {
                name == "program" || name.strip_prefix("program:") == Some(program)
            }
        }
    }
}
