//! Which policies a request can concern at all, by the head of each (principal, action, resource) and by the facts that
//! it asks for first. What a slice holds is evaluated by Cedar, head and all; what it leaves out, Cedar would have found
//! not to apply, and without an error, for these come first and cannot err.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};

use super::entities::{Asked, Named, Put, Unusable};
use super::facts::{Facts, Gates};
use super::limits;
use super::needs::Needs;

/// The head of a policy.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Head {
    pub(super) principal: PrincipalConstraint,
    pub(super) action: ActionConstraint,
    pub(super) resource: ResourceConstraint,
}

/// The policies that decide: where one forbids, those that forbid, else those that permit; and each that erred.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Holds {
    pub(super) permits: Vec<usize>,
    pub(super) forbids: Vec<usize>,
    pub(super) errors: Vec<(usize, String)>,
}

/// Policies, by their heads.
#[derive(Default)]
pub(super) struct Slices {
    groups: Vec<Group>,
    /// Groups whose resource must be, or be in, this one.
    placed: HashMap<EntityUid, Vec<usize>>,
    /// Groups whose resource must be of this type, wherever it is.
    typed: HashMap<EntityTypeName, Vec<usize>>,
    /// Groups of any resource.
    anywhere: Vec<usize>,
    /// What the policies name.
    named: Named,
    /// What was put together before, by the numbers of the groups in it: few combinations come again and again.
    ready: RwLock<HashMap<Vec<usize>, Arc<Slice>>>,
}

/// Policies with the same head that ask for the same facts first.
struct Group {
    head: Head,
    gates: Gates,
    needs: Needs,
    policies: Vec<(usize, Policy)>,
}

/// The policies that a request can concern, put together.
pub(super) struct Slice {
    policies: PolicySet,
    needs: Needs,
    authorizer: Authorizer,
}

impl Head {
    pub(super) fn of(policy: &Policy) -> Head {
        Head {
            principal: policy.principal_constraint(),
            action: policy.action_constraint(),
            resource: policy.resource_constraint(),
        }
    }

    /// Whether it matches, as Cedar would find.
    pub(super) fn matches(&self, asked: &Asked) -> bool {
        let principal_in = |one: &EntityUid| asked.principal == *one || asked.principal_in.contains(one);
        let action_in = |one: &EntityUid| asked.action == *one || asked.action_in.contains(one);
        let resource_in = |one: &EntityUid| asked.resource == *one || asked.resource_in.contains(one);
        let principal = match &self.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(one) => asked.principal == *one,
            PrincipalConstraint::In(one) => principal_in(one),
            PrincipalConstraint::Is(kind) => asked.principal.type_name() == kind,
            PrincipalConstraint::IsIn(kind, one) => asked.principal.type_name() == kind && principal_in(one),
        };
        principal
            && match &self.action {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(one) => asked.action == *one,
                ActionConstraint::In(any) => any.iter().any(action_in),
            }
            && match &self.resource {
                ResourceConstraint::Any => true,
                ResourceConstraint::Eq(one) => asked.resource == *one,
                ResourceConstraint::In(one) => resource_in(one),
                ResourceConstraint::Is(kind) => asked.resource.type_name() == kind,
                ResourceConstraint::IsIn(kind, one) => asked.resource.type_name() == kind && resource_in(one),
            }
    }
}

impl Slices {
    /// Adds a policy under a number, which is the one it is named by in answers.
    pub(super) fn add(&mut self, number: usize, policy: &Policy) {
        let head = Head::of(policy);
        let list = match &head.resource {
            ResourceConstraint::Any => &mut self.anywhere,
            ResourceConstraint::Is(kind) => self.typed.entry(kind.clone()).or_default(),
            ResourceConstraint::Eq(one) | ResourceConstraint::In(one) | ResourceConstraint::IsIn(_, one) => {
                self.placed.entry(one.clone()).or_default()
            }
        };
        self.named.add(policy);
        let (needs, gates) = (Needs::of(policy), Gates::of(policy));
        let policy = (number, policy.new_id(PolicyId::new(number.to_string())));
        let alike = |group: &Group| group.head == head && group.gates == gates;
        let same = list.iter().copied().find(|at| self.groups.get(*at).is_some_and(alike));
        match same.and_then(|at| self.groups.get_mut(at)) {
            Some(group) => {
                group.needs = group.needs.and(needs);
                group.policies.push(policy);
            }
            None => {
                list.push(self.groups.len());
                self.groups.push(Group { head, gates, needs, policies: vec![policy] });
            }
        }
        self.ready = RwLock::default();
    }

    /// Notes what a policy names that is not added: it is broken, and its head must still find what it applies to.
    pub(super) fn name(&mut self, policy: &Policy) {
        self.named.add(policy);
    }

    /// What the policies name.
    pub(super) fn named(&self) -> &Named {
        &self.named
    }

    /// The policies whose head matches.
    pub(super) fn concerned(&self, asked: &Asked) -> Concerned<'_> {
        let within = asked.resource_in.iter().chain(std::iter::once(&asked.resource));
        let placed = within.filter_map(|uid| self.placed.get(uid));
        let typed = self.typed.get(asked.resource.type_name());
        let numbers = placed.chain(typed).flatten().chain(&self.anywhere).copied();
        let matching = |at: &usize| self.groups.get(*at).is_some_and(|group| group.head.matches(asked));
        Concerned { slices: self, groups: numbers.filter(matching).collect() }
    }

    fn together(&self, numbers: &[usize], without: &[usize]) -> Result<Slice, Unusable> {
        let groups = || numbers.iter().filter_map(|at| self.groups.get(*at));
        let policies = groups().flat_map(|group| &group.policies).filter(|(number, _)| !without.contains(number));
        let policies = PolicySet::from_policies(policies.map(|(_, policy)| policy.clone()));
        Ok(Slice {
            policies: policies.map_err(|error| Unusable::Cedar(error.to_string()))?,
            needs: groups().fold(Needs::default(), |needs, group| needs.and(group.needs)),
            authorizer: Authorizer::new(),
        })
    }
}

/// The policies whose head matches a request.
pub(super) struct Concerned<'a> {
    slices: &'a Slices,
    groups: Vec<usize>,
}

impl Concerned<'_> {
    /// Whether any of them looks at an approval.
    pub(super) fn look_at_approval(&self) -> bool {
        let mut groups = self.groups.iter().filter_map(|at| self.slices.groups.get(*at));
        groups.any(|group| group.needs.includes("approved"))
    }

    /// Those that the facts let in, as if some were not there. An error is Cedar's refusal to put them together.
    pub(super) fn slice(&self, facts: Facts, without: &[usize]) -> Result<Arc<Slice>, Unusable> {
        let slices = self.slices;
        let let_in = |at: &usize| slices.groups.get(*at).is_some_and(|group| group.gates.let_in(facts));
        let numbers: Vec<usize> = self.groups.iter().copied().filter(let_in).collect();
        if !without.is_empty() {
            return slices.together(&numbers, without).map(Arc::new);
        }
        // A lock that somebody died with only means that nothing is kept ready.
        if let Some(slice) = slices.ready.read().ok().and_then(|ready| ready.get(&numbers).cloned()) {
            return Ok(slice);
        }
        let slice = Arc::new(slices.together(&numbers, without)?);
        if let Ok(mut ready) = slices.ready.write() {
            if ready.len() >= limits::SLICES {
                ready.clear();
            }
            ready.insert(numbers, Arc::clone(&slice));
        }
        Ok(slice)
    }
}

impl Slice {
    /// Asks all of them.
    pub(super) fn ask(&self, asked: &Asked, put: &impl Put, approved: bool) -> Result<Holds, Unusable> {
        if self.policies.is_empty() {
            return Ok(Holds::default());
        }
        let entities = put.entities(asked, self.needs)?;
        let request = put.request(asked, self.needs, approved)?;
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        let mut holds = Holds::default();
        let deciding = match response.decision() {
            Decision::Allow => &mut holds.permits,
            Decision::Deny => &mut holds.forbids,
        };
        deciding.extend(response.diagnostics().reason().filter_map(number));
        deciding.sort_unstable();
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            holds.errors.extend(number(error.policy_id()).map(|number| (number, error.inner().to_string())));
        }
        holds.errors.sort_unstable();
        Ok(holds)
    }
}

fn number(id: &PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.parse().ok()
}
