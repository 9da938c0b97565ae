//! What a process may do beyond its user: nothing.

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use super::enclose::REPORT;
use super::fault::Or;
use super::sys;
use crate::SandboxFault;

const LAYER: &str = "privileges";

/// Gives up every capability, for this process and all that it starts, for good: none in any set, none to be had by
/// executing a file, the rules for that locked.
pub(super) fn drop_all() -> Result<(), SandboxFault> {
    set_no_new_privs(true).or_fault(LAYER, "give up new privileges", REPORT)?;
    sys::plain_personality().or_fault(LAYER, "set the execution domain", REPORT)?;
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(locked).or_fault(LAYER, "lock the rules for privileges", REPORT)?;
    clear_ambient_capability_set().or_fault(LAYER, "clear ambient capabilities", REPORT)?;
    for number in 0..64 {
        // The kernel knows fewer, in a row; `EINVAL` is the end of it.
        let one = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) if number > 0 => break,
            other => other.or_fault(LAYER, "drop the capabilities that could be had", REPORT)?,
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).or_fault(
        LAYER,
        "drop capabilities",
        REPORT,
    )
}
