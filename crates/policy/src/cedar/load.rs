//! Policy files become rules: cut, parsed, validated against the vocabulary, held against their own examples.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use super::entities::{Asked, Named, Put, Unusable};
use super::examples::{self, Example};
use super::request::Request;
use super::slices::{Concerned, Head, Holds, Slices};
use super::{SCHEMA, limits, lint, source};

/// Where a rule stands, and its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleRef {
    /// The file it stands in, as it was given.
    pub file: Arc<str>,
    /// The line it begins on, from 1. Of a file that could not be cut into policies: where that failed.
    pub line: usize,
    /// Its `@id`; `FILE:LINE` where it has none.
    pub id: Arc<str>,
}

/// What is wrong with a policy file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule}: {message}")]
pub struct Problem {
    /// Where.
    pub rule: RuleRef,
    /// What kind of thing.
    pub kind: ProblemKind,
    /// What, in words that end in what to do.
    pub message: String,
}

/// The kinds of problems, in the order in which loading meets them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProblemKind {
    /// Over one of the bounds of [`limits`].
    Limit,
    /// Not Cedar.
    Parse,
    /// Two rules of one name.
    Duplicate,
    /// Cedar, but not in our vocabulary, or a comparison that can only be a slip.
    Validate,
    /// One of its own examples is not as it says, or cannot be read.
    Example,
}

/// Files with problems. Nothing is permitted by mistake: [`Broken::into_rules`] denies whatever a broken rule could
/// have applied to.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.problems))]
pub struct Broken {
    /// Each problem, in the order of files and lines; at most [`limits::PROBLEMS`].
    pub problems: Vec<Problem>,
    rules: Box<Rules>,
}

/// Policies, compiled.
#[derive(Default)]
pub struct Rules {
    pub(super) known: Vec<Known>,
    pub(super) blocks: Vec<Block>,
    pub(super) warnings: Vec<(usize, String)>,
    slices: Slices,
}

/// One policy that counts.
pub(super) struct Known {
    pub(super) rule: RuleRef,
    pub(super) policy: Policy,
}

/// What a broken rule could have applied to; it is denied.
pub(super) struct Block {
    pub(super) rule: RuleRef,
    pub(super) why: String,
    /// `None` where nobody knows: then it is everything.
    head: Option<Head>,
}

static OURS: LazyLock<Option<Validator>> =
    LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).ok().map(|(schema, _)| Validator::new(schema)));

/// The compiled vocabulary. It is part of the program, and a test reads it.
pub(super) fn validator() -> Option<&'static Validator> {
    OURS.as_ref()
}

impl Rules {
    /// Loads policy files: pairs of a name, for people, and the text.
    ///
    /// # Errors
    /// [`Broken`] with every problem where there is one. A caller that must go on uses [`Broken::into_rules`].
    pub fn load(files: &[(&str, &str)]) -> Result<Rules, Broken> {
        Loading::default().run(files, validator(), true)
    }

    /// The same code with somebody else's vocabulary, and without what only ours knows: Cedar's own tests go through it.
    #[cfg(test)]
    pub(super) fn load_with(files: &[(&str, &str)], validator: Option<&Validator>) -> Result<Rules, Broken> {
        Loading::default().run(files, validator, false)
    }

    /// How many policies count.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is neither a policy nor a broken one.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.blocks.is_empty()
    }

    /// Every policy that counts.
    pub fn rules(&self) -> impl Iterator<Item = &RuleRef> {
        self.known.iter().map(|known| &known.rule)
    }

    /// The policies whose head matches.
    pub(super) fn concerned(&self, asked: &Asked) -> Concerned<'_> {
        self.slices.concerned(asked)
    }

    /// What the policies name, those that are broken too.
    pub(super) fn named(&self) -> &Named {
        self.slices.named()
    }

    /// The broken rules that could have applied.
    pub(super) fn blocked(&self, asked: &Asked) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.head.as_ref().is_none_or(|head| head.matches(asked)))
    }
}

impl Broken {
    /// Rules that deny whatever the broken ones could have applied to. What could not be parsed could have applied to
    /// everything.
    pub fn into_rules(self) -> Rules {
        *self.rules
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rules, {} broken", self.known.len(), self.blocks.len())
    }
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = format!("{}:{}", self.file, self.line);
        if *self.id == *place { f.write_str(&place) } else { write!(f, "{place} `{}`", self.id) }
    }
}

fn said(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// What a policy with a problem was meant to apply to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meant {
    /// What its head says.
    AsHead,
    /// Nobody knows.
    Unknown,
}

#[derive(Default)]
struct Loading {
    problems: Vec<Problem>,
    blocks: Vec<Block>,
    parsed: Vec<Parsed>,
}

/// A policy that parsed.
struct Parsed {
    rule: RuleRef,
    policy: Policy,
    /// The file's text, and where the policy begins in it.
    file: usize,
    start: usize,
    /// Something is wrong with it.
    bad: bool,
}

impl Loading {
    fn run(mut self, files: &[(&str, &str)], validator: Option<&Validator>, ours: bool) -> Result<Rules, Broken> {
        if files.len() > limits::FILES {
            let (name, _) = files.get(limits::FILES).copied().unwrap_or_default();
            self.unknown(name, 1, ProblemKind::Limit, format!("more than {} policy files; use fewer", limits::FILES));
        }
        for (number, (name, text)) in files.iter().enumerate().take(limits::FILES) {
            self.parse(number, name, text);
        }
        self.duplicates();
        let mut warnings = Vec::new();
        if let Some(validator) = validator {
            warnings = self.validate(files, validator);
        } else if ours {
            self.unknown("raincoat.cedarschema", 1, ProblemKind::Parse, "it does not parse; please report this".into());
        }
        if ours {
            self.lint();
            self.examples();
        }
        self.finish(&warnings)
    }

    fn parse(&mut self, file: usize, name: &str, text: &str) {
        if text.len() > limits::FILE_BYTES {
            let why = format!("longer than {} bytes; split it", limits::FILE_BYTES);
            return self.unknown(name, 1, ProblemKind::Limit, why);
        }
        let pieces = match source::pieces(text) {
            Ok(pieces) => pieces,
            Err(bad) => return self.unknown(name, bad.line, ProblemKind::Limit, bad.why),
        };
        for piece in pieces {
            if self.parsed.len() >= limits::POLICIES {
                let why = format!("more than {} policies; use fewer", limits::POLICIES);
                return self.unknown(name, piece.line, ProblemKind::Limit, why);
            }
            match Policy::parse(Some(PolicyId::new(self.parsed.len().to_string())), piece.text) {
                Ok(policy) => {
                    let id = policy.annotation("id").filter(|id| !id.is_empty());
                    let id = id.map_or_else(|| format!("{name}:{}", piece.line), str::to_owned);
                    let rule = RuleRef { file: name.into(), line: piece.line, id: id.into() };
                    self.parsed.push(Parsed { rule, policy, file, start: piece.start, bad: false });
                }
                Err(errors) => {
                    let at = offset(&errors);
                    let line = at.map_or(piece.line, |at| source::line_of(text, piece.start + at));
                    self.unknown(name, line, ProblemKind::Parse, format!("{}; mend the policy", one_line(&errors)));
                }
            }
        }
    }

    /// A problem of which nobody can say what it applies to.
    fn unknown(&mut self, file: &str, line: usize, kind: ProblemKind, message: String) {
        let rule = RuleRef { file: file.into(), line, id: format!("{file}:{line}").into() };
        self.blocks.push(Block { rule: rule.clone(), why: message.clone(), head: None });
        self.problem(Problem { rule, kind, message });
    }

    /// A problem of a policy that parsed. Where its head is what is wrong, or could be, nobody can say what it was meant
    /// to apply to.
    fn at(&mut self, number: usize, line: Option<usize>, kind: ProblemKind, message: String, meant: Meant) {
        let Some(parsed) = self.parsed.get_mut(number) else { return };
        let rule = RuleRef { line: line.unwrap_or(parsed.rule.line), ..parsed.rule.clone() };
        parsed.bad = true;
        let head = (meant == Meant::AsHead).then(|| Head::of(&parsed.policy));
        self.blocks.push(Block { rule: rule.clone(), why: message.clone(), head });
        self.problem(Problem { rule, kind, message });
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < limits::PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn duplicates(&mut self) {
        let mut seen: HashMap<Arc<str>, RuleRef> = HashMap::new();
        let mut twice = Vec::new();
        for (number, parsed) in self.parsed.iter().enumerate() {
            match seen.get(&parsed.rule.id) {
                Some(first) => {
                    twice.push((number, format!("`{}` names {first} already; give it another `@id`", first.id)))
                }
                None => drop(seen.insert(Arc::clone(&parsed.rule.id), parsed.rule.clone())),
            }
        }
        for (number, message) in twice {
            self.at(number, None, ProblemKind::Duplicate, message, Meant::AsHead);
        }
    }

    /// Cedar's strict validation. Gives back the validator's warnings.
    fn validate(&mut self, files: &[(&str, &str)], validator: &Validator) -> Vec<(usize, String)> {
        let set = PolicySet::from_policies(self.parsed.iter().map(|parsed| parsed.policy.clone()));
        let set = match set {
            Ok(set) => set,
            Err(error) => {
                self.unknown("policies", 1, ProblemKind::Parse, format!("{error}; please report this"));
                return Vec::new();
            }
        };
        let result = validator.validate(&set, ValidationMode::Strict);
        let mut found: Vec<(usize, Option<usize>, String, Meant)> = Vec::new();
        for error in result.validation_errors() {
            let Some(number) = number(error.policy_id()) else { continue };
            // An error inside of a policy begins behind where the policy does.
            let line = self.parsed.get(number).zip(offset(error)).and_then(|(parsed, at)| {
                files.get(parsed.file).map(|(_, text)| source::line_of(text, parsed.start + at))
            });
            let meant = match error {
                ValidationError::UnrecognizedEntityType(_) | ValidationError::UnrecognizedActionId(_) => Meant::Unknown,
                _ => Meant::AsHead,
            };
            found.push((number, line, unnumbered(&one_line(error)), meant));
        }
        // Cedar keeps them in no order.
        found.sort();
        found.dedup();
        for (number, line, message, meant) in found {
            let message = format!("{message}; see `raincoat policy show --schema`");
            self.at(number, line, ProblemKind::Validate, message, meant);
        }
        let mut warnings: Vec<(usize, String)> = result
            .validation_warnings()
            .filter(|warning| {
                matches!(
                    warning,
                    ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
                )
            })
            .filter_map(|warning| Some((number(warning.policy_id())?, unnumbered(&warning.to_string()))))
            .collect();
        warnings.sort();
        warnings
    }

    fn lint(&mut self) {
        for number in 0..self.parsed.len() {
            let slips = self.parsed.get(number).map(|parsed| lint::slips(&parsed.policy)).unwrap_or_default();
            for (slip, meant) in slips {
                self.at(number, None, ProblemKind::Validate, slip, meant);
            }
        }
    }

    fn examples(&mut self) {
        for number in 0..self.parsed.len() {
            let Some(parsed) = self.parsed.get(number).filter(|parsed| !parsed.bad) else { continue };
            for message in examples_of(&parsed.policy) {
                self.at(number, None, ProblemKind::Example, message, Meant::AsHead);
            }
        }
    }

    fn finish(mut self, warnings: &[(usize, String)]) -> Result<Rules, Broken> {
        let mut rules = Rules { blocks: std::mem::take(&mut self.blocks), ..Rules::default() };
        for (number, parsed) in self.parsed.into_iter().enumerate() {
            if parsed.bad {
                rules.slices.name(&parsed.policy);
                continue;
            }
            let counted = rules.known.len();
            rules.slices.add(counted, &parsed.policy);
            let warned = warnings.iter().filter(|(one, _)| *one == number).map(|(_, text)| (counted, text.clone()));
            rules.warnings.extend(warned);
            rules.known.push(Known { rule: parsed.rule, policy: parsed.policy });
        }
        if rules.blocks.is_empty() {
            Ok(rules)
        } else {
            self.problems.sort_by(|a, b| (&a.rule, a.kind).cmp(&(&b.rule, b.kind)));
            Err(Broken { problems: self.problems, rules: Box::new(rules) })
        }
    }
}

/// What is wrong with a policy's own examples.
fn examples_of(policy: &Policy) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = HashSet::new();
    let mut alone = Slices::default();
    alone.add(0, policy);
    for (annotation, should) in [("match", true), ("not_match", false)] {
        for text in policy.annotation(annotation).map(examples::split).into_iter().flatten() {
            if !seen.insert(text) {
                wrong.push(format!("the example `{text}` stands twice; take one out"));
            } else if seen.len() > limits::EXAMPLES {
                wrong.push(format!("more than {} examples; use fewer", limits::EXAMPLES));
                return wrong;
            } else if let Some(why) = example_fails(&alone, text, should) {
                wrong.push(why);
            }
        }
    }
    wrong
}

fn example_fails(alone: &Slices, text: &str, should: bool) -> Option<String> {
    let request = match Example::parse(text) {
        Ok(example) => example.request,
        Err(error) => return Some(format!("the example `{text}` cannot be read: {error}")),
    };
    let holds = match held(alone, &request) {
        Ok(holds) => holds,
        Err(error) => return Some(format!("the example `{text}` cannot be asked: {error}")),
    };
    if let Some((_, error)) = holds.errors.first() {
        return Some(format!("the example `{text}` cannot be evaluated: {error}; mend the rule"));
    }
    let does = !holds.permits.is_empty() || !holds.forbids.is_empty();
    (does != should).then(|| {
        let (does, said) = if should { ("does not match", "it should") } else { ("matches", "it should not") };
        format!("the rule {does} its example `{text}`, and says that {said}; mend one of them")
    })
}

fn held(alone: &Slices, request: &Request) -> Result<Holds, Unusable> {
    let asked = Asked::new(request, alone.named())?;
    let approved = request.context.approved;
    alone.concerned(&asked).slice(request.facts(approved), &[])?.ask(&asked, request, approved)
}

fn number(id: &PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.parse().ok()
}

/// Where in its text a diagnostic points, in bytes.
fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.map(|label| label.offset()).min()
}

/// A diagnostic's words, its hint and label included, on one line.
fn one_line(diagnostic: &dyn Diagnostic) -> String {
    let mut words = diagnostic.to_string();
    let label = diagnostic.labels().and_then(|mut labels| labels.find_map(|label| label.label().map(str::to_owned)));
    for more in [label, diagnostic.help().map(|help| help.to_string())].into_iter().flatten() {
        words.push_str(": ");
        words.push_str(&more);
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cedar's words begin with the number that we gave the policy, which nobody else knows.
fn unnumbered(words: &str) -> String {
    match words.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, rest)) => rest.to_owned(),
        None => words.to_owned(),
    }
}
