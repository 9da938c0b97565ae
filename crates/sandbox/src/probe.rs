//! Which layers hold on this machine, each one tried: what must be impossible is attempted without the layer (it has
//! to succeed, else nothing is learned) and with it (it has to fail).

mod child;
mod here;

use std::os::fd::BorrowedFd;

use raincoat_types::Limits;

use crate::Layer;

pub use child::probe_main;

/// Tries every layer, for `raincoat doctor`. `helper` is the arguments with which this binary runs [`probe_main`];
/// `data_dir` is a directory of ours, for the checks that need a file system. Takes some ten milliseconds.
///
/// A layer is only ever [`crate::LayerState::Enforced`] if it was seen to refuse (or, for what refuses nothing such as
/// locked memory, seen to work). What could not be tried is `Unknown`.
pub fn probe(helper: &[&str], limits: &Limits, data_dir: BorrowedFd<'_>) -> Vec<Layer> {
    let mut layers = here::thread_layers(data_dir);
    layers.push(child::worker(helper, limits));
    layers.push(here::beneath(data_dir));
    layers.push(here::exchange(data_dir));
    layers.push(here::no_new_privileges());
    layers.push(child::not_dumpable(helper));
    layers.push(here::locked_memory());
    layers.push(here::secret_memory());
    layers.push(here::keyring());
    layers.extend(child::program_needs(helper, data_dir));
    layers
}
