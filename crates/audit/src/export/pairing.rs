//! What an entry refers to and an earlier one said: the place of an operation that is done, the model that answered.
//!
//! Bounded: the newest operations and runs are remembered. Where an entry's companion is no longer known, its record
//! has fewer fields and is no less true.

use std::collections::{BTreeMap, VecDeque};

use raincoat_types::{ChangeKind, Digest, OpId, RunId, Spot};

use super::fields::Fields;
use crate::Event;

/// Operations and runs that are remembered, at most.
const REMEMBERED: usize = 4096;

/// What earlier entries said. Feed it every entry in order, with [`Pairing::learn`], after its record was made.
#[derive(Default, Debug)]
pub struct Pairing {
    intents: Recent<OpId, Intent>,
    models: Recent<Option<RunId>, (String, String)>,
}

#[derive(Clone, Debug)]
struct Intent {
    kind: ChangeKind,
    places: Vec<Spot>,
    before: Option<Digest>,
    undoes: Option<OpId>,
}

/// The newest of what was put in.
#[derive(Debug)]
struct Recent<K, V> {
    known: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl Pairing {
    /// How far back an export that begins in the middle reads first, so that little is missing.
    pub const LOOK_BACK: u64 = 1024;

    /// Remembers what later entries may refer to.
    pub fn learn(&mut self, run: Option<RunId>, event: &Event) {
        match event {
            Event::OpIntended { op, kind, places, before, undoes } => {
                let intent = Intent { kind: *kind, places: places.clone(), before: *before, undoes: *undoes };
                self.intents.put(*op, intent);
            }
            Event::OpPlanned { op, kind, places, before, undoes, .. } => {
                let intent = Intent { kind: *kind, places: places.clone(), before: *before, undoes: *undoes };
                self.intents.put(*op, intent);
            }
            Event::ModelRequest { provider, model, .. } | Event::ModelAsked { provider, model, .. } => {
                self.models.put(run, (provider.clone(), model.clone()));
            }
            _ => {}
        }
    }

    /// Adds to an event's fields what it refers to.
    pub(super) fn complete(&self, run: Option<RunId>, event: &Event, fields: &mut Fields) {
        match event {
            Event::OpDone { op, .. } | Event::OpMade { op, .. } | Event::OpFailed { op, .. } => {
                let Some(intent) = self.intents.known.get(op) else { return };
                fields.places(intent.kind, &intent.places);
                if let Some(before) = intent.before {
                    fields.id("before", before.hex());
                }
                if let Some(undoes) = intent.undoes {
                    fields.id("undoes", undoes);
                }
            }
            Event::ModelReply { .. } | Event::ModelAnswered { .. } => {
                let Some((provider, model)) = self.models.known.get(&run) else { return };
                fields.text("provider", provider);
                fields.text("model", model);
            }
            _ => {}
        }
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { known: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone, V> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.known.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
