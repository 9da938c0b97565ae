//! A program at work: its layers, its way to the network, what it is refused, and how it ends.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raincoat_audit::Event as Logged;
use raincoat_effects::Recorder;
use raincoat_net::proxy::{Proxy, ProxyEvent, ProxyRules, serve};
use raincoat_sandbox::program::{Event, Program, ProgramSignals, Ready};

use super::{ExecAsk, Passage, Refused, Signals};
use crate::console::Console;
use crate::{Class, Error, Keeper};

/// What came of the program, besides its draft.
pub(super) struct Watched {
    pub(super) code: i32,
    pub(super) ended_by: Option<String>,
    pub(super) refused: Vec<Refused>,
}

impl Watched {
    /// It ended well, and by itself.
    pub(super) fn went_well(&self) -> bool {
        self.code == 0 && self.ended_by.is_none()
    }
}

/// What is told of refusals: each kind once, with how often; no more kinds than the limit.
struct Refusals {
    seen: BTreeMap<(String, String), u64>,
    most: usize,
    more: u64,
}

impl Refusals {
    /// Counts one kind; says whether it is new.
    fn add(&mut self, call: &str, detail: &str, times: u64) -> bool {
        let key = (call.to_owned(), detail.to_owned());
        if let Some(count) = self.seen.get_mut(&key) {
            *count += times;
            return false;
        }
        if self.seen.len() >= self.most {
            self.more += times;
            return false;
        }
        self.seen.insert(key, times);
        true
    }

    fn told(self) -> Vec<Refused> {
        let mut all: Vec<Refused> = Vec::with_capacity(self.seen.len());
        for ((call, detail), times) in self.seen {
            // Several calls may be one thing to a person.
            match all.iter_mut().find(|refused| refused.what == detail) {
                Some(refused) => refused.times += times,
                None => all.push(Refused { what: detail, times, fix: fix_for(&call) }),
            }
        }
        if self.more > 0 {
            all.push(Refused { what: "other things, which were only counted".to_owned(), times: self.more, fix: "" });
        }
        all
    }
}

/// The flag that would allow what was refused; nothing where nothing does.
fn fix_for(call: &str) -> &'static str {
    match call {
        "connect" => "`--net HOST` lets it reach that host",
        "unshare" | "clone" | "setns" => "a profile with `nest = true` lets it make user namespaces of its own",
        _ => "",
    }
}

impl Keeper {
    /// From the enclosure's being ready to the program's end.
    #[expect(clippy::too_many_arguments, reason = "everything that a program at work touches")]
    pub(super) fn watch(
        &self,
        ask: &ExecAsk,
        mut program: Program,
        ready: Ready,
        rules: Option<ProxyRules>,
        recorder: &Recorder,
        stop: &Arc<AtomicBool>,
        passage: &mut dyn Passage,
        console: &mut dyn Console,
    ) -> Result<Watched, Error> {
        self.tell_layers(&ready, ask.strict, recorder, console)?;
        let proxy = match (ready.listener, rules) {
            (Some(listener), Some(rules)) => Some(proxy(TcpListener::from(listener), rules, recorder)?),
            _ => None,
        };
        let signals = program.signals().map_err(Error::io("reach the program"))?;
        passage.begin(ready.terminal, Box::new(Sender(signals)));
        program.go().map_err(Error::io("start the program"))?;
        let ended = self.follow(&mut program, recorder, stop, passage);
        // Everything inside is gone before its terminal is read to its end.
        drop(program);
        passage.end();
        let mut watched = ended?;
        if let Some((proxy, refused)) = proxy {
            drop(proxy);
            watched.refused.extend(refused.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default());
        }
        Ok(watched)
    }

    fn follow(
        &self,
        program: &mut Program,
        recorder: &Recorder,
        stop: &Arc<AtomicBool>,
        passage: &mut dyn Passage,
    ) -> Result<Watched, Error> {
        let most = usize::try_from(self.config.limits.program_refusals).unwrap_or(usize::MAX);
        let mut refusals = Refusals { seen: BTreeMap::new(), most, more: 0 };
        let mut ended_by = None;
        let mut asked_to_end = None;
        let code = loop {
            if stop.load(Ordering::SeqCst) {
                // It was told by its signal; after a while it is not asked any more.
                let now = self.clock.now().secs;
                ended_by.get_or_insert_with(|| "stopped by the person".to_owned());
                if now - *asked_to_end.get_or_insert(now) > GRACE_SECS {
                    program.kill();
                }
            }
            let event = match program.next(LOOK) {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    ended_by.get_or_insert_with(|| "its enclosure was killed".to_owned());
                    break 128 + 9;
                }
                Err(error) => return Err(Error::io("hear of the program")(error)),
            };
            match event {
                Event::Refused { call, detail, times } => {
                    if refusals.add(&call, &detail, times) {
                        recorder.log_lazily(vec![refusal(&call, &detail, times)]);
                    }
                }
                Event::Stopped(_) => {
                    passage.stopped();
                    program.resume();
                }
                Event::Continued => {}
                Event::Limit { words, .. } => {
                    recorder.log_lazily(vec![refusal("limit", &words, 1)]);
                    ended_by = Some(words);
                }
                Event::NotStarted(why, code) => {
                    ended_by = Some(why);
                    break code;
                }
                Event::Ended { code, signal, left_running } => {
                    if left_running > 0 {
                        let words = format!("{left_running} processes that it left running were ended with it");
                        recorder.log_lazily(vec![Logged::Notice { text: words }]);
                    }
                    break code.unwrap_or_else(|| 128 + signal.unwrap_or(0));
                }
            }
        };
        // Each kind was logged when it was first refused; how often it was in all is known now.
        let often = refusals.seen.iter().filter(|(_, times)| **times > 1);
        recorder.log_lazily(often.map(|((call, detail), times)| refusal(call, detail, *times)).collect());
        Ok(Watched { code, ended_by, refused: refusals.told() })
    }

    /// What this machine lacks is said, or ends the run where it is strict.
    fn tell_layers(
        &self,
        ready: &Ready,
        strict: bool,
        recorder: &Recorder,
        console: &mut dyn Console,
    ) -> Result<(), Error> {
        for layer in ready.layers.iter().filter(|layer| !layer.enforced) {
            let missing = Logged::ProtectionMissing { layer: layer.name.clone(), why: layer.why.clone() };
            recorder.log_lazily(vec![missing]);
            let words = format!("{} ({})", layer.name, layer.why);
            if strict {
                let error = Error::new(
                    Class::Environment,
                    format!("nothing was run, as `--strict` asks: not enforced here: {words}"),
                );
                return Err(error.hint(layer.fix.clone()));
            }
            console.notice(&format!("not enforced here: {words}; see `raincoat doctor`"));
        }
        Ok(())
    }
}

/// How often the keeper looks whether it is to stop, where nothing else happens.
const LOOK: Duration = Duration::from_millis(100);

/// How long a program has to end when the person stops it, in seconds.
const GRACE_SECS: i64 = 2;

/// Refused hosts that are told one by one.
const HOSTS_TOLD: usize = 100;

struct Sender(ProgramSignals);

impl Signals for Sender {
    fn send(&self, signal: i32) {
        self.0.send(signal);
    }
}

type Told = Arc<std::sync::Mutex<Vec<Refused>>>;

/// The way to the named hosts. Every connection stands in the log before a byte goes through it.
fn proxy(listener: TcpListener, rules: ProxyRules, recorder: &Recorder) -> Result<(Proxy, Told), Error> {
    let refused: Told = Arc::default();
    let (told, recorder) = (refused.clone(), recorder.clone());
    let proxy = serve(listener, rules, move |event| match event {
        ProxyEvent::Opened { host, port, address } => {
            let address = address.to_string();
            recorder.log_lazily(vec![Logged::NetworkOpened { host, port, address }]);
        }
        ProxyEvent::Closed { host, port, sent, received } => {
            recorder.log_lazily(vec![Logged::NetworkClosed { host, port, sent, received }]);
        }
        ProxyEvent::Refused { host, port, why } => {
            let what = if host.is_empty() { why.clone() } else { format!("the network: {host}:{port} ({why})") };
            let Ok(mut all) = told.lock() else { return };
            if let Some(refused) = all.iter_mut().find(|refused| refused.what == what) {
                refused.times += 1;
            } else if all.len() < HOSTS_TOLD {
                // Each once: a program that tries again and again does not fill the log.
                recorder.log_lazily(vec![Logged::NetworkRefused { host, port, why, times: 1 }]);
                all.push(Refused { what, times: 1, fix: fix_for("connect") });
            }
        }
    });
    Ok((proxy.map_err(Error::io("start the proxy"))?, refused))
}

/// Something that was refused to the program, for the log.
fn refusal(call: &str, detail: &str, times: u64) -> Logged {
    Logged::ProgramRefused { call: call.to_owned(), detail: detail.to_owned(), times, fix: fix_for(call).to_owned() }
}
