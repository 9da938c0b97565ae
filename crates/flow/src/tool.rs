//! What a tool does and what its arguments decide, inferred from its name, its schema and what it says of itself, or told
//! by a manifest. A tool is never taken for milder than its name or its words make it.

use raincoat_gate::{Effect, Part};
use serde_json::Value;

use crate::lexicon::{self, CREATE, DELETE, Deeds, EFFECTS, MODIFY, PAY, READ, RESERVE, RUN, SEND, SHARE, VISIT};
use crate::lexicon::{Form, lists};
use crate::manifest::Entry;
use crate::schema::ToolDefinition;
use crate::speech;
use crate::words::{identifier, words};

/// A tool as the gate sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    /// By which verbs a request calls for it.
    pub(crate) deeds: Deeds,
    /// The verb in its name, where it has one.
    pub(crate) verb: String,
    /// Other verbs for the same: what its description begins with, and what its noun stands for where it makes one.
    pub(crate) verbs: Vec<String>,
    /// What it is about, singular.
    pub(crate) things: Vec<String>,
    /// Its arguments by name.
    pub(crate) arguments: Vec<(String, Slot)>,
    /// It lets somebody in or hands a thing over, and has no words of its own to say.
    pub(crate) lets_in: bool,
    /// What anybody could have written does not come out of it (only a manifest says so).
    pub(crate) trusted: bool,
}

/// What an argument is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) part: Part,
    /// The schema, the name or the description says so; otherwise it is the strictest guess.
    pub(crate) sure: bool,
}

const CREDENTIALS: &str = "password passwd passphrase pin secret token apikey credential credentials otp mfa 2fa totp passcode key privatekey \
    recoverycode backupcode verificationcode cvv cvc clientsecret";
const REACHES: &str = "recipient recipients to cc bcc email emails mail mails participant participants attendee attendees guest guests invitee \
    invitees url urls uri link href host hostname domain endpoint webhook callback iban account payee beneficiary phone \
    mobile fax destination forward sharee collaborator collaborators member members handle wallet receiver \
    receivers addressee address addresses server website webpage site target audience ip origin remote redirect payer telephone cell msisdn \
    empfaenger destinataire destinatario courriel adresse correo destinatari \
    emailaddress mailaddress phonenumber accountnumber routingnumber sortcode swiftcode swift bic replyto sendto \
    notifyemail";
const CONTENTS: &str = "body content contents text message subject title description note notes comment comments summary reason caption details \
    remark remarks query q search topic memo feedback bio label labels tag tags location place headline heading keyword keywords \
    prompt question answer reply html markdown purpose agenda instructions name_of_event signature subtitle alt observations \
    scope mode diagnosis symptoms motd status state priority color colour category type kind format language unit currency mode \
    permission role level sort order street city zip postcode postal country first last firstname lastname gender \
    filter criteria cuisine dietary preferences special requests options settings config metadata inhalt betreff titre sujet \
    asunto corps titel texto contenu beschreibung cuerpo contenido titulo descripcion messaggio oggetto testo \
    narrative explanation justification rationale resolution response outcome result decision assessment grade \
    stage phase severity impact urgency visibility template theme layout style tone locale timezone country \
    region county excerpt teaser lead hashtags hashtag emoji department occupation position line observation msg \
    wording headings byline section kicker mark event action title_text rolename replacement replacewith newtext \
    newvalue value find oldtext pattern";
const MEASURES: &str = "amount price quantity qty count limit date time start end day days duration size percent percentage temperature brightness \
    page offset when until from since month year hour minutes hours seconds recurring number_of at begin deadline due \
    timestamp interval frequency weight height width datetime num total cost rate rating stars max min betrag montant fecha datum \
    period year week quarter expiry expires expiration eta scheduled schedule birthday dob age rows top skip \
    nights adults children people seats copies units stock level threshold budget salary fee discount vat tax \
    margin net gross subtotal balance points mileage distance odometer overtime pages words minute second window \
    slot";
const COMMANDS: &str = "command cmd script code shell sql expression program statement bash exec argv";

impl Tool {
    /// What can be known of a tool; a manifest's word counts for what it says.
    pub(crate) fn of(definition: &ToolDefinition, entry: Option<&Entry>) -> Tool {
        let parts = own_parts(&definition.name);
        let (mut verb, named) = verb_of(&parts, &definition.description);
        let (said, described) = speech::described(&definition.description);
        let mut things: Vec<String> =
            parts.iter().map(|part| lexicon::singular(part)).filter(|part| *part != verb && !is_little(part)).collect();
        if things.is_empty() || named == 0 {
            let said = words(&definition.description).into_iter().take(16).map(|word| lexicon::singular(&word.low));
            things.extend(said.filter(|word| lexicon::is_thing(word)).take(4));
        }
        things.dedup();
        // The strictest of both: a tool that is called `get` and says that it sends does send.
        let described = narrow(&said, described);
        let mut deeds = if named != 0 { named } else { described };
        let reads = |deeds: Deeds| deeds & (READ | VISIT) != 0;
        if reads(named) && described & EFFECTS != 0 && !reads(described) {
            (verb, deeds) = (said.clone(), described);
        }
        if verb.is_empty() {
            // A word of no list: it is taken for one that changes something, and only called for by itself.
            verb = if described != 0 { said.clone() } else { parts.first().cloned().unwrap_or_default() };
        }
        let mut arguments: Vec<(String, Slot)> =
            definition.arguments().map(|(name, schema)| (name.clone(), slot(name, schema, &things))).collect();
        if verb == "open" && arguments.iter().any(|(name, _)| is_of(name, TEXTS)) && !arguments.iter().any(identifies) {
            // What opens something and takes its description makes a new one.
            deeds &= !MODIFY;
        }
        if verb == "assign" && lexicon::same_things(&things, "task") {
            // Who gets a task is told of it.
            deeds |= CREATE | SEND;
        }
        let has_sums = arguments.iter().any(|(name, _)| is_of(name, SUMS)) || arguments.is_empty();
        if matches!(verb.as_str(), "transfer" | "withdraw" | "advance" | "release") && !has_sums {
            // Students and calls are transferred as well, and words withdrawn.
            deeds &= !PAY;
            if !arguments.iter().any(|(_, slot)| slot.part == Part::Reach) {
                deeds &= !SHARE;
            }
        }
        if verb == "assign" && lexicon::same_things(&things, "slot") {
            deeds |= CREATE | RESERVE;
        }
        if lexicon::same_things(&things, "cart") && deeds & CREATE != 0 {
            // What is bought is put there first.
            deeds |= RESERVE;
        }
        let mut effect = effect_of(&parts, &verb, deeds, &things, &arguments);
        if named == 0 && is_view(&parts, definition, &arguments) {
            (effect, deeds) = (Effect::Read, READ);
        }
        if effect == Effect::Pay {
            deeds |= PAY;
            if matches!(verb.as_str(), "send" | "give" | "issue" | "submit" | "forward") {
                deeds &= !(SEND | SHARE | MODIFY | CREATE) | PAY;
            }
        }
        if parts.iter().any(|part| part == "comment") && deeds & EFFECTS != 0 {
            deeds |= SEND;
        }
        // What a request may call it by, whatever it does by its name.
        let mut verbs = Vec::new();
        if deeds & EFFECTS != 0 && described & EFFECTS != 0 {
            deeds |= described & EFFECTS;
            verbs.push(said);
        }
        if lists::MAKING.has(&verb) {
            let made = things.iter().filter_map(|thing| lexicon::nominal(thing)).map(str::to_owned);
            verbs.extend(made);
            deeds |= verbs.iter().fold(0, |deeds, verb| deeds | lexicon::verb(verb) & EFFECTS);
        }
        let mut trusted = false;
        if let Some(entry) = entry {
            effect = entry.effect.unwrap_or(effect);
            trusted = entry.trusted;
            for (name, part) in &entry.arguments {
                match arguments.iter_mut().find(|(known, _)| known == name) {
                    Some((_, slot)) => *slot = Slot { part: *part, sure: true },
                    None => arguments.push((name.clone(), Slot { part: *part, sure: true })),
                }
            }
        }
        let lets_in = lexicon::is_letting_in(&verb) && !arguments.iter().any(|(name, _)| is_of(name, TEXTS));
        Tool { name: definition.name.clone(), lets_in, effect, deeds, verb, verbs, things, arguments, trusted }
    }

    /// Whether it leaves a trace.
    pub(crate) fn acts(&self) -> bool {
        !matches!(self.effect, Effect::Read | Effect::Fetch)
    }

    /// Whether what it does is hard to take back.
    pub(crate) fn is_weighty(&self) -> bool {
        matches!(self.effect, Effect::Destroy | Effect::Pay | Effect::Credential | Effect::Run)
    }

    /// What an argument is for. One that the schema does not have is told by its name alone.
    pub(crate) fn slot(&self, name: &str) -> Slot {
        self.arguments
            .iter()
            .find(|(known, _)| known == name)
            .map_or_else(|| slot(name, &Value::Null, &self.things), |(_, slot)| *slot)
    }
}

/// What an argument is called that takes somebody's words.
const TEXTS: &str = "body content contents text message msg html markdown description title subject summary details comment note \
    caption headline instructions reason amount";

/// What an argument is called that says how much is paid or to whom.
const SUMS: &str = "amount sum price value total iban account payee currency";

/// Whether the last part of an argument's name is among some words.
fn is_of(name: &str, words: &str) -> bool {
    let last = identifier(name).pop().unwrap_or_default();
    words.split_whitespace().any(|word| word == last)
}

/// Whether an argument says which of the things that there are is meant.
fn identifies((name, slot): &(String, Slot)) -> bool {
    slot.part == Part::Thing
        && (identifier(name).iter().any(|part| matches!(part.as_str(), "id" | "ids" | "uuid" | "guid"))
            || is_of(name, "number no nr key ref reference code sku serial"))
}

/// The last part of a name before what narrows it: `rota_for_day` is a rota.
fn noun_of(parts: &[String]) -> Option<&String> {
    parts.iter().take_while(|part| !matches!(part.as_str(), "by" | "for" | "of" | "in" | "from")).last()
}

/// Whether a tool without a verb is a look at something: it is called by what it shows, takes nobody's words, no address
/// and no secret, and does not say of itself that it does anything.
fn is_view(parts: &[String], definition: &ToolDefinition, arguments: &[(String, Slot)]) -> bool {
    let shows = noun_of(parts).is_some_and(|noun| lexicon::singular(noun) != *noun || lists::VIEWS.has(noun));
    let does = |word: &str| match lexicon::verb_forms(word) {
        Some((verb, Form::Base | Form::Third, deeds)) => deeds & EFFECTS != 0 && !lists::NOUNS_TOO.has(&verb),
        _ => false,
    };
    let told = words(&definition.description).iter().any(|word| does(&word.low));
    let heavy = |(name, slot): &(String, Slot)| {
        matches!(slot.part, Part::Reach | Part::Secret | Part::Command) || is_of(name, TEXTS)
    };
    let acts = parts
        .iter()
        .any(|part| lexicon::nominal(part).is_some_and(|verb| lexicon::verb(verb) & (PAY | DELETE | RUN) != 0));
    shows && !told && !acts && !arguments.iter().any(heavy)
}

/// The parts of a name, without the server's in front (`mail.send`, `mail__send` and `server/mail-send` keep both: what
/// a server is called may be what the tool is about).
fn own_parts(name: &str) -> Vec<String> {
    identifier(name)
        .into_iter()
        .filter(|part| !matches!(part.as_str(), "mcp" | "api" | "v1" | "v2" | "tool" | "server" | "fn"))
        .collect()
}

/// The verb in a tool's name and what it does. A word that is a noun as well is one only where nothing better is there.
fn verb_of(parts: &[String], description: &str) -> (String, Deeds) {
    let verbs = || parts.iter().filter(|part| lexicon::verb(part) & (EFFECTS | READ | VISIT) != 0);
    let mut sure = verbs().filter(|part| !lists::NOUNS_TOO.has(part)).peekable();
    if let Some(verb) = sure.peek() {
        // `compose_and_send` does both.
        let verb = (*verb).clone();
        return (verb, sure.fold(0, |deeds, part| deeds | narrow(part, lexicon::verb(part))));
    }
    let (said, described) = speech::described(description);
    let described = narrow(&said, described);
    let first = parts.first().filter(|part| lexicon::verb(part) != 0);
    // `pipeline_report`, which "shows deals", reports to nobody; `open_orders`, "orders that have not left", opens none.
    let shown = described & EFFECTS == 0 && !description.trim().is_empty();
    let end = noun_of(parts);
    let plural = end.is_some_and(|last| lexicon::singular(last) != *last);
    let noun = |part: &String| match part.as_str() {
        "open" => plural,
        _ => lists::VIEWS.has(part) && end == Some(part),
    };
    // `wire_search` searches.
    let looks = |part: &&String| matches!(part.as_str(), "search" | "lookup" | "query" | "find" | "fetch" | "browse");
    if let Some(verb) = end.filter(looks) {
        return (verb.clone(), narrow(verb, lexicon::verb(verb)) | described & EFFECTS);
    }
    let mut last = verbs().filter(|part| !(shown && noun(part)));
    match verbs().find(|part| **part == said).or(first.filter(|part| !(shown && noun(part)))).or(last.next()) {
        // What may be a noun is no sure sign: what the tool says of itself counts as well.
        Some(verb) => (verb.clone(), narrow(verb, lexicon::verb(verb)) | described),
        None => (String::new(), 0),
    }
}

/// A tool's verb means one thing where a person's may mean several.
pub(crate) fn narrow(verb: &str, deeds: Deeds) -> Deeds {
    match verb {
        "get" | "list" | "read" | "search" | "find" | "fetch" | "show" | "view" | "check" | "look" | "lookup"
        | "query" | "count" | "describe" | "retrieve" | "browse" | "display" | "inspect" | "monitor" | "download"
        | "give" | "summarise" | "summarize" | "calculate" | "compare" | "track" | "identify" | "verify" => {
            deeds & (READ | VISIT)
        }
        "visit" | "navigate" | "crawl" | "scrape" | "curl" | "surf" => VISIT,
        _ if deeds & EFFECTS != 0 => deeds & (EFFECTS | VISIT),
        _ => deeds,
    }
}

fn is_little(word: &str) -> bool {
    word.len() < 2
        || matches!(
            word,
            "to" | "from"
                | "by"
                | "for"
                | "in"
                | "of"
                | "the"
                | "with"
                | "and"
                | "or"
                | "on"
                | "at"
                | "all"
                | "my"
                | "new"
        )
}

fn effect_of(parts: &[String], verb: &str, deeds: Deeds, things: &[String], arguments: &[(String, Slot)]) -> Effect {
    let about = |words: &str| things.iter().any(|thing| words.split_whitespace().any(|word| word == thing));
    let has = |part: Part| arguments.iter().any(|(_, slot)| slot.part == part);
    let reaches_out = arguments.iter().any(|(name, slot)| {
        slot.part == Part::Reach
            && identifier(name).iter().any(|part| {
                matches!(
                    lexicon::singular(part).as_str(),
                    "url"
                        | "uri"
                        | "link"
                        | "host"
                        | "hostname"
                        | "endpoint"
                        | "domain"
                        | "href"
                        | "website"
                        | "webpage"
                        | "site"
                )
            })
    });
    let money =
        about("money transaction payment fund wire remittance payout iban") || deeds & PAY != 0 && about("transfer");
    match () {
        () if has(Part::Command) || deeds & RUN != 0 && deeds & (READ | SEND | CREATE) == 0 => Effect::Run,
        () if deeds & EFFECTS == 0 && deeds & (READ | VISIT) != 0 && reaches_out => Effect::Fetch,
        () if deeds & EFFECTS == 0 && deeds & READ != 0 => Effect::Read,
        () if deeds & EFFECTS == 0 && deeds & VISIT != 0 => Effect::Fetch,
        () if reaches_out && matches!(verb, "open" | "follow" | "load" | "request" | "go" | "access") => Effect::Fetch,
        () if has(Part::Secret) || about("password credential passcode mfa otp") => Effect::Credential,
        () if deeds & DELETE != 0
            && deeds & (SEND | CREATE) == 0
            && !matches!(verb, "close" | "archive" | "hold" | "suspend" | "freeze" | "quarantine" | "pause") =>
        {
            Effect::Destroy
        }
        () if money
            || deeds & PAY != 0
                && matches!(
                    verb,
                    "pay"
                        | "transfer"
                        | "wire"
                        | "refund"
                        | "reimburse"
                        | "purchase"
                        | "buy"
                        | "donate"
                        | "remit"
                        | "withdraw"
                        | "deposit"
                        | "charge"
                        | "order"
                        | "settle"
                        | "tip"
                        | "repay"
                        | "credit"
                        | "debit"
                        | "checkout"
                ) =>
        {
            Effect::Pay
        }
        () if deeds & (SEND | SHARE) != 0
            && (deeds & CREATE == 0
                || parts.iter().any(|part| {
                    matches!(
                        part.as_str(),
                        "send" | "post" | "share" | "invite" | "comment" | "publish" | "submit" | "forward" | "email"
                    )
                })
                || about("user member participant collaborator guest attendee permission access")) =>
        {
            Effect::Send
        }
        () => Effect::Change,
    }
}

/// What an argument is for, by its name, then by what is said of it, then by its type.
fn slot(name: &str, schema: &Value, things: &[String]) -> Slot {
    let parts = identifier(name);
    let joined = parts.concat();
    let last = parts.last().map(|part| lexicon::singular(part)).unwrap_or_default();
    let is = |words: &str| {
        words
            .split_whitespace()
            .any(|word| word == joined || word == last || parts.last().is_some_and(|part| part == word))
    };
    let any = |words: &str| words.split_whitespace().any(|word| parts.iter().any(|part| part == word));
    let sure = |part: Part| Slot { part, sure: true };
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    if is(CREDENTIALS)
        && kind != "boolean"
        && !(last == "key" && parts.len() == 1)
        && !matches!(joined.as_str(), "pagetoken" | "nexttoken" | "pushpin")
    {
        return sure(Part::Secret);
    }
    // "Code" may be a coupon's.
    let told = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let runs =
        ["run", "execut", "source", "script", "python", "snippet", "evaluat"].iter().any(|word| told.contains(word));
    if is(COMMANDS) && (last != "code" || runs || things.iter().any(|thing| thing == "code")) {
        return sure(Part::Command);
    }
    if any("id ids uuid guid") {
        return sure(Part::Thing);
    }
    if kind == "integer" && is("number no nr index issue pull order ticket position") {
        return sure(Part::Thing);
    }
    if matches!(kind, "number" | "integer" | "boolean") && !is("iban account phone number to recipient") {
        return sure(Part::Content);
    }
    if schema.get("enum").is_some() {
        return sure(Part::Content);
    }
    if is(REACHES) && !(last == "address" && any("street home billing postal shipping")) {
        return sure(Part::Reach);
    }
    if is(MEASURES) || any("date time datetime") {
        return sure(Part::Content);
    }
    if is(CONTENTS) {
        return sure(Part::Content);
    }
    if any("recipient email url iban participant attendee phone webhook") {
        return sure(Part::Reach);
    }
    // What is said of it may only make it weightier.
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let said_any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if said_any(&["email address", "e-mail address", "recipient", "iban", "url", "phone number", "webhook", "hostname"])
    {
        return sure(Part::Reach);
    }
    if said_any(&["password", "secret", "credential"]) {
        return sure(Part::Secret);
    }
    if said_any(&["shell command", "command to run", "code to", "sql"]) {
        return sure(Part::Command);
    }
    let known =
        lexicon::is_thing(&last) || things.contains(&last) || is("name file path folder repo branch project username");
    Slot { part: Part::Thing, sure: known }
}
