//! A thread for a run's file effects, confined by the kernel to the run's folders before it does anything else.

use std::os::fd::AsFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use raincoat_sandbox::Layer;
use raincoat_sandbox::thread::{ThreadRules, confine};

use crate::commit::{Begin, Reader};
use crate::engine::OPEN_MOST;
use crate::{Effects, Start};

type Job = Box<dyn FnOnce(&mut Effects) + Send>;

/// A run's confined thread. Dropped, it ends after what it was asked last.
pub struct EffectsThread {
    jobs: Option<Sender<Job>>,
    handle: Option<thread::JoinHandle<()>>,
    layers: Vec<Layer>,
}

impl EffectsThread {
    /// Starts the thread and confines it. `writable` says for each folder whether it may change at all.
    ///
    /// # Errors
    /// In words, where a layer that this kernel has could not be put in force.
    pub fn start(start: Start, writable: &[bool]) -> Result<EffectsThread, String> {
        EffectsThread::start_with(start, writable, None)
    }

    /// The same for a commit: the draft's directories may change as well.
    ///
    /// # Errors
    /// As [`EffectsThread::start`].
    pub fn for_commit(start: Start, writable: &[bool], begin: Begin) -> Result<EffectsThread, String> {
        EffectsThread::start_with(start, writable, Some(begin))
    }

    fn start_with(start: Start, writable: &[bool], begin: Option<Begin>) -> Result<EffectsThread, String> {
        let writable = writable.to_vec();
        let (jobs, inbox) = channel::<Job>();
        let (told, hear) = channel();
        // The confined thread could not.
        raincoat_os::harden::allow_open_files(OPEN_MOST);
        // The confined thread could start none.
        let reader = begin.as_ref().and_then(|_| Reader::start());
        let work = move || {
            let confined = {
                let mut rules = ThreadRules::default();
                for (n, folder) in start.folders.iter().enumerate() {
                    let list = if writable.get(n).copied().unwrap_or(false) {
                        &mut rules.writable
                    } else {
                        &mut rules.read_only
                    };
                    list.push(folder.root.as_fd());
                }
                for source in begin.iter().flat_map(|begin| &begin.sources).flatten() {
                    rules.writable.extend([source.upper.as_fd(), source.stage.as_fd()]);
                }
                confine(&rules)
            };
            let layers = match confined {
                Ok(confinement) => confinement.layers,
                Err(fault) => {
                    let _ = told.send(Err(fault.to_string()));
                    return;
                }
            };
            let mut effects = Effects::new(start);
            if let Some(begin) = begin {
                effects.begin_commit(begin);
            }
            if let Some(reader) = reader {
                effects.read_beside(reader);
            }
            let _ = told.send(Ok(layers));
            for job in inbox {
                job(&mut effects);
            }
        };
        let handle = thread::Builder::new().name("effects".to_owned()).spawn(work).map_err(|e| e.to_string())?;
        let layers = hear.recv().map_err(|_| "the effects thread died at its start".to_owned())??;
        Ok(EffectsThread { jobs: Some(jobs), handle: Some(handle), layers })
    }

    /// The layers that confine it, enforced or missing.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Has the thread do something, and waits for the answer.
    ///
    /// # Errors
    /// In words, where the thread died.
    pub fn call<R: Send + 'static>(&self, job: impl FnOnce(&mut Effects) -> R + Send + 'static) -> Result<R, String> {
        let (told, hear) = channel();
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Box::new(move |effects: &mut Effects| {
                let _ = told.send(job(effects));
            }));
        }
        hear.recv().map_err(|_| "the effects thread died".to_owned())
    }
}

impl Drop for EffectsThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}
