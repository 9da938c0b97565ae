//! Landlock around the program: a second opinion on what the mounts already say.
//!
//! As few rules as possible: every open walks from the file upwards until a rule allows it. So the whole private root
//! may be read and executed (it holds nothing that was not granted), and the places that may be written come on top.
//!
//! TCP is not restricted: the program's network is its own namespace with nothing in it but a loopback interface, on
//! which it may serve and connect as it would bare. There is no way out of it but the proxy, which listens inside and
//! whose connections the keeper accepts; a rule for ports would forbid the program's own servers and stop nothing.

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope, make_bitflags,
};

use super::fault::{self, Or};
use super::init::held;
use super::root::Root;
use super::{HeldLayer, mounts};
use crate::domain::{kernel_abi, lacking};
use crate::{LayerState, SandboxFault};

const LAYER: &str = "program-landlock";

/// Confines this process and all that it starts.
pub(super) fn restrict(root: &Root) -> Result<Vec<HeldLayer>, SandboxFault> {
    let number = kernel_abi();
    let abi = ABI::from(number);
    if abi == ABI::Unsupported {
        return Ok(vec![HeldLayer {
            name: LAYER.to_owned(),
            enforced: false,
            why: "this kernel has no Landlock, or it is switched off or hidden by a container".to_owned(),
            fix: "use a kernel of 5.13 or newer with `landlock` in its `lsm=` list".to_owned(),
        }]);
    }
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules = rules.handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V6 {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    let mut rules = rules.create()?;
    let known = AccessFs::from_all(abi);
    let open = |path: &[u8]| -> Result<OwnedFd, SandboxFault> {
        let shown = raincoat_types::display_bytes(path);
        mounts::here(path).or_fault(LAYER, format!("open `{shown}`"), super::enclose::REPORT)
    };
    rules = rules.add_rule(PathBeneath::new(open(b"/")?, everywhere() & known))?;
    for path in [&b"/dev"[..], b"/proc"] {
        rules =
            rules.add_rule(PathBeneath::new(open(path)?, make_bitflags!(AccessFs::{WriteFile | Truncate}) & known))?;
    }
    for path in &root.writable {
        rules = rules.add_rule(PathBeneath::new(open(path)?, writable(abi)))?;
    }
    // For the supervisor, which measures: the program finds neither of these anywhere.
    for place in root.uppers.iter().chain([&root.proc]) {
        rules = rules.add_rule(PathBeneath::new(place, make_bitflags!(AccessFs::{ReadFile | ReadDir})))?;
    }
    if rules.restrict_self()?.ruleset != RulesetStatus::FullyEnforced {
        return Err(fault::fault(LAYER, "Landlock is only partly in force", "run `raincoat doctor`"));
    }
    let mut layers = vec![held(LAYER, format!("Landlock ABI {number}"))];
    // Not of TCP: that is the network namespace's.
    layers.extend(lacking(abi).filter(|layer| layer.name != "landlock-tcp").map(|layer| HeldLayer {
        name: layer.name.into_owned(),
        enforced: layer.state == LayerState::Enforced,
        why: layer.why,
        fix: layer.fix.into_owned(),
    }));
    Ok(layers)
}

fn everywhere() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir | IoctlDev})
}

/// All but device nodes.
fn writable(abi: ABI) -> BitFlags<AccessFs> {
    AccessFs::from_all(abi) & !make_bitflags!(AccessFs::{MakeChar | MakeBlock})
}
