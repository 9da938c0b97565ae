//! The care of the log: erasing a subject, how long what is kept, legal holds, pruning, and accepting a log that is
//! behind its memories.

use raincoat_audit::{AuditError, Class as EventClass, ErasePlan, Hold, PERIOD_SECS, PrunePlan, Subject};
use raincoat_types::Timestamp;

use crate::{Class, Error, Keeper};

/// What erasing a subject makes unreadable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasureView {
    /// Entries about it.
    pub entries: u64,
    /// When the first and the last of them were written.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The slots of its keys, by which the log names it from now on.
    pub slots: Vec<u32>,
    /// What cannot be promised here, in words.
    pub caveats: Vec<String>,
}

/// A legal hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldView {
    /// Its number.
    pub number: u32,
    /// Why.
    pub because: String,
}

/// Rules, holds, and what is pruned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionView {
    /// For how many seconds each class is kept; for ever where it is `None`.
    pub rules: Vec<(&'static str, Option<u64>)>,
    /// The holds in force.
    pub holds: Vec<HoldView>,
    /// The first entry that is there.
    pub minimum: u64,
}

/// What pruning does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PruningView {
    /// Entries that are thrown away.
    pub entries: u64,
    /// The first entry that stays.
    pub minimum: u64,
    /// Classes whose entries become unreadable, and until when their 30 days were.
    pub unreadable: Vec<(&'static str, Timestamp)>,
    /// Stretches of 30 days that a hold keeps.
    pub held: u64,
}

impl Keeper {
    /// What erasing a subject (`run:ID`, `person:NAME`, `folder:PATH`) would make unreadable.
    ///
    /// # Errors
    /// Where it names nothing, or a hold stands on it.
    pub fn plan_erasure(&self, subject: &str) -> Result<ErasureView, Error> {
        let plan = self.audit_reader()?.plan_erasure(&parse(subject)?).map_err(care)?;
        if let Some(Hold { number, because, .. }) = plan.held {
            return Err(care(AuditError::Held { hold: number, because }));
        }
        self.view(plan)
    }

    /// Destroys a subject's keys.
    ///
    /// # Errors
    /// As [`Keeper::plan_erasure`].
    pub fn erase_subject(&self, subject: &str) -> Result<ErasureView, Error> {
        let subject = parse(subject)?;
        let mut audit = self.open_audit()?;
        let plan = audit.erase(&subject).map_err(care)?;
        audit.close().map_err(Error::store)?;
        self.view(plan)
    }

    fn view(&self, plan: ErasePlan) -> Result<ErasureView, Error> {
        let ErasePlan { entries, span, slots, .. } = plan;
        let dir = self.data.dir("audit").map_err(Error::io("open the log's directory"))?;
        let mut caveats = Vec::new();
        if let Some(name) = dir.copies_on_write().map_err(Error::io("look at the log's file system"))? {
            caveats.push(format!(
                "the log lies on {name}, which writes elsewhere instead of in place: the old key may stay on the disk \
                 until its blocks are used again"
            ));
        }
        Ok(ErasureView { entries, span, slots, caveats })
    }

    /// The rules and holds in force.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn retention(&self) -> Result<RetentionView, Error> {
        let retention = self.audit_reader()?.retention().map_err(care)?;
        let holds = retention.holds.into_iter();
        Ok(RetentionView {
            rules: retention.rules.into_iter().map(|(class, secs)| (class.name(), secs)).collect(),
            holds: holds.map(|hold| HoldView { number: hold.number, because: hold.because }).collect(),
            minimum: retention.minimum,
        })
    }

    /// Sets for how many seconds entries of a class (`all`: of each) are kept; for ever where it is `None`.
    ///
    /// # Errors
    /// Where there is no such class.
    pub fn set_retention(&self, class: &str, secs: Option<u64>) -> Result<(), Error> {
        let classes: Vec<EventClass> = match class {
            "all" => EventClass::RULED.to_vec(),
            name => EventClass::parse(name).into_iter().collect(),
        };
        if classes.is_empty() {
            let names = EventClass::RULED.map(EventClass::name).join(", ");
            return Err(Error::new(Class::Usage, format!("`{class}` is no class of entries"))
                .hint(format!("the classes are {names}, and `all`")));
        }
        let mut audit = self.open_audit()?;
        for class in classes {
            audit.keep_for(class, secs).map_err(care)?;
        }
        audit.close().map_err(Error::store).map(drop)
    }

    /// Places a legal hold, and gives its number.
    ///
    /// # Errors
    /// Where nothing in the log is about the subject.
    pub fn place_hold(&self, subject: &str, because: &str) -> Result<u32, Error> {
        let subject = parse(subject)?;
        let mut audit = self.open_audit()?;
        let number = audit.hold(&subject, because).map_err(care)?;
        audit.close().map_err(Error::store)?;
        Ok(number)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// Where there is none of this number.
    pub fn release_hold(&self, number: u32) -> Result<(), Error> {
        let mut audit = self.open_audit()?;
        let there = audit.release(number).map_err(care)?;
        audit.close().map_err(Error::store)?;
        if there {
            return Ok(());
        }
        Err(Error::new(Class::Usage, format!("there is no hold {number}"))
            .hint("`raincoat audit retention` lists them"))
    }

    /// Throws away what rules and holds say should go; `dry`: only says what.
    ///
    /// # Errors
    /// Where the log cannot be read or written.
    pub fn prune_log(&self, dry: bool) -> Result<PruningView, Error> {
        let plan = if dry {
            self.audit_reader()?.plan_pruning(self.clock.now()).map_err(care)?
        } else {
            let mut audit = self.open_audit()?;
            let plan = audit.prune().map_err(care)?;
            audit.close().map_err(Error::store)?;
            plan
        };
        let PrunePlan { entries, minimum, held, periods, .. } = plan;
        let end = |period: i64| Timestamp { secs: (period + 1).saturating_mul(PERIOD_SECS), nanos: 0 };
        let unreadable = periods.into_iter().map(|(class, period)| (class.name(), end(period))).collect();
        Ok(PruningView { entries, minimum, unreadable, held })
    }

    /// Takes the log for the right one, whatever its memories say. That stands in the log.
    ///
    /// # Errors
    /// Where the log itself is damaged.
    pub fn accept_log(&self) -> Result<u64, Error> {
        let audit = self.open_audit_as(true)?;
        Ok(audit.close().map_err(Error::store)?.size)
    }
}

fn parse(subject: &str) -> Result<Subject, Error> {
    Subject::parse(subject).ok_or_else(|| {
        Error::new(Class::Usage, format!("`{}` names no subject", raincoat_types::display_bytes(subject.as_bytes())))
            .hint("say `run:ID`, `folder:/PATH` or `person:NAME`")
    })
}

fn care(error: AuditError) -> Error {
    match error {
        AuditError::NoSubject(_) => Error::new(Class::Usage, error.to_string()),
        AuditError::Held { .. } => Error::new(Class::Refused, error.to_string()),
        other => Error::store(other),
    }
}
